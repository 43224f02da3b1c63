"""A working installation that is watched: bots that do well and badly, Prometheus, Alertmanager, and questions to them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import aiohttp

from botstead.operate.alerting.rules import Time
from botstead.processes.embedded import alerting, distribution
from botstead.processes.embedded.folder import free_ports
from botstead.processes.embedded.prometheus import Target
from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import JSON, event, message, signed_channel, webhook
from botstead.processes.prove.fault import Fault
from botstead.processes.prove.installation import Installation, installation
from botstead.processes.prove.load import Load
from botstead.processes.prove.meanwhile import meanwhile
from botstead.processes.prove.rawhttp import request
from botstead.processes.prove.slot import Slot
from botstead.processes.prove.stage import Stage
from tests.doubles import llm
from tests.doubles.open_meteo import OpenMeteo, open_meteo

SCALE = Fraction(1, 60)
"""An hour of the rules is a minute."""
RATE_WINDOW = "15s"
"""What `$__rate_interval` is at a scrape each second and the load of a busy machine."""
STEP = 1

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
from botstead import Bot, Llm, Message, Weather
bot = Bot("forecast")

@bot.command("think")
async def think(llm: Llm) -> str:
    """Ask a model, until the day's budget is used up."""
    return (await llm.ask("how is the sea")).text

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
MODEL = '[llm]\nbudget = "0.0008"\nprice_in = "1.00"\nprice_out = "2.00"\nmax_tokens = 300\nshare = 100\n'
"""A budget for some questions; the rest is refused."""
PROMISES = {"chain": "promise = 0.2\n", "forecast": f"promise = 5\n{MODEL}"}


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
    """What is not installed, and how to get it; empty when nothing is missing."""
    return distribution.missing()


def _watchers(running: Installation) -> str:
    """Start Prometheus and Alertmanager beside an installation, set up as in the appliance but faster; the address of Prometheus."""
    ports = free_ports(2)
    slots = [*running.slots.values(), *([running.edge] if running.edge else [])]
    targets = [Target(job=slot.role, instance=slot.name, port=slot.metrics_port) for slot in slots]
    told = f"receivers:\n  - {{kind: webhook, url_file: {running.folder}/told}}\n"
    (running.folder / "told").write_text(f"{running.provider.base_url}/told")
    (running.folder / "data" / "receivers.yml").write_text(told)
    prepared = alerting.prepare(
        running.folder / "data", targets, prometheus_port=ports[0], alertmanager_port=ports[1], time=Time(SCALE), scrape_seconds=1
    )
    for program in prepared.programs:
        slot = running.slots[program.instance] = Slot(program, log=running.log(program.instance))
        slot.start()
    assert prepared.prometheus is not None
    return prepared.prometheus


@asynccontextmanager
async def watched(folder: Path, *, load_rate: float = 40.0) -> AsyncIterator[Watched]:
    """Run an installation with people who write to it and things that go wrong, and watch it. Gone afterwards."""
    stage = Stage(folder, seed=1, scale="small")
    (folder / "model.key").write_text(llm.KEY)
    async with open_meteo() as weather, llm.llm() as model:
        places = ",".join(base.removeprefix("http://").removesuffix("/v1") for base in (weather.base, model.base))
        settings = {
            "weather_base": weather.base, "weather_geocoding_base": weather.base, "egress_allow": places, "trace_ratio": "1",
            "canary_url": "http://127.0.0.1:1", "canary_seconds": "1",
            "llm_base": model.base, "llm_model": "plain", "llm_key_file": f"{folder}/model.key",
        }  # fmt: skip
        async with installation(stage, api=1, worker=1, edge=True, settings=settings, bots=BOTS, declared=PROMISES) as running:
            door = f"http://127.0.0.1:{running.edge_port}"
            running.add("scheduler", "scheduler-a", canary_url=door).start()
            address = _watchers(running)
            async with aiohttp.ClientSession() as session:
                found = Watched(running, prometheus=address.rstrip("/"), session=session)
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
    for number in range(10_000):
        port = running.ports()[0]
        wrong = request("POST", hook.path, headers=[JSON, ("X-Telegram-Bot-Api-Secret-Token", "wrong")], body=b"{}")
        signed = webhook(second, event(f"c{number % 3}", f"u{number}"), id=f"e{number}")
        for asked in (wrong, signed, signed):
            await _ask(client, port, asked)
        if number % 40 == 20:
            await _ask(client, port, message(running.hooks[1], 900_000 + number, 900_000, "/block"))
        if number % 5 == 1:
            await _ask(client, port, message(running.hooks[1], 800_000 + number, 800_000, "/think"))
        if number % 20 == 10:
            weather.misbehave((503, b"{}"), always=True)
        if number % 20 == 19:
            weather.behave()
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
