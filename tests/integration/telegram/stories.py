"""What every test here needs: a Bot API server, a way out, and a channel that uses both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from botstead.core.messages import Send
from botstead.core.ports import Account, Sending
from botstead.core.secret import Secret
from botstead.runtime.egress import EgressClient
from tests.doubles.telegram import Bot, TelegramDouble

TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
HOOK_SECRET = "hook_secret-1"


class Stage:
    """One bot on one server."""

    def __init__(self, server: TelegramDouble, egress: EgressClient) -> None:
        self.server = server
        self.egress = egress

    @property
    def bot(self) -> Bot:
        return self.server.bot(TOKEN)

    def account(self, *, mode: str = "webhook", token: str = TOKEN, base: str = "") -> Account:
        return Account(
            id=1,
            public_id="pub",
            kind="telegram",
            bot=1,
            bot_name="b",
            settings={"api_base": base or self.server.url, "mode": mode},
            secrets={"token": Secret(token), "hook_secret": Secret(HOOK_SECRET)},
        )


def told(story: Callable[[Stage], Awaitable[None]], *, seconds: float = 20.0, **options: Any) -> None:
    """Run a story; at its end nothing we sent may have broken the rules of the Bot API."""

    async def run() -> None:
        egress = EgressClient(allow=("127.0.0.1",))
        try:
            async with asyncio.timeout(seconds), TelegramDouble(**options) as server:
                await story(Stage(server, egress))
        finally:
            await egress.close()

    asyncio.run(run())


def sending(action: Any = None, conversation: str = "7") -> Sending:
    return Sending(id=77, conversation=conversation, action=action or Send("hi"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about; `told` has the deadline."""
    while not condition():  # noqa: ASYNC110  what is waited for has no event of its own
        await asyncio.sleep(0.005)
