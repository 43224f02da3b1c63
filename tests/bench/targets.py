"""What is measured: an appliance of our own on scratch data, and the best of the peers where its set-up is at hand."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import click

ROOT = Path(__file__).parents[2]
PEERS = ROOT.parent / "shared" / "bench"
DATABASE = "botstead_bench"
SECRET = "bench-" + secrets.token_hex(8)
TOKEN = "123456:AAbenchbenchbenchbenchbenchbenchbench"


class Target(NamedTuple):
    """Where updates are delivered, and which processes do the work, by role."""

    name: str
    port: int
    path: str
    secret: str
    pids: Mapping[str, int]


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def botstead(api_port: int, *, through_edge: bool, server: Server | None) -> Iterator[Target]:
    """Run an appliance whose `echo` has a Telegram channel at the load generator.

    Args:
        api_port: where the load generator plays the Bot API.
        through_edge: deliver to the edge; else to the API process behind it, as peers are measured.
        server: a Postgres to use; else the appliance brings its own.
    """
    with tempfile.TemporaryDirectory(prefix="botstead-bench-") as scratch:
        data = Path(scratch) / "data"
        everything = os.environ  # settings of whoever measures must not reach what is measured
        environment = {name: value for name, value in everything.items() if not name.startswith("BOTSTEAD_")}
        environment["BOTSTEAD_EGRESS_ALLOW"] = f"127.0.0.1:{api_port}"
        if server is not None:
            server.recreate(DATABASE)
            environment["BOTSTEAD_POSTGRES"] = server.dsn(DATABASE)
        command = [sys.executable, "-m", "botstead"]
        up = [*command, "up", "--data", str(data), "--port", str(free_port()), "--detach"]
        started = subprocess.run(up, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
        try:
            if started.returncode:
                raise click.ClickException(f"The appliance did not start: {started.stdout}{started.stderr}")
            yield _delivered_to(data, api_port, through_edge=through_edge, server=server)
        finally:
            subprocess.run([*command, "down", "--data", str(data)], env=environment, capture_output=True, check=False)


def _delivered_to(data: Path, api_port: int, *, through_edge: bool, server: Server | None) -> Target:
    described = json.loads((data / "appliance.json").read_text())
    channel = {
        "kind": "telegram",
        "settings": {"api_base": f"http://127.0.0.1:{api_port}", "mode": "webhook"},
        "secrets": {"token": TOKEN, "hook_secret": SECRET},
    }
    key = Path(described["admin_key_file"]).read_text().strip()
    made = _post(f"{described['url']}/v1/bots/echo/channels", channel, key)
    pids = {process["role"]: process["pid"] for process in [*described["processes"], *described["servers"]]}
    if server is not None:
        pids["postgres"] = server.pid
    edge = int(described["url"].rpartition(":")[2])
    return Target("botstead", edge if through_edge else _behind(data), f"/hooks/{made['id']}", SECRET, pids)


def _behind(data: Path) -> int:
    """Return the port of the API process that the edge sends to."""
    found = (data / "edge" / "caddy.json").read_text().partition('"dial": "127.0.0.1:')[2]
    return int(found.partition('"')[0])


def _post(url: str, body: object, key: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


class Server:
    """The peers' Postgres: durable, and the same for all."""

    def __init__(self) -> None:
        if not PEERS.exists():
            raise click.ClickException(f"--peers needs {PEERS.resolve()}, which is not here.")
        self.environment = self._environment()
        work = Path(self.environment["WORK"])
        if not (work / "node" / "node_modules" / "grammy").exists():
            click.echo("setting up the peers (once, some minutes) ...", err=True)
            subprocess.run(["bash", PEERS / "setup.sh"], check=True, stdout=subprocess.DEVNULL)
            self.environment = self._environment()
        if not self._answers():
            subprocess.run(["bash", PEERS / "pg_start.sh"], check=True, stdout=subprocess.DEVNULL)
        self.pid = int((work / "pgdata" / "postmaster.pid").read_text().splitlines()[0])

    def dsn(self, database: str) -> str:
        """Return the address of one of its databases."""
        return self.environment["DSN"].rpartition("/")[0] + f"/{database}"

    def recreate(self, database: str) -> None:
        """Begin with an empty database."""
        self.run(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        self.run(f"CREATE DATABASE {database}")
        self.run("CHECKPOINT")

    def run(self, *statements: str) -> None:
        """Run SQL in the database that peers use."""
        commands = [word for statement in statements for word in ("-c", statement)]
        subprocess.run([self._psql, "-q", *commands], env=self._client, check=True, capture_output=True)

    @property
    def _psql(self) -> str:
        return f"{self.environment['PGI']}/bin/psql"

    @property
    def _client(self) -> dict[str, str]:
        return {**self.environment, "PGUSER": "postgres"}

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", int(self.environment["PGPORT"])), 1).close()
        except OSError:
            return False
        return True

    @staticmethod
    def _environment() -> dict[str, str]:
        script = f'. "{PEERS}/env.sh"; env -0'
        out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
        return dict(line.split("=", 1) for line in out.split("\0") if "=" in line)


@contextmanager
def grammy(api_port: int, server: Server) -> Iterator[Target]:
    """Run the grammY peer: the same job on the same Postgres, without queue, order, state or outbox."""
    environment = server.environment
    subprocess.run(
        [f"{environment['PGI']}/bin/psql", "-q", "-f", f"{PEERS}/schema_peer.sql", "-c", "CHECKPOINT"],
        env=environment,
        check=True,
        capture_output=True,
    )
    port = free_port()
    process = subprocess.Popen(
        ["node", f"{PEERS}/node/grammy_app.js", str(port)],
        env={
            **environment,
            "NODE_PATH": f"{environment['WORK']}/node/node_modules",
            "TG_API": f"http://127.0.0.1:{api_port}",
            "SECRET": SECRET,
        },
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(port, process)
        yield Target("grammy", port, "/webhook", SECRET, {"app": process.pid, "postgres": server.pid})
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise click.ClickException("The peer did not start.")
