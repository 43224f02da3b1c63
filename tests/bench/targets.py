"""The appliance as it is measured: split into processes as `botstead up` runs it, or all roles in one process."""

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
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import click

from tests.bench.server import Server

DATABASE = "botstead_bench"
SECRET = "bench-" + secrets.token_hex(8)
TOKEN = "123456:AAbenchbenchbenchbenchbenchbenchbench"
COMMAND = (sys.executable, "-m", "botstead")
MUTED = (sys.executable, "-m", "tests.bench.mute")
"""The same without its telemetry."""
START_SECONDS = 120.0


class Target(NamedTuple):
    """Where updates are delivered, and which processes do the work, by role."""

    name: str
    port: int
    paths: Sequence[str]
    secret: str
    pids: Mapping[str, int]


class Api(NamedTuple):
    """Where an appliance is managed."""

    url: str
    key: str

    def post(self, path: str, body: object) -> dict[str, Any]:
        """Return the answer to a POST."""
        return self._ask(path, json.dumps(body).encode())

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET."""
        return self._ask(path, None)

    def _ask(self, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
            return answer


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def split(api_port: int, server: Server, *, through_edge: bool = False) -> Iterator[Target]:
    """Run an appliance of several processes whose `echo` has a Telegram channel at the load generator.

    Args:
        api_port: where the load generator plays the Bot API.
        server: the Postgres to use.
        through_edge: deliver to the edge; else to the API process behind it, as peers are measured.
    """
    with scratch() as folder:
        data = folder / "data"
        environment = own_environment(api_port, server)
        up = [*COMMAND, "up", "--data", str(data), "--port", str(free_port()), "--detach"]
        started = subprocess.run(up, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        try:
            if started.returncode:
                raise click.ClickException(f"The appliance did not start: {started.stdout}{started.stderr}")
            described = json.loads((data / "appliance.json").read_text())
            api = Api(described["url"], Path(described["admin_key_file"]).read_text().strip())
            pids = {process["role"]: process["pid"] for process in [*described["processes"], *described["servers"]]}
            pids["postgres"] = server.pid
            port = int(described["url"].rpartition(":")[2]) if through_edge else _behind(data)
            yield Target("split", port, [hook(api, "echo", api_port)], SECRET, pids)
        finally:
            subprocess.run([*COMMAND, "down", "--data", str(data)], env=environment, capture_output=True, check=False)


@contextmanager
def one(api_port: int, server: Server, *, bots: Sequence[str] = (), muted: bool = False) -> Iterator[Target]:
    """Run all roles as one process without Valkey, each bot with a Telegram channel at the load generator.

    Args:
        api_port: where the load generator plays the Bot API.
        server: the Postgres to use.
        bots: names of more bots, each a copy of the sample `echo`; the sample itself is used when there are none.
        muted: without its telemetry.
    """
    command, name = (MUTED, "muted") if muted else (COMMAND, "one")
    environment = own_environment(api_port, server)
    with scratch() as folder, one_process(folder, environment, bots=bots, command=command) as (api, process):
        paths = [hook(api, bot, api_port) for bot in bots or ("echo",)]
        yield Target(name, int(api.url.rpartition(":")[2]), paths, SECRET, {"all": process.pid, "postgres": server.pid})


@contextmanager
def one_process(
    folder: Path,
    environment: Mapping[str, str],
    *,
    bots: Sequence[str] = (),
    metrics: int = 0,
    command: Sequence[str] = COMMAND,
) -> Iterator[tuple[Api, subprocess.Popen[bytes]]]:
    """Run all roles as one process; yields when it says that it is ready.

    Args:
        folder: takes its data and its log.
        environment: names its Postgres.
        bots: names of bots, each a copy of the sample `echo`.
        metrics: port of its internal listener; 0 picks one.
        command: starts botstead.
    """
    api_port, metrics = free_port(), metrics or free_port()
    places = {"BOTSTEAD_DATA": str(folder / "data"), "BOTSTEAD_API_PORT": str(api_port), "BOTSTEAD_METRICS_PORT": str(metrics)}
    environment = {"BOTSTEAD_VALKEY": "none", **environment, **places, "BOTSTEAD_DRAIN_SECONDS": "0"}
    write_bots(folder / "data" / "bots", bots)
    subprocess.run([*COMMAND, "migrate"], env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    run = [*command, "run", "api", "worker", "scheduler", "--instance", "all-a"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(run, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(process, lambda: _answers(f"http://127.0.0.1:{metrics}/health/ready"), story=folder / "log")
        yield Api(f"http://127.0.0.1:{api_port}", (folder / "data" / "admin.key").read_text().strip()), process
    finally:
        end(process)


def write_bots(folder: Path, names: Sequence[str]) -> None:
    """Write copies of the sample `echo` under other names."""
    sample = Path(__file__).parents[2] / "platform" / "botstead" / "samples" / "echo"
    source, about = (sample / "bot.py").read_text(), (sample / "bot.toml").read_text()
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "bot.py").write_text(source.replace('Bot("echo")', f'Bot("{name}")'))
        (folder / name / "bot.toml").write_text(about)


def hook(api: Api, bot: str, api_port: int) -> str:
    """Give a bot a Telegram channel whose Bot API is the load generator; returns the path it is delivered to."""
    channel = {
        "kind": "telegram",
        "settings": {"api_base": f"http://127.0.0.1:{api_port}", "mode": "webhook"},
        "secrets": {"token": TOKEN, "hook_secret": SECRET},
    }
    return f"/hooks/{api.post(f'/v1/bots/{bot}/channels', channel)['id']}"


def wait_for(process: subprocess.Popen[bytes], condition: Any, *, story: Path | None = None) -> None:
    """Wait until a process that was just started does what it should.

    Raises:
        ClickException: it ended, or did not in `START_SECONDS`; its log is told.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if condition():
            return
        time.sleep(0.02)
    told = story.read_text(errors="replace")[-3000:] if story else ""
    raise click.ClickException(f"{process.args!r} did not start: {told}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started, by force if it must be."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    process.kill()
    process.wait()


def clean_environment() -> dict[str, str]:
    """Return ours without settings: those of whoever measures must not reach what is measured."""
    return {name: value for name, value in dict(os.environ).items() if not name.startswith("BOTSTEAD_")}


def own_environment(api_port: int, server: Server) -> dict[str, str]:
    """Return settings for an empty database, and with leave to call the load generator at `api_port`."""
    server.recreate(DATABASE)
    own = {"BOTSTEAD_EGRESS_ALLOW": f"127.0.0.1:{api_port}", "BOTSTEAD_POSTGRES": server.dsn(DATABASE)}
    return clean_environment() | own


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="botstead-bench-") as folder:
        yield Path(folder)


def _behind(data: Path) -> int:
    """Return the port of the API process that the edge sends to."""
    found = (data / "edge" / "caddy.json").read_text().partition('"dial": "127.0.0.1:')[2]
    return int(found.partition('"')[0])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
