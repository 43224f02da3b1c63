"""Three engines in network namespaces, joined as one swarm by the test bed's script, with the stacks of compose/swarm on them.

BOTSTEAD_TEST_SWARM names the script (`up`, `down`), and RUN the folder of its engines, as the test bed has them.
"""

import ctypes
import json
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from botstead.processes.prove.deliveries import Signed
from botstead.runtime import keyring
from tests.appliance.engine import docker
from tests.appliance.site import DOMAIN, Site
from tests.appliance.traffic import Traffic

SCRIPT = os.environ.get("BOTSTEAD_TEST_SWARM", "")
FOLDER = Path(os.environ.get("RUN", "/var/tmp/botstead-engine")) / "swarm3"
STACK = "botstead"
IMAGES = {"postgres:18.6-bookworm": (1,), "valkey/valkey:9.1.2-trixie": (1,), "caddy:2.11.7": (1,)}
"""Image to the nodes that need it besides ours, which all do."""
ASK = """
import json, sys, urllib.request
key = open("/data/admin.key").read().strip()
request = urllib.request.Request("http://127.0.0.1:8080/v1/bots/echo/channels", json.dumps({"kind": "webhook"}).encode(),
    {"authorization": "Bearer " + key, "content-type": "application/json"})
print(urllib.request.urlopen(request, timeout=10).read().decode())"""


def enter(namespace):
    """Let this thread use the network of a namespace (setns(2)); Python has a function for it from 3.12 on."""
    with Path(f"/run/netns/{namespace}").open() as file:
        assert ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) == 0, os.strerror(ctypes.get_errno())


class Swarm:
    """The three nodes. The first has data and edge, and is asked; the others can be lost."""

    def __init__(self, folder, image):
        self.folder, self.image = folder, image
        self.site = Site(folder, STACK, image, http=80, https=443)

    def on(self, node, *words, seconds=120):
        return docker(*words, host=f"unix://{FOLDER}/{node}.sock", seconds=seconds)

    def ask(self, *words, seconds=120):
        return self.on(1, *words, seconds=seconds)

    def up(self):
        self.down()
        subprocess.run([SCRIPT, "up"], check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for node in (1, 2, 3):
            self.load(node, self.image, *(name for name, nodes in IMAGES.items() if node in nodes))
        self.ids = {node: self.on(node, "info", "--format", "{{.Swarm.NodeID}}") for node in (1, 2, 3)}
        self.ask("node", "update", "--label-add", "botstead.data=true", "--label-add", "botstead.edge=true", self.ids[1])

    def available(self, node, availability):
        self.ask("node", "update", "--availability", availability, self.ids[node])

    def alive(self, node):
        return self.ask("node", "inspect", "-f", "{{.Status.State}}", self.ids[node]) == "ready"

    def load(self, node, *images):
        """Bring images to a node, over a file: no registry is near."""
        file = self.folder / "images.tar"
        docker("save", "-o", str(file), *images, seconds=200)
        self.on(node, "load", "-q", "-i", str(file), seconds=200)
        file.unlink()

    def down(self):
        """End all. Over a node that was killed the script stumbles, so what it leaves is taken away here."""
        subprocess.run([SCRIPT, "down"], check=False, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for pid in processes(f"{FOLDER}/"):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        for name in ("bn1", "bn2", "bn3", "bsw"):
            if Path(f"/run/netns/{name}").exists():
                subprocess.run(["ip", "netns", "del", name], check=True)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([each for each in mounts if each.startswith(f"{FOLDER}/")]):
            subprocess.run(["umount", "-l", mount], check=True)
        shutil.rmtree(FOLDER, ignore_errors=True)

    def prepare(self):
        self.site.settings = {"BOTSTEAD_CANARY_SECONDS": "3"}
        self.site.prepare()
        ring = self.folder / "keys.json"
        keyring.load_or_create(ring)
        shutil.copy(ring, self.folder / "secrets" / "key_ring")

    def deploy(self, stack, image=None, **settings):
        """Deploy a stack file with the variables of .env, as its README says."""
        lines = [line for line in (self.folder / ".env").read_text().splitlines() if "=" in line and not line.startswith("#")]
        known = dict(line.split("=", 1) for line in lines)
        name, tag = (image or self.image).split(":")
        environment = os.environ | known | {"BOTSTEAD_IMAGE": name, "BOTSTEAD_VERSION": tag} | settings
        command = ["docker", "-H", f"unix://{FOLDER}/1.sock", "stack", "deploy", "--detach=true", "--resolve-image", "never"]
        command += ["-c", f"compose/swarm/{stack}.yaml", STACK]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def services(self):
        """Return service to its tasks, as «running/wanted»."""
        lines = self.ask("service", "ls", "--format", "{{json .}}").splitlines()
        return {each["Name"].removeprefix(f"{STACK}_"): each["Replicas"].split(" ")[0] for each in map(json.loads, lines)}

    def update(self, service):
        """Return how the last change of a service went: completed, rollback_completed …; empty without one."""
        return self.ask("service", "inspect", "-f", "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}", f"{STACK}_{service}")

    def image_of(self, service):
        return self.ask("service", "inspect", "-f", "{{.Spec.TaskTemplate.ContainerSpec.Image}}", f"{STACK}_{service}").partition(
            "@"
        )[0]

    def container(self, service, node=1):
        return self.on(node, "ps", "-q", "--filter", f"label=com.docker.swarm.service.name={STACK}_{service}").split()[0]

    def node_of(self, service):
        """Return the number of the node on which a service's first task runs; 0 while there is none."""
        hosts = {identity: node for node, identity in self.ids.items()}
        tasks = self.ask("service", "ps", "-q", "--filter", "desired-state=running", f"{STACK}_{service}").split()
        return hosts.get(self.ask("inspect", "-f", "{{.NodeID}}", tasks[0]), 0) if tasks else 0

    def query(self, sql):
        return self.ask("exec", self.container("postgres"), "psql", "-XAtq", "-U", "botstead", "-d", "botstead", "-c", sql)

    def traffic(self):
        """A hundred requests a second to the edge, from inside the network of the nodes."""
        node = self.node_of("api-a")
        made = json.loads(self.on(node, "exec", self.container("api-a", node), "python", "-c", ASK))
        channel = Signed(made["id"], f"/hooks/{made['id']}", made["shown_once"]["hook_secret"])
        return Traffic("https://10.77.0.1", channel, name=DOMAIN, begin=lambda: enter("bn1"))

    def lose(self, node):
        """Cut a node off and end all that runs on it, as when a machine dies."""
        subprocess.run(["ip", "netns", "exec", "bsw", "ip", "link", "set", f"p{node}", "down"], check=True)
        for pid in processes(f"{FOLDER}/{node}/"):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)


def processes(folder):
    """Return the processes that were started with a folder of a node, and their children: engine, shims, containers."""
    parents, found = {}, set()
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(each.name)] = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            if folder in (each / "cmdline").read_text(errors="replace"):
                found.add(int(each.name))
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}
