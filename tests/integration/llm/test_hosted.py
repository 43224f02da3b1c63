"""A bot with a language model in a process of its own: the day's stop holds there too, and the key comes over the pipe."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from botstead.bots.manifest import read_manifest
from botstead.core.errors import HandlerFailed
from botstead.core.messages import Event, Kind, Send
from botstead.core.ports import Incoming
from botstead.core.secret import Secret
from botstead.core.settings import Settings
from botstead.pipeline import drafts
from botstead.pipeline.hosted import BotDied, HostedBot
from botstead.processes import bot_host, models
from botstead.processes.services import telling
from botstead.runtime.keyring import KeyRing
from botstead.runtime.sealing import Sealer
from botstead.store.llm_usage import LlmDay, UsageRows
from botstead.store.postgres import Postgres
from botstead.store.registry import Registry
from botstead.store.valkey import MemoryWake
from tests.doubles.llm import KEY, WORDS, llm, words

FOLDER = Path(__file__).parent / "poet"


def incoming(text: str, number: int = 1) -> Incoming:
    event = Event(Kind.MESSAGE, "a", f"k{number}", text=text)
    return Incoming(id=number, bot="poet", channel="webchat", account=1, conversation="1.a", event=event)


class Poet:
    """The bot in its process, its meter on Postgres, and the double that it asks."""

    def __init__(self, bot: HostedBot, rows: UsageRows, number: int, double) -> None:
        self.bot, self.rows, self.number, self.double = bot, rows, number, double

    async def ask(self, text: str, number: int = 1) -> str:
        effects = await self.bot.handle(incoming(text, number))
        (action,) = effects.actions
        assert isinstance(action, Send)
        return action.text

    async def settled(self, requests: int) -> LlmDay:
        async with asyncio.timeout(5):
            while (day := await self.rows.today(self.number)) is None or day.set_aside or day.requests < requests:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return day


@asynccontextmanager
async def poet(dsn):
    postgres = await Postgres.open(dsn)
    sealer = Sealer(KeyRing(current="k1", keys={"k1": bytes(32)}, pepper=bytes(32)))
    try:
        async with llm() as double:
            number = await Registry(postgres, sealer).ensure_bot("poet", "python")
            settings = Settings(egress_allow=("127.0.0.1",), llm_base=double.base)
            manifest, rows = read_manifest(FOLDER), UsageRows(postgres)
            shared = models.shared_for(manifest, Secret(KEY))
            bot = HostedBot(
                "poet",
                FOLDER,
                limits=manifest.limits,
                environment=bot_host.environment(settings),
                told=lambda: telling(tuple(shared), shared),
                lending=models.lending(manifest, settings, rows),
            )
            try:
                yield Poet(bot, rows, number, double)
            finally:
                await bot.stop()
    finally:
        await postgres.close()


def run(dsn, story):
    async def play():
        async with poet(dsn) as here, asyncio.timeout(60):
            await story(here)

    asyncio.run(play())


def test_it_asks_with_the_appliances_key_and_tells_what_it_took(postgres_dsn):
    async def story(here):
        assert await here.ask("ask how is the sea") == "".join(WORDS)
        assert here.double.keys == [f"Bearer {KEY}"]
        day = await here.settled(1)
        assert (day.asked, day.answered, day.cost) == (11, 6, 0.000023)

    run(postgres_dsn, story)


def test_the_days_stop_holds_for_events_side_by_side(postgres_dsn):
    async def story(here):
        texts = await asyncio.gather(*(here.ask("ask how is the sea", number) for number in range(40)))
        answered = texts.count("".join(WORDS))
        assert answered == len(here.double.asked)
        assert 0 < answered < 40
        assert all(text == "".join(WORDS) or "tomorrow" in text for text in texts)
        day = await here.settled(answered)
        assert day.cost <= day.budget
        while (await here.ask("ask how is the sea")) == "".join(WORDS):
            await here.settled(len(here.double.asked))
        day = await here.settled(len(here.double.asked))
        assert day.cost <= day.budget
        assert day.left < 0.0002

    run(postgres_dsn, story)


def test_a_handler_that_failed_tells_what_it_took(postgres_dsn):
    async def story(here):
        with pytest.raises(HandlerFailed):
            await here.ask("fail")
        assert (await here.settled(1)).cost == 0.000023

    run(postgres_dsn, story)


def test_a_process_that_died_counts_as_having_taken_all_that_it_was_lent(postgres_dsn):
    async def story(here):
        with pytest.raises(BotDied):
            await here.ask("die")
        day = await here.settled(1)
        assert (day.cost, day.estimated) == (0.00025, 1)

    run(postgres_dsn, story)


def test_its_reply_is_seen_while_it_grows(postgres_dsn):
    async def story(here):
        wake, heard, first = MemoryWake(), [], asyncio.Event()

        def hear(hint: str) -> None:
            heard.append(drafts.read(hint))
            first.set()

        wake.subscribe(drafts.TOPIC, hear)
        here.bot.drafts = drafts.Drafts(wake, ["webchat"])
        gate = asyncio.Event()
        begin, *rest = words(*WORDS)[1:]
        here.double.play([begin, gate, *rest])
        asking = asyncio.create_task(here.ask("stream how is the sea", 7))
        await first.wait()
        assert heard == [drafts.Drafted("1.a", 7, WORDS[0])]
        gate.set()
        assert await asking == "".join(WORDS)
        assert (await here.settled(1)).answered == 6

    run(postgres_dsn, story)
