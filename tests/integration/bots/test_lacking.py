"""A bot without its secret is loaded and says what it lacks; once the secret is set, a hint is enough."""

from __future__ import annotations

import asyncio

import pytest

from botstead.core.errors import HandlerFailed
from botstead.core.messages import Event, Kind
from botstead.core.ports import Incoming
from botstead.core.settings import Settings
from botstead.processes.foundation import KEY_RING, Foundation
from botstead.processes.worker import BotWorker
from botstead.runtime import keyring
from botstead.runtime.tasks import Tasks
from tests.doubles.rest_service import rest_service

SOURCE = """
from botstead import Bot, Rest

bot = Bot("shop")


@bot.command("order")
async def order(crm: Rest) -> str:
    return str((await crm.json("orders"))["number"])
"""


def incoming(bot: str, number: int) -> Incoming:
    event = Event(kind=Kind.MESSAGE, conversation="a", key="k", text="/order")
    return Incoming(id=number, bot=bot, channel="t", account=1, conversation="1.a", event=event)


@pytest.mark.parametrize("own_process", ["false", "true"])
def test_a_bot_without_its_secret_runs_and_a_hint_brings_it(postgres_dsn, tmp_path, own_process):
    async def story() -> None:
        async with rest_service() as crm:
            folder = tmp_path / "shop"
            folder.mkdir()
            (folder / "bot.py").write_text(SOURCE)
            table = f'[rest.crm]\nbase = "{crm.origin}"\nauth = "bearer"\nsecret = "crm_token"\n'
            (folder / "bot.toml").write_text(f"own_process = {own_process}\n{table}")
            keyring.load_or_create(tmp_path / KEY_RING)
            settings = Settings(
                postgres=postgres_dsn,
                data=tmp_path,
                valkey="none",
                bots=(folder,),
                samples=False,
                instance="worker-a",
                egress_allow=("127.0.0.1",),
            )
            tasks = Tasks()
            async with Foundation(settings, tasks) as foundation:
                worker = BotWorker(foundation)
                await worker.start()
                try:
                    await _follow(foundation, worker)
                finally:
                    await worker.drain()
                    await tasks.stop(1)
            assert [asked.headers["authorization"] for asked in crm.asked] == ["Bearer canary"]

    asyncio.run(story())


async def _follow(foundation: Foundation, worker: BotWorker) -> None:
    registry = foundation.registry
    known = await registry.bot("shop")
    assert known.problem == "It lacks the secret crm_token. Set it: botstead bots secrets set shop crm_token --file FILE"
    handler = worker._bots.handlers[known.id]
    with pytest.raises(HandlerFailed, match="lacks the secret crm_token"):
        await handler.handle(incoming("shop", 1))
    await foundation.secrets.set("shop", "crm_token", "canary")
    foundation.wake.publish("directory")
    async with asyncio.timeout(4):  # less than the worker looks again without a hint
        while (await registry.bot("shop")).problem is not None:  # noqa: ASYNC110  it stands in the database
            await asyncio.sleep(0.02)
    effects = await handler.handle(incoming("shop", 2))
    assert [action.text for action in effects.actions] == ["1"]
