"""A running installation emits every metric of the catalogue, in the processes that it names; and nothing of what is secret.

One installation of three processes for all tests here: people write, some things fail, and then pages and logs are read.
"""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from typing import NamedTuple

import msgspec
import pytest
import uvloop
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read

from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import JSON, event, message, signed_channel, telegram, update, webhook
from botstead.processes.prove.fault import Fault
from botstead.processes.prove.installation import Installation, installation
from botstead.processes.prove.meanwhile import meanwhile
from botstead.processes.prove.rawhttp import request
from botstead.processes.prove.stage import Stage
from botstead.telemetry.catalog import METRICS, VITALS
from tests.doubles import llm
from tests.doubles.open_meteo import open_meteo

SECONDS = 40.0
"""How long the installation may take to show everything."""
TEXT = "canary-a-person-wrote-this"
NAME = "Canary Given Name"
TOKEN = "1000999:canaryTOKENcanaryTOKENcanaryTOKEN12"
HOOK_SECRET = "canary-hook-secret-0123456789"
HEADER = "canary-of-a-header"
QUERY = "canary-of-a-query"
WRONG_KEY = "bsk_canary0123_canarycanarycanarycanarycanary000000"
ANSWER = "canary of what a service answered"
SECRETS = (TEXT, NAME, TOKEN, TOKEN.partition(":")[2], HOOK_SECRET, HEADER, QUERY, WRONG_KEY, ANSWER, llm.KEY)

HAPPENED = ("handler_failed", "message_parked", "send_failed")
"""Events without which nothing was in danger of being logged."""

SHOP = """
import asyncio, time
from botstead import Bot, Chat, Http, Llm, Message, Weather

bot = Bot("shop")

@bot.command("weather <city>")
async def forecast(city: str, weather: Weather) -> str:
    return (await weather.today(city)).summary

@bot.command("fail <words>")
async def fail(words: str) -> str:
    raise ValueError(words)

@bot.command("block")
async def block() -> str:
    time.sleep(1.2)
    return "blocked"

@bot.command("slow")
async def slow(message: Message) -> str:
    await asyncio.sleep(0.3)
    return message.text

@bot.command("ask <url>")
async def ask(url: str, http: Http) -> str:
    return (await http.get(url, headers={"authorization": "canary-of-a-header"})).text

@bot.command("think")
async def think(llm: Llm) -> str:
    return (await llm.ask("how is the sea")).text

@bot.command("buy")
async def buy(chat: Chat) -> None:
    chat.pay("1.00", "EUR", "A canary")

@bot.on.message
async def echo(message: Message) -> str:
    return message.text
"""

MODEL = '[llm]\nbudget = "0.0008"\nprice_in = "1.00"\nprice_out = "2.00"\nmax_tokens = 300\nshare = 100\n'
"""A budget for some questions; the rest is refused."""
EMPTY = {
    "job_queue_oldest_timestamp_seconds": "nothing waits for as long as a look lasts",
    "bot_outbox_oldest_timestamp_seconds": "likewise",
    "payments_unfulfilled_oldest_timestamp_seconds": "nobody has paid",
    "payment_attempts_unknown_oldest_timestamp_seconds": "the test page always answers",
    "postgres_dead_tuple_ratio": "no table has a thousand dead rows so soon",
    "valkey_memory_used_ratio": "this Valkey has no limit",
    "host_pressure_waiting_seconds_total": "not every kernel tells",
    "host_oom_kills_total": "not every container shows it",
}
"""Readings that may be absent here."""
UNMOVED = {"botstead_trace_spans_total": "there is no collector here; test_traces has one"}
"""Metrics that stay at 0 here."""


class Seen(NamedTuple):
    """Role to its page, and everything that anybody may see of the installation."""

    pages: dict[str, dict[str, float]]
    told: str
    logs: str


def values(port: int) -> tuple[str, dict[str, float]]:
    """A page, and the sum of each metric's values; of a histogram, how often it was observed."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        page = answer.read().decode()
    found: dict[str, float] = {}
    for family in read(page):
        for sample in family.samples:
            if not sample.name.endswith(("_bucket", "_sum")):
                name = sample.name.removesuffix("_count") if family.type == "histogram" else sample.name
                found[name] = found.get(name, 0.0) + sample.value
    return page, found


def lacking(pages: dict[str, dict[str, float]]) -> list[str]:
    """What the catalogue promises and nobody has shown yet, in words."""
    missing = [
        f"{role} does not show {family.name}"
        for family in METRICS.families.values()
        for role in family.roles
        if family.name not in pages[role]
    ]
    missing += [
        f"nothing has moved {family.name}"
        for family in METRICS.families.values()
        if family.kind != "gauge" and family.name not in UNMOVED and not any(page.get(family.name) for page in pages.values())
    ]
    return missing + [f"no reading {name}" for name in VITALS.all if name not in pages["scheduler"] and name not in EMPTY]


async def _write(running: Installation, shop, signed, port: int) -> None:
    """People write, strangers knock, an operator looks around."""
    client = Client()
    for number in range(100_000):
        chat = 7_000 + number % 5
        told = update(number, chat, f"{TEXT} {number}")
        told["message"]["from"] |= {"first_name": NAME, "username": "canary_user_name"}
        asked = [
            telegram(shop, msgspec.json.encode(told), headers=[("X-Canary", HEADER)]),
            message(shop, 10_000_000 + number, 8_000, f"/fail {TEXT}"),
            message(shop, 20_000_000 + number, 8_001, "/slow"),
            message(shop, 30_000_000 + number, 8_002, f"/weather {'Oslo' if number % 2 else TEXT}"),
            message(shop, 40_000_000 + number, 8_003, f"/ask http://127.0.0.1:{port}/{QUERY}?q={QUERY}"),
            message(shop, 50_000_000 + number, 9_009, TEXT),
            webhook(signed, event("c", TEXT), id=f"e{number // 2}"),
            request("POST", shop.path, headers=[JSON, ("X-Telegram-Bot-Api-Secret-Token", HEADER)], body=TEXT.encode()),
            telegram(shop, b'{"update_id": "' + TEXT.encode() + b'"'),
            request("GET", f"/v1/messages?q={QUERY}", headers=[("Authorization", f"Bearer {WRONG_KEY}")]),
            request("POST", f"/v1/bots?{QUERY}", headers=[JSON, ("Authorization", f"Bearer {WRONG_KEY}")], body=TEXT.encode()),
            request("PROPFIND", f"/{QUERY}", headers=[("X-Canary", HEADER)]),
        ]
        if number == 3:
            asked.append(message(shop, 70_000_000 + number, 8_005, "/buy"))
        if number % 2:
            asked.append(message(shop, 80_000_000 + number, 8_006, "/think"))
        if number % 20 == 5:
            asked.append(message(shop, 60_000_000 + number, 8_004, "/block"))
        for each in asked:
            with_port = running.ports()[0]
            try:
                await client.ask(with_port, each, seconds=10)
            except (OSError, TimeoutError):
                continue
        await running.api("GET", f"/v1/messages?q={TEXT}")
        await asyncio.sleep(0.1)


async def _story(folder) -> Seen:
    stage = Stage(folder, seed=1, scale="small")
    own = folder.parent / "own" / "shop"
    own.mkdir(parents=True)
    (own / "bot.py").write_text(SHOP)
    (own / "bot.toml").write_text('promise = 0.1\ntarget = 90\ncritical = true\negress = ["*"]\n' + MODEL)
    (folder / "model.key").write_text(llm.KEY)
    async with open_meteo() as weather, llm.llm() as model:
        place = ",".join(base.removeprefix("http://").removesuffix("/v1") for base in (weather.base, model.base))
        settings = {
            "weather_base": weather.base, "weather_geocoding_base": weather.base, "egress_allow": place, "trace_ratio": "1",
            "bots": f"{folder}/bots,{own.parent}", "canary_seconds": "0.5", "canary_url": "http://127.0.0.1:1",
            "llm_base": model.base, "llm_model": "plain", "llm_key_file": f"{folder}/model.key",
        }  # fmt: skip
        async with installation(stage, settings=settings) as running:
            running.add("scheduler", "scheduler-a", canary_url=f"http://127.0.0.1:{running.ports()[0]}").start()
            made = {"kind": "telegram", "settings": {"api_base": running.provider.base_url}}
            status, channel = await running.api(
                "POST", "/v1/bots/shop/channels", {**made, "secrets": {"token": TOKEN, "hook_secret": HOOK_SECRET}}
            )
            assert status == 201, channel
            shop = msgspec.structs.replace(running.hooks[0], bot="shop", path=f"/hooks/{channel['id']}", secret=HOOK_SECRET)
            signed = await signed_channel(running, "shop")
            await running.provider.faults(
                "",
                [
                    Fault(times=-1, chat=9_009, kind="answer", status=400, description=f"Bad Request: {TEXT}"),
                    Fault(times=-1, every=9, kind="answer", status=500, description=f"Sorry {TOKEN}"),
                ],
            )
            weather.misbehave((503, ANSWER.encode()), (503, ANSWER.encode()), (503, ANSWER.encode()))
            async with meanwhile(_write(running, shop, signed, running.provider.port)):
                return await _watch(running)


async def _watch(running: Installation) -> Seen:
    deadline = time.monotonic() + SECONDS
    while True:
        slots = [(running.of(role)[0]) for role in ("api", "worker", "scheduler")]
        pages, told = {}, []
        for slot in slots:
            try:
                page, pages[slot.role] = await asyncio.to_thread(values, slot.metrics_port)
            except OSError:
                page, pages[slot.role] = "", {}
            told.append(page)
        logs = "\n".join(slot.log.read_text() for slot in slots)
        complete = not lacking(pages) and all(f'"{happened}"' in logs for happened in HAPPENED)
        if complete or time.monotonic() > deadline:
            return Seen(pages, "\n".join(told), logs)
        await asyncio.sleep(0.25)


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Seen:
    """What an installation showed."""
    folder = tmp_path_factory.mktemp("metrics") / "stage"
    folder.mkdir()
    return uvloop.run(_story(folder))


def test_every_metric_is_emitted_where_the_catalogue_says(seen):
    missing = lacking(seen.pages)
    assert not missing, "\n".join(missing)


def test_no_process_shows_what_is_not_its_own(seen):
    for role, page in seen.pages.items():
        others = {name for name, family in METRICS.families.items() if role not in family.roles}
        assert not others & set(page), role
    assert not set(VITALS.all) & {*seen.pages["api"], *seen.pages["worker"]}


def test_metrics_hold_no_secret_and_nothing_that_people_wrote(seen):
    assert [canary for canary in SECRETS if canary in seen.told] == []
    assert "canary_user_name" not in seen.told
    assert "bot_messages_total{" in seen.told


def test_logs_hold_no_secret_and_nothing_that_people_wrote(seen):
    for canary in (*SECRETS, "canary_user_name"):
        lines = [line for line in seen.logs.splitlines() if canary in line]
        assert not lines, f"{canary}: {lines[:3]}"
    for happened in HAPPENED:
        assert f'"{happened}"' in seen.logs, "the story was not told to its end"


def test_exemplars_lead_to_a_trace(seen):
    assert re.search(r'bot_message_duration_seconds_bucket\{[^}]*bot="shop"[^}]*\} \d+ # \{trace_id="[0-9a-f]{32}"\}', seen.told)
