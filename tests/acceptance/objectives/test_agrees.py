"""The ledger in Postgres and the rules in Prometheus count the same: real processes, real messages, an hour is a minute.

How equal? The ledger adds differences of the counters themselves, so it must equal the counters that Prometheus has scraped, to the
last event. The rules see each five-minute step through `increase()`, which knows the first and the last scrape in the step, and
stretches what lies between them to the whole. What came between the last scrape of a step and the first of the next is in neither.
With scrapes of 15 s in steps of 300 that is a twentieth, which the stretching makes good on average, but not for any few events. So
the tolerance is a twentieth for the stretching, and for each step what comes within one scrape, which is whole events: one, if they
come a second apart. Here steps are 5 s and scrapes 0.25 s.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import threading
import urllib.request
import uuid

import pytest

from botstead.operate.objectives.model import Objective, Term, load_objectives
from botstead.processes.objectives import standings
from botstead.store.postgres import Postgres
from tests.acceptance.objectives.prometheus import SCALE, SCRAPE, Prometheus
from tests.servers import free_port, wait_until

SHAKY = """
import asyncio
from botstead import Bot
bot = Bot("shaky")
@bot.on.message
async def hear(message) -> str:
    if "slow" in message.text:
        await asyncio.sleep(0.15)
    if "fail" in message.text:
        raise ValueError("as it was told to")
    return message.text
"""
ROLES = ("api", "worker", "scheduler")
STEP = float(300 * SCALE)
EACH = 0.1
"""Seconds between two messages to each bot."""
MESSAGES = 60
STEPS = math.ceil(MESSAGES * EACH / STEP) + 1
SHAKY_BOT = (("bot", "shaky"),)
WORKER = (("instance", "worker-a"), ("job", "worker"))
TRAFFIC = ("delivery", "delivery_bot", "delivery_channel", "promptness", "queue_freshness", "job_success")
"""Objectives that stand still when nobody speaks."""


class Installation:
    """One process of each role, under its own name, without an edge and without the canary."""

    def __init__(self, dsn, valkey, folder):
        self.folder, self.api_port = folder, free_port()
        bots = folder / "bots" / "shaky"
        bots.mkdir(parents=True)
        (bots / "bot.py").write_text(SHAKY)
        (bots / "bot.toml").write_text("promise = 0.1\ntarget = 90\ncritical = true\n")
        environment = {
            "PATH": os.defpath,
            "BOTSTEAD_POSTGRES": dsn,
            "BOTSTEAD_VALKEY": valkey,
            "BOTSTEAD_DATA": str(folder),
            "BOTSTEAD_BOTS": str(bots.parent),
            "BOTSTEAD_API_PORT": str(self.api_port),
            "BOTSTEAD_DRAIN_SECONDS": "0",
        }
        command = (sys.executable, "-m", "botstead")
        subprocess.run((*command, "migrate"), env=environment, check=True, stdout=subprocess.DEVNULL)
        self.ports = {role: free_port() for role in ROLES}
        self.processes = {}
        for role, port in self.ports.items():
            with (folder / f"{role}.log").open("wb") as log:
                self.processes[role] = subprocess.Popen(
                    (*command, "run", role, "--instance", f"{role}-a"),
                    env={**environment, "BOTSTEAD_METRICS_PORT": str(port)},
                    stderr=log,
                )

    def ready(self):
        return all(self._ready(port) for port in self.ports.values())

    @staticmethod
    def _ready(port):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def say(self, bot, text):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api_port}/chat/{bot}/messages",
            data=json.dumps({"text": text}).encode(),
            headers={"Content-Type": "application/json", "X-Visitor": str(uuid.uuid4())},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 202

    def speak(self, bot):
        """Speak evenly: every fifth message is slow, every tenth fails."""
        for number in range(MESSAGES):
            self.say(bot, "fail" if number % 10 == 3 else "slow" if number % 5 == 0 else "hello")
            threading.Event().wait(EACH)

    def drain(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return [process.wait(20) for process in self.processes.values()]

    def end(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def running(postgres_dsn, valkey_url, tmp_path):
    installation = Installation(postgres_dsn, valkey_url, tmp_path)
    try:
        wait_until(installation.ready, seconds=30, what="all roles ready")
        yield installation
    finally:
        installation.end()


@pytest.fixture
def prometheus(running, tmp_path):
    server = Prometheus(tmp_path / "prometheus", running.ports)
    try:
        yield server
    finally:
        server.stop()


def counted(prometheus: Prometheus, objective: Objective, terms: tuple[Term, ...]) -> dict:
    """What the counters say since the processes started, by the objective's labels."""
    found: dict = {}
    for term in terms:
        matchers = [f'{one.label}{"=~" if one.wanted else "!~"}"{"|".join(one.values)}"' for one in term.matchers]
        matchers += [f'le="{term.le}"'] if term.le else []
        by = f"by ({', '.join(objective.by)})" if objective.by else ""
        for labels, value in prometheus.ask(f"sum {by} ({term.series}{{{','.join(matchers)}}})").items():
            found[labels] = found.get(labels, 0) + term.sign * value
    return {labels: value for labels, value in found.items() if value}


def counts(prometheus: Prometheus, objective: Objective) -> tuple[dict, dict]:
    return counted(prometheus, objective, objective.bad), counted(prometheus, objective, objective.total)


def in_ledger(dsn, objective: Objective) -> tuple[dict, dict]:
    async def read():
        postgres = await Postgres.open(dsn)
        try:
            return await standings(postgres).one(objective.name)
        finally:
            await postgres.close()

    detail = asyncio.run(read())
    rows = {tuple(sorted(one.labels.items())): one for one in detail.standings if one.total}
    return {key: one.bad for key, one in rows.items() if one.bad}, {key: one.total for key, one in rows.items()}


def test_ledger_and_prometheus_agree(running, prometheus, postgres_dsn):
    bots = ("echo", "shaky")
    speakers = [threading.Thread(target=running.speak, args=(bot,)) for bot in bots]
    wait_until(lambda: len(prometheus.ask("up == 1")) == len(ROLES), what="all targets up")
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join(60)
    ended = 'sum(bot_messages_total{outcome=~"delivered|failed|expired"})'
    wait_until(lambda: prometheus.ask(ended).get((), 0) >= len(bots) * MESSAGES, seconds=20, what="every message ended")
    quiet = 'sum(slo:total:ledger5m{slo=~"delivery|queue_freshness|promptness"})'
    wait_until(lambda: prometheus.ask(quiet) == {(): 0}, seconds=20, what="the last step is over")
    objectives = [objective for objective in load_objectives() if objective.name in TRAFFIC]
    scraped = {one.name: counts(prometheus, one) for one in objectives}
    # What bot.toml promises reaches the rules by way of Postgres and the leading scheduler, which looks every 30 s.
    wait_until(lambda: prometheus.ask("max by (bot) (bot_critical)") == {SHAKY_BOT: 1.0}, seconds=40, what="critical")
    assert prometheus.ask("max by (bot) (bot_target_ratio)") == {SHAKY_BOT: 0.9}
    gap = max(SCRAPE, 20 / prometheus.ask('count_over_time(up{job="worker"}[20s])')[WORKER])  # a busy machine scrapes less often
    for one in objectives:
        for what, kept in zip(("bad", "total"), scraped[one.name], strict=True):
            rule = prometheus.ask(f'slo:{what}:count30d{{slo="{one.name}"}}')
            for labels, count in kept.items():
                missed = 1 + STEPS * math.ceil(count / (MESSAGES * EACH) * gap)
                print(f"{one.name} {dict(labels)}: ledger {count}, rules {rule[labels]:.1f}, may be off by {missed:.1f}")
                assert rule[labels] == pytest.approx(count, rel=gap / STEP, abs=missed), (one.name, labels)
    (bad, total), (late, answered) = scraped["delivery_bot"], scraped["promptness"]
    assert total == {(("bot", bot),): MESSAGES for bot in bots}
    assert bad == {(("bot", "shaky"),): MESSAGES / 10}
    assert late[("bot", "shaky"),] >= MESSAGES / 5 - 1
    assert answered[("bot", "shaky"),] == MESSAGES * 9 / 10
    # A last message, and an end before its difference was due: draining adds it.
    sent = scraped["job_success"][1][("queue", "outbox"),]
    running.say("echo", "one more")
    wait_until(lambda: prometheus.ask(ended) == {(): len(bots) * MESSAGES + 1}, what="the last message ended")
    sends = 'sum(job_runs_total{queue="outbox",outcome="done"})'
    wait_until(lambda: prometheus.ask(sends)[()] > sent, what="and was sent")
    scraped = {one.name: counts(prometheus, one) for one in objectives}
    assert set(running.drain()) == {0}
    assert {one.name: in_ledger(postgres_dsn, one) for one in objectives} == scraped
