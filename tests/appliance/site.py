"""An appliance on a real engine, in a folder of its own: set up by scripts/init, as anybody would, and taken away without a trace."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from botstead.processes.prove.deliveries import Signed
from tests.appliance.engine import docker
from tests.appliance.traffic import Traffic

TREE = Path(__file__).parents[2]
SHIPPED = ("compose.yaml", "compose", "alerts", "dashboards", "scripts", "pyproject.toml")
DOMAIN = "bots.test.internal"


@dataclass
class Site:
    """An appliance.

    Args:
        folder: where it lies.
        project: its name for Compose.
        image: what it runs at first, such as botstead:x.
        http, https: ports of the edge on the host.
        settings: more of `.env`.
        host: where the host of the engine is reached.
    """

    folder: Path
    project: str
    image: str
    http: int
    https: int
    settings: dict[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"

    @property
    def environment(self):
        return os.environ | {"COMPOSE_PROJECT_NAME": self.project}

    def run(self, *command, check=True, seconds=300, **variables):
        """Run a command in the folder; returns what it wrote, to both outputs."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment | variables, text=True, timeout=seconds, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout
        self.status = done.returncode
        return done.stdout

    def compose(self, *words, **how):
        return self.run("docker", "compose", *words, **how)

    def prepare(self):
        self.sweep()
        for name in SHIPPED:
            source = TREE / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, self.folder / name)
        name, tag = self.image.split(":")
        self.run(
            "scripts/init", "--domain", DOMAIN, "--email", "internal", "--size", "small", "--force",
            "--http-port", str(self.http), "--https-port", str(self.https), BOTSTEAD_IMAGE=name, BOTSTEAD_VERSION=tag,
        )  # fmt: skip
        settings = (self.folder / ".env").read_text().splitlines()
        kept = [line for line in settings if line.partition("=")[0] not in self.settings]
        (self.folder / ".env").write_text(
            "\n".join([*kept, *(f"{each}={value}" for each, value in self.settings.items())]) + "\n"
        )

    def up(self):
        self.compose("up", "-d", "--wait", "--wait-timeout", "120", "--pull", "never")

    def down(self):
        self.compose("down", "-v", "--remove-orphans", "--timeout", "5", check=False)

    def sweep(self):
        """Remove what a run that was cut off has left: its volumes would be another installation's."""
        mine = f"label=com.docker.compose.project={self.project}"
        for found, remove in (
            (("ps", "-aq"), ("rm", "-f")), (("volume", "ls", "-q"), ("volume", "rm")), (("network", "ls", "-q"), ("network", "rm")),
        ):  # fmt: skip
            left = docker(*found, "--filter", mine).split()
            if left:
                docker(*remove, *left)

    def inside(self, service, *command):
        return self.compose("exec", "-T", service, *command).strip()

    def query(self, sql):
        return self.inside("postgres", "psql", "-XAtq", "-U", "botstead", "-d", "botstead", "-c", sql)

    def channel(self):
        """Give the bot echo a channel for signed deliveries, over the edge."""
        key = self.inside("api-a", "cat", "/data/admin.key")
        with httpx.Client(verify=False) as client:
            made = client.post(
                f"https://{self.host}:{self.https}/v1/bots/echo/channels",
                json={"kind": "webhook"},
                headers={"authorization": f"Bearer {key}", "host": DOMAIN},
                extensions={"sni_hostname": DOMAIN},
            ).json()
        return Signed(made["id"], f"/hooks/{made['id']}", made["shown_once"]["hook_secret"])

    def traffic(self):
        return Traffic(f"https://{self.host}:{self.https}", self.channel(), name=DOMAIN)


def variant(base, name, lines):
    """Build an image that differs from another one; returns its name."""
    text = f"FROM {base}\nUSER root\n{lines}\nUSER 65532:65532\n"
    subprocess.run(
        ["docker", "build", "-q", "-t", name, "-"], input=text, text=True, check=True, timeout=120, stdout=subprocess.DEVNULL
    )
    return name
