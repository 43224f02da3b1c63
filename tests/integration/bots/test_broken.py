"""A bot that cannot be loaded is named, and hurts no other; what its code said is for who may read bots, not for the log."""

from __future__ import annotations

import asyncio
import logging

from botstead.core.settings import Settings
from botstead.processes.foundation import KEY_RING, Foundation
from botstead.processes.worker import BotWorker
from botstead.runtime import keyring
from botstead.runtime.tasks import Tasks
from botstead.telemetry.logs import JsonLines

SAID = "password of the CRM"
OWN = "own_process = true\n"
BOTS = {
    "broken": (f'raise ValueError("{SAID}")\n', ""),
    "broken-own": (f'raise ValueError("{SAID}")\n', OWN),
    "misspelt": ("from botstead import Bott\n", ""),
    "well": ('from botstead import Bot\nbot = Bot("well")\n', ""),
    "well-own": ('from botstead import Bot\nbot = Bot("well-own")\n', OWN),
}


def test_the_others_run_and_the_log_tells_the_kind_alone(postgres_dsn, tmp_path, caplog):
    for name, (source, more) in BOTS.items():
        (tmp_path / "bots" / name).mkdir(parents=True)
        (tmp_path / "bots" / name / "bot.py").write_text(source)
        (tmp_path / "bots" / name / "bot.toml").write_text(more)
    keyring.load_or_create(tmp_path / KEY_RING)
    settings = Settings(postgres=postgres_dsn, data=tmp_path, valkey="none", samples=False, instance="worker-a")

    async def story() -> dict[str, str | None]:
        tasks = Tasks()
        async with Foundation(settings, tasks) as foundation:
            worker = BotWorker(foundation)
            await worker.start()
            try:
                known = {name: await foundation.registry.bot(name) for name in BOTS}
                assert {name for name, bot in known.items() if bot.id in worker._bots.handlers} == {"well", "well-own"}
                return {name: bot.problem for name, bot in known.items()}
            finally:
                await worker.drain()
                await tasks.stop(1)

    with caplog.at_level(logging.DEBUG):
        problems = asyncio.run(story())
    assert problems["well"] is problems["well-own"] is None
    for name in ("broken", "broken-own"):
        assert f"bot.py line 1: ValueError: {SAID}." in problems[name]
    log = "\n".join(JsonLines(role="worker", instance="worker-a").format(record) for record in caplog.records)
    assert log.count("bot.py line 1: ValueError …") == 2
    assert log.count("bot_broken") == 3
    assert SAID not in log
