"""Secrets of a bot that lives in a process of its own: they come over the pipe, only those it names, and change without a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from botstead.core.errors import HandlerFailed
from botstead.core.messages import Event, Kind
from botstead.core.ports import Incoming, Limits
from botstead.core.secret import Secret
from botstead.core.settings import Settings
from botstead.pipeline.hosted import HostedBot
from botstead.processes.bot_host import environment
from botstead.processes.services import telling
from tests.doubles.rest_service import RestDouble, rest_service

SOURCE = """
import os
import sys

from botstead import Bot, Rest

bot = Bot("caller")


@bot.command("call")
async def call(crm: Rest) -> str:
    seen = [*os.environ.values(), *sys.argv]
    await crm.post("orders", {"visible": any("canary" in text for text in seen)})
    return "called"
"""


def incoming(number: int) -> Incoming:
    event = Event(kind=Kind.MESSAGE, conversation="a", key=str(number), text="/call")
    return Incoming(id=number, bot="caller", channel="t", account=1, conversation="1.a", event=event)


def folder(tmp_path: Path, double: RestDouble) -> Path:
    (tmp_path / "bot.py").write_text(SOURCE)
    table = f'[rest.crm]\nbase = "{double.origin}"\nauth = "bearer"\nsecret = "crm_token"\n'
    (tmp_path / "bot.toml").write_text(f'name = "caller"\n{table}')
    return tmp_path


def test_they_are_told_over_the_pipe_and_a_new_one_counts_for_the_next_event(tmp_path):
    async def story() -> None:
        async with rest_service() as double:
            kept = {"other": Secret("canary-other")}
            given = environment(Settings(egress_allow=("127.0.0.1",)))
            told = []

            def tell() -> bytes:
                told.append(telling(("crm_token",), kept))
                return told[-1]

            bot = HostedBot("caller", folder(tmp_path, double), limits=Limits(), environment=given, told=tell)
            try:
                with pytest.raises(HandlerFailed, match=r"lacks the secret crm_token\. Set it: botstead bots secrets set caller"):
                    await bot.handle(incoming(1))
                for number, value in ((2, "canary-one"), (3, "canary-two")):
                    kept["crm_token"] = Secret(value)
                    await bot.handle(incoming(number))
                    assert double.asked[-1].headers["authorization"] == f"Bearer {value}"
                    assert double.asked[-1].body == b'{"visible":false}'
                ward = bot.ward()
                await ward.handle(incoming(4))
                await ward.end()
                assert double.asked[-1].headers["authorization"] == "Bearer canary-two", "in a process of quarantine too"
                assert not any(b"canary-other" in text for text in told)
                assert bot.running == 0
            finally:
                await bot.stop()

    asyncio.run(story())
