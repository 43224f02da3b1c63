"""The canary goes through real processes over HTTP, says which one is missing, and is nobody's traffic."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.servers import free_port, wait_until


class Process:
    """One role under its own name."""

    def __init__(self, role: str, folder: Path, environment: dict[str, str], *, letter: str = "a") -> None:
        self.metrics_port = free_port()
        self.log = folder / f"{role}-{letter}.log"
        command = (sys.executable, "-m", "botstead", "run", role, "--instance", f"{role}-{letter}")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**environment, "BOTSTEAD_METRICS_PORT": str(self.metrics_port)}, stderr=log
            )

    def ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/health/ready", timeout=1) as answer:
            return answer.status == 200
        return False

    def metric(self, name: str) -> float | None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=2) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else None

    def events(self, name: str) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if f'"event":"{name}"' in line]


class Installation:
    """One process of each role, without an edge: the canary goes straight to the API."""

    def __init__(self, dsn: str, valkey: str, folder: Path) -> None:
        self.folder, self.api_port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.environment = {
            "PATH": os.defpath,
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "BOTSTEAD_POSTGRES": dsn,
            "BOTSTEAD_VALKEY": valkey,
            "BOTSTEAD_DATA": str(folder),
            "BOTSTEAD_API_PORT": str(self.api_port),
            "BOTSTEAD_DRAIN_SECONDS": "0",
            "BOTSTEAD_CANARY_URL": self.url,
            "BOTSTEAD_CANARY_SECONDS": "0.3",
        }
        migrate = (sys.executable, "-m", "botstead", "migrate")
        subprocess.run(migrate, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        self.roles = {role: Process(role, folder, self.environment) for role in ("api", "worker", "scheduler")}

    def __getitem__(self, role: str) -> Process:
        return self.roles[role]

    def probes(self, outcome: str) -> float:
        return self["scheduler"].metric(f'canary_probes_total{{outcome="{outcome}"}}') or 0.0

    def call(self, path: str):
        key = (self.folder / "admin.key").read_text().strip()
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def end(self) -> None:
        for role in self.roles.values():
            role.process.kill()
            role.process.wait()


@pytest.fixture
def running(postgres_dsn, valkey_url, tmp_path):
    installation = Installation(postgres_dsn, valkey_url, tmp_path)
    try:
        wait_until(lambda: all(role.ready() for role in installation.roles.values()), seconds=30, what="all roles ready")
        wait_until(lambda: installation.probes("ok") >= 2, what="two messages over the whole road")
        yield installation
    finally:
        installation.end()


def test_it_sings_is_nobodys_traffic_and_names_what_is_missing(running):
    scheduler = running["scheduler"]
    assert scheduler.metric("canary_round_trip_seconds_count") >= 2
    assert scheduler.metric("canary_round_trip_seconds_sum") / scheduler.metric("canary_round_trip_seconds_count") < 0.5
    assert running["worker"].metric('bot_messages_total{bot="canary",channel="loopback",outcome="delivered"}') >= 2
    up = ("scheduler_leader", "postgres_up", "valkey_up")
    wait_until(lambda: all(scheduler.metric(name) == 1 for name in up), what="the leader's first look")
    assert running["worker"].metric("postgres_up") is None

    # Lists leave it out, unless it is asked for by name.
    assert "canary" not in {bot["name"] for bot in running.call("/v1/bots")["items"]}
    assert running.call("/v1/conversations")["items"] == running.call("/v1/messages")["items"] == []
    (channel,) = running.call("/v1/bots/canary/channels")["items"]
    assert (channel["kind"], channel["health"]["status"], channel["health"]["facts"]["hop"]) == ("loopback", "ok", "ok")
    assert running.call("/v1/conversations?bot=canary")["items"][0]["bot"] == "canary"

    # A worker that hangs is named, and so is its end.
    running["worker"].process.send_signal(signal.SIGSTOP)
    wait_until(lambda: running.probes("worker") >= 1, what="the worker is named")
    said = scheduler.events("canary_failed")[-1]
    assert said["hop"] == "worker"
    assert "worker-a" in said["detail"]
    running["worker"].process.send_signal(signal.SIGCONT)
    wait_until(lambda: scheduler.events("canary_sings_again"), what="it sings again")

    # Without the API nobody listens.
    running["api"].process.kill()
    wait_until(lambda: running.probes("edge") >= 1, what="the way in is named")


def test_the_heir_of_a_dead_leader_watches(running):
    first = running["scheduler"]
    heir = running.roles["heir"] = Process("scheduler", running.folder, running.environment, letter="b")
    wait_until(heir.ready, seconds=15, what="the second scheduler")
    wait_until(lambda: heir.metric("scheduler_leader") == 0, what="the second one does not lead")
    wait_until(lambda: first.metric("scheduler_leader") == first.metric("postgres_up") == 1, what="the first one's look")
    assert heir.metric("postgres_up") is heir.metric('job_queue_depth{queue="inbox"}') is None
    first.process.kill()
    wait_until(lambda: heir.metric("scheduler_leader") == heir.metric("postgres_up") == 1, what="it watches now")
    wait_until(lambda: (heir.metric('canary_probes_total{outcome="ok"}') or 0) >= 1, what="its canary sings")
    heir.process.send_signal(signal.SIGTERM)
    assert heir.process.wait(15) == 0, heir.log.read_text()[-2000:]
    assert "Traceback" not in heir.log.read_text()
