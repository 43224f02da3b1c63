"""A working installation that is watched: bots that do well and badly, Prometheus, Alertmanager, and questions to them."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import aiohttp

from botstead.operate.alerting.files import rule_files
from botstead.operate.alerting.rules import Time
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import free_ports
from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import JSON, event, message, signed_channel, webhook
from botstead.processes.prove.fault import Fault
from botstead.processes.prove.installation import Installation, installation
from botstead.processes.prove.load import Load
from botstead.processes.prove.meanwhile import meanwhile
from botstead.processes.prove.rawhttp import request
from botstead.processes.prove.slot import Slot
from botstead.processes.prove.stage import Stage
from tests.doubles.open_meteo import OpenMeteo, open_meteo

PROGRAMS = ("prometheus", "prometheus-alertmanager")
SCALE = Fraction(1, 60)
"""An hour of the rules is a minute."""
RATE_WINDOW = "8s"
"""What `$__rate_interval` is at a scrape each second and the load of a busy machine."""
STEP = 1
FAIL_EVERY, SLOW_EVERY = 7, 5

BOTS = {
    "chain": '''
import asyncio
from botstead import Bot, Message
bot = Bot("chain")

@bot.on.message
async def link(message: Message) -> str:
    """Answer, some of it late, some of it never."""
    number = int(message.text[1:])
    if not number % 7:
        raise RuntimeError("a link is missing")
    if not number % 5:
        await asyncio.sleep(0.3)
    return f"link {number}"
''',
    "forecast": '''
import time
from botstead import Bot, Message, Weather
bot = Bot("forecast")

@bot.command("block")
async def block() -> str:
    """Block the worker."""
    time.sleep(1.3)
    return "blocked"

@bot.on.message
async def tell(message: Message, weather: Weather) -> str:
    """Tell the weather of places that nobody asked for before."""
    number = int(message.text[1:]) if message.text[1:].isdigit() else 0
    return (await weather.today("Oslo" if number % 3 else f"Nowhere {number}")).summary
''',
}
PROMISES = {"chain": "promise = 0.2\n", "forecast": "promise = 5\n"}


class Answer(NamedTuple):
    """What Prometheus gave: how many series, and how many of them have a number in them."""

    series: int
    numbers: int
    labels: tuple[Mapping[str, str], ...]
    values: tuple[tuple[tuple[float, float], ...], ...]


class Watched:
    """An installation that works, and its Prometheus."""

    def __init__(self, running: Installation, *, prometheus: str, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.prometheus = prometheus
        self.began = time.time()
        self._session = session

    async def get(self, path: str, **parameters: str) -> dict:
        """The data of an answer of Prometheus' API."""
        async with self._session.post(f"{self.prometheus}/api/v1/{path}", data=parameters) as answer:
            found = await answer.json()
            assert found["status"] == "success", (parameters, found)
            return found["data"]

    async def over_time(self, expression: str) -> Answer:
        """What an expression gave from the beginning until now."""
        found = await self.get(
            "query_range", query=expression, start=f"{self.began:.3f}", end=f"{time.time():.3f}", step=str(STEP)
        )
        values = [
            tuple((float(at), float(value)) for at, value in each["values"] if not math.isnan(float(value)))
            for each in found["result"]
        ]
        labels = tuple(each["metric"] for each in found["result"])
        return Answer(len(values), sum(bool(each) for each in values), labels, tuple(values))

    async def choices(self, metric: str, label: str) -> list[str]:
        """The values of a label, as a variable of a board would find them."""
        async with self._session.get(f"{self.prometheus}/api/v1/label/{label}/values", params={"match[]": metric}) as answer:
            return sorted((await answer.json())["data"])


def missing() -> str:
    """Which program is not installed; empty when all are."""
    return next((name for name in PROGRAMS if shutil.which(name) is None), "")


def _targets(running: Installation, ports: Mapping[str, int]) -> list[dict]:
    slots = [*running.slots.values(), *([running.edge] if running.edge else [])]
    found = [
        {"labels": {"job": slot.role, "instance": slot.name}, "targets": [f"127.0.0.1:{slot.metrics_port}"]} for slot in slots
    ]
    return found + [
        {"labels": {"job": name, "instance": f"{name}-a"}, "targets": [f"127.0.0.1:{port}"]} for name, port in ports.items()
    ]


def _settings(running: Installation, ports: Mapping[str, int]) -> dict:
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{ports['alertmanager']}"]}]}]},
        "scrape_configs": [{"job_name": "all", "static_configs": _targets(running, ports)}],
    }


async def _watchers(running: Installation) -> dict[str, int]:
    """Start Prometheus and Alertmanager beside an installation; their ports."""
    ports = dict(zip(("prometheus", "alertmanager"), free_ports(2), strict=True))
    folder = running.folder / "watch"
    (folder / "rules").mkdir(parents=True)
    for name, text in rule_files(Time(SCALE)).items():
        (folder / "rules" / name.replace(".rules", "")).write_text(text)
    (folder / "prometheus.json").write_text(json.dumps(_settings(running, ports)))
    receiver = {"name": "nobody", "webhook_configs": [{"url": f"{running.provider.base_url}/alerts", "send_resolved": True}]}
    route = {"receiver": "nobody", "group_wait": "1s", "group_interval": "2s", "group_by": ["alertname"]}
    (folder / "alertmanager.json").write_text(json.dumps({"route": route, "receivers": [receiver]}))
    commands = {
        "alertmanager": (
            "prometheus-alertmanager", f"--config.file={folder}/alertmanager.json", f"--storage.path={folder}/alerts",
            f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", "--cluster.listen-address=",
        ),
        "prometheus": (
            "prometheus", f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/series",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}", "--enable-feature=exemplar-storage",
        ),
    }  # fmt: skip
    for name, command in commands.items():
        program = Program(
            role=name,
            instance=f"{name}-a",
            command=(shutil.which(command[0]), *command[1:]),
            environment={"PATH": "/usr/bin:/bin"},
            folder=folder,
        )
        slot = running.slots[f"{name}-a"] = Slot(program, log=running.log(name), port=ports[name])
        slot.start()
    return ports


@asynccontextmanager
async def watched(folder: Path, *, load_rate: float = 40.0) -> AsyncIterator[Watched]:
    """Run an installation with people who write to it and things that go wrong, and watch it. Gone afterwards."""
    stage = Stage(folder, seed=1, scale="small")
    async with open_meteo() as weather:
        places = weather.base.removeprefix("http://")
        settings = {
            "weather_base": weather.base, "weather_geocoding_base": weather.base, "egress_allow": places, "trace_ratio": "1",
            "canary_url": "http://127.0.0.1:1", "canary_seconds": "1",
        }  # fmt: skip
        async with installation(stage, api=1, worker=1, edge=True, settings=settings, bots=BOTS) as running:
            door = f"http://127.0.0.1:{running.edge_port}"
            running.add("scheduler", "scheduler-a", canary_url=door).start()
            ports = await _watchers(running)
            async with aiohttp.ClientSession() as session:
                found = Watched(running, prometheus=f"http://127.0.0.1:{ports['prometheus']}", session=session)
                await _until_ready(found, session)
                load = Load(stage, running, updates=100_000, conversations=200, rate=load_rate)
                async with meanwhile(_write(load)), meanwhile(_go_wrong(running, weather)), meanwhile(_administer(running)):
                    yield found
                    load.stop()


async def _until_ready(found: Watched, session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                async with session.get(f"{found.prometheus}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


async def _write(load: Load) -> None:
    """People write; what is under way at the end is nobody's business here."""
    await load.run()


async def _go_wrong(running: Installation, weather: OpenMeteo) -> None:
    """A provider refuses some sends; strangers knock; a service is away for a while; a handler blocks; a key is wrong."""
    client = Client()
    hook = running.hooks[0]
    second = await signed_channel(running, "chain")
    refusals = [Fault(times=-1, every=9, kind="answer", status=400, description="Bad Request: chat not found")]
    slow = [Fault(times=-1, every=11, kind="slow", seconds=0.4)]
    await running.provider.faults("", [*refusals, *slow])
    await _ask(client, running.ports()[0], message(running.hooks[1], 900_001, 900_001, "/block"))
    for number in range(10_000):
        port = running.ports()[0]
        wrong = request("POST", hook.path, headers=[JSON, ("X-Telegram-Bot-Api-Secret-Token", "wrong")], body=b"{}")
        signed = webhook(second, event(f"c{number % 3}", f"u{number}"), id=f"e{number}")
        for asked in (wrong, signed, signed):
            await _ask(client, port, asked)
        if number % 20 == 10:
            weather.misbehave((503, b"{}"), (503, b"{}"), (503, b"{}"), (503, b"{}"))
        await asyncio.sleep(0.2)


async def _administer(running: Installation) -> None:
    """Somebody looks around in the API, and mistypes."""
    client = Client()
    while True:
        for method, path in (
            ("GET", "/v1/bots"),
            ("GET", "/v1/messages"),
            ("GET", "/v1/nothing"),
            ("POST", "/v1/bots/none/channels"),
        ):
            await running.api(method, path, {} if method == "POST" else None)
        await _ask(client, running.edge_port, request("GET", "/v1/bots", headers=[("Authorization", "Bearer wrong")]))
        await asyncio.sleep(0.3)


async def _ask(client: Client, port: int, asked: bytes) -> None:
    try:
        await client.ask(port, asked, seconds=5)
    except (OSError, TimeoutError):
        return
