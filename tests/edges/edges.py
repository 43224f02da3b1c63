"""The three edges as they are shipped, on other ports, and API processes behind them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from botstead.processes.composed import edges
from botstead.processes.embedded import wheels
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import free_ports
from botstead.processes.prove.rawhttp import Answer, Heard, Line, request, say
from botstead.processes.prove.slot import Slot
from tests.edges import upstream
from tests.servers import wait_until

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = ROOT / "compose" / "edge"
KINDS = ("caddy", "haproxy", "nginx")
SLOTS = ("api-a", "api-b")
DOMAIN = "localhost"
CALM_SECONDS = 2.0
"""Without a failure, after which an edge has found out which slots there are."""
PASSWORD = "correct-horse"  # of an edge that lives for a test


def program(kind: str) -> str | None:
    """Return the path of an edge's program, None where it is not installed."""
    return str(wheels.caddy()) if kind == "caddy" else shutil.which(kind, path=f"{os.environ['PATH']}:/usr/sbin")


def version(kind: str) -> str:
    """Return the version of an edge's program."""
    found = program(kind)
    assert found
    words = {"caddy": "version", "haproxy": "-v", "nginx": "-v"}
    told = subprocess.run([found, words[kind]], capture_output=True, text=True, check=True, timeout=10)
    match = re.search(r"\d+\.\d+\.\d+", told.stdout + told.stderr)
    assert match
    return match[0]


class Ports(msgspec.Struct, frozen=True):
    """Where everything is here: the edge, and the slots in their order; the last two are of slots that do not exist."""

    https: int
    plain: int
    metrics: int
    door: int
    grafana: int
    slots: tuple[int, int, int, int]


def fitted(kind: str, folder: Path, ports: Ports) -> str:
    """Return the shipped configuration with names, ports and folders of this test. Each has to be there, or it is not the same."""
    name = {"caddy": "caddy/Caddyfile", "haproxy": "haproxy/haproxy.cfg", "nginx": "nginx/nginx.conf"}[kind]
    text = (CONFIGURATIONS / name).read_text()
    changes = {"grafana:3000": f"127.0.0.1:{ports.grafana}"}
    if kind != "nginx":
        changes |= {f"api-{letter}:8080": f"127.0.0.1:{port}" for letter, port in zip("abcd", ports.slots, strict=True)}
    if kind == "caddy":
        changes |= {
            "{\n\t# A socket": f"{{\n\thttp_port {ports.plain}\n\thttps_port {ports.https}\n\t# A socket",
            "unix//run/caddy/admin.sock": f"unix/{folder}/admin.sock",
            "http://:9100": f"http://:{ports.metrics}",
            "http://:8080": f"http://:{ports.door}",
        }
    if kind == "haproxy":
        changes |= {
            "bind :443": f"bind 127.0.0.1:{ports.https}",
            "bind :80": f"bind 127.0.0.1:{ports.plain}",
            "bind :9100": f"bind 127.0.0.1:{ports.metrics}",
            "bind :8080": f"bind 127.0.0.1:{ports.door}",
            "/certificates/": f"{folder}/certificates/",
        }
    if kind == "nginx":
        changes |= {
            "listen 443": f"listen 127.0.0.1:{ports.https}",
            "listen 80": f"listen 127.0.0.1:{ports.plain}",
            "listen 9100": f"listen 127.0.0.1:{ports.metrics}",
            "listen 8080": f"listen 127.0.0.1:{ports.door}",
            "/certificates/": f"{folder}/certificates/",
            "/run/secrets/": f"{folder}/",
            "/run/edge": f"{folder}/state",
            "worker_processes 2;": "worker_processes 2;"
            + (" user root;" if os.geteuid() == 0 else ""),  # our folders are private
        }
    for old, new in sorted(changes.items(), reverse=True):  # ":8080" before ":80"
        assert old in text, f"{old!r} is not in {name}"
        text = text.replace(old, new)
    return text


def prepare(kind: str, folder: Path, ports: Ports) -> Program:
    """Write what an edge reads, and return how it is run."""
    edges.write(folder, domain=DOMAIN, password=PASSWORD)
    file = folder / kind
    file.write_text(fitted(kind, folder, ports))
    found = program(kind)
    assert found
    command, stop = {
        "caddy": ((found, "run", "--config", str(file), "--adapter", "caddyfile"), signal.SIGTERM),
        "haproxy": ((found, "-W", "-db", "-f", str(file), "-f", str(folder / "operator_haproxy")), signal.SIGTERM),
        "nginx": ((shutil.which("bash") or "bash", str(CONFIGURATIONS / "nginx" / "edge.sh")), signal.SIGTERM),
    }[kind]
    return Program(
        role="edge", instance=kind, command=command, environment=environment(folder, ports), folder=folder, stop_signal=stop
    )


def environment(folder: Path, ports: Ports) -> dict[str, str]:
    """Return the environment of an edge."""
    return {
        "PATH": f"{os.environ['PATH']}:/usr/sbin",
        "HOME": str(folder),
        "BOTSTEAD_DOMAIN": DOMAIN,
        "GOMEMLIMIT": "64MiB",
        "EDGE_DATA": str(folder / "data"),
        "EDGE_OPERATOR": str(folder / "operator_caddy"),
        "EDGE_CONF": str(folder / "nginx"),
        "EDGE_STATE": str(folder / "state"),
        "EDGE_SLOTS": " ".join(f"127.0.0.1:{port}" for port in ports.slots),
    }


class Site:
    """A running edge with API processes behind it."""

    def __init__(self, kind: str, folder: Path) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        https, plain, metrics, door, grafana, *slots = free_ports(9)
        self.kind, self.folder = kind, folder
        self.ports = Ports(https, plain, metrics, door, grafana, (slots[0], slots[1], slots[2], slots[3]))
        self.notes_file = folder / "notes"
        self.notes_file.touch()
        self.edge = Slot(prepare(kind, folder, self.ports), log=folder / "edge.log", port=https)
        names = (*zip(SLOTS, slots, strict=False), ("grafana", grafana))
        self.slots = {name: self._upstream(name, port) for name, port in names}
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE

    def _upstream(self, name: str, port: int) -> Slot:
        command = (sys.executable, "-m", upstream.__name__, name, str(port), str(self.notes_file))
        environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        made = Program(role="api", instance=name, command=command, environment=environment, folder=self.folder)
        return Slot(made, log=self.folder / f"{name}.log", port=port)

    async def start(self) -> None:
        """Start all, and wait until deliveries get through to each slot, and none to those that do not exist."""
        for slot in self.slots.values():
            slot.start()
        for slot in self.slots.values():
            await self.listens(slot)
        self.edge.start()
        seen: set[str] = set()
        calm = time.monotonic()
        async with asyncio.timeout(20):
            while not (set(SLOTS) <= seen and time.monotonic() - calm > CALM_SECONDS):
                try:
                    answer = await self.deliver("warm")
                except (OSError, TimeoutError):
                    calm = time.monotonic()
                else:
                    calm = calm if answer.status == 200 else time.monotonic()
                    seen |= {answer.body.decode()}
                assert self.edge.alive, self.edge.output().decode(errors="replace")
                await asyncio.sleep(0.02)

    async def listens(self, slot: Slot) -> None:
        """Wait until a slot answers its own probe."""
        async with asyncio.timeout(20):
            while True:
                try:
                    if (await say(slot.port, request("GET", "/health/ready"))).statuses == [200]:
                        return
                except OSError:
                    pass
                assert slot.alive, slot.output().decode(errors="replace")
                await asyncio.sleep(0.02)

    async def seen(self, condition: Callable[[], bool], what: str, *, seconds: float = 15) -> None:
        """Wait until something is so."""
        await asyncio.to_thread(wait_until, condition, what=what, seconds=seconds)

    async def say(self, *parts: bytes, **how) -> Heard:
        """Say something to the edge over TLS, by hand."""
        return await say(self.ports.https, *parts, tls=self.tls, **how)

    def line(self) -> Line:
        """Return a connection to the edge over TLS that is kept."""
        return Line(self.ports.https, self.tls)

    async def deliver(self, text: str, *, seconds: float = 20) -> Answer:
        """Deliver something on a connection of its own."""
        line = self.line()
        try:
            return await line.ask(request("POST", upstream.SERVED, body=text.encode()), seconds=seconds)
        finally:
            line.close()

    def notes(self, word: str) -> list[str]:
        """Return which slots took what has this word in it, in order."""
        return [line.split()[0] for line in self.notes_file.read_text().splitlines() if word in line]

    def reload(self) -> None:
        """Make the edge read its configuration again, the way its README says."""
        if self.kind == "caddy":
            command = [self.edge.program.command[0], "reload", "--config", str(self.folder / "caddy"), "--adapter", "caddyfile"]
            command += ["--address", f"unix/{self.folder}/admin.sock", "--force"]
            subprocess.run(command, env=dict(self.edge.program.environment), check=True, capture_output=True, timeout=20)
        else:
            os.kill(self.edge.pid, signal.SIGUSR2 if self.kind == "haproxy" else signal.SIGHUP)

    def kill(self) -> None:
        """End all."""
        for slot in (self.edge, *self.slots.values()):
            slot.kill()


@asynccontextmanager
async def running(kind: str, folder: Path) -> AsyncIterator[Site]:
    """Run an edge with two API processes until it is left."""
    site = Site(kind, folder)
    try:
        await site.start()
        yield site
    finally:
        site.kill()
