"""A Bot API server to test against: strict about what it is sent, scripted in how it fails, and with a memory that survives.

In a test:

    async with TelegramDouble() as telegram:
        bot = telegram.bot(TOKEN)
        bot.fault(Fault(status=429, retry_after=3))
        …
        assert bot.sent[0].text == "Hello"
    # leaving the block fails the test if any request broke the rules of the Bot API

As a process, for tests that kill things: `python tests/doubles/telegram.py --port 9300 --log sends.jsonl`. Each request that had an
effect is one line in the log and on disk before it is answered. `/_control/…` scripts it from outside: GET `state`, `sent`; POST
`updates`, `faults`, `reset`, each for the bot in `?token=`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import msgspec
from aiohttp import web

if __package__ in (None, ""):  # run as a program: the folder of this file would hide the package `telegram`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.doubles.telegram_bot import Bot, DurableLog, Fault, Refused, Sent, as_json, message
from tests.doubles.telegram_rules import UPLOAD, Rules

__all__ = ["Bot", "Fault", "Sent", "TelegramDouble", "message"]


class TelegramDouble:
    """The server."""

    def __init__(self, *, port: int = 0, log: Path | None = None, retry_unit: float = 0.01, strict: bool = True) -> None:
        """Build it.

        Args:
            port: where it listens on loopback; 0 picks a free one.
            log: file of what had an effect.
            retry_unit: seconds that stand for a second of Telegram's retry schedule for webhooks.
            strict: leaving the block fails when a request broke the rules.
        """
        self.rules = Rules()
        self._port = port
        self._log = DurableLog(log) if log else None
        self._retry_unit = retry_unit
        self._strict = strict
        self._bots: dict[str, Bot] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The API's base address."""
        return f"http://127.0.0.1:{self._port}"

    def bot(self, token: str) -> Bot:
        """The bot with this token; it springs up when it is first named."""
        if token not in self._bots:
            self._bots[token] = Bot(token, rules=self.rules, log=self._log, retry_unit=self._retry_unit)
        return self._bots[token]

    @property
    def violations(self) -> list[str]:
        """Requests that broke the rules of the Bot API."""
        return [each for bot in self._bots.values() for each in (*bot.violations, *bot.refusals)]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1_048_576)
        app.router.add_route("*", "/_control/{what}", self._control)
        app.router.add_route("*", "/bot{token:[0-9]+:[A-Za-z0-9_-]+}/{method}", self._call)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for bot in self._bots.values():
            await bot.webhook.remove()
            bot._notify()
        assert self._runner
        await self._runner.cleanup()
        if self._log:
            self._log.close()
        if kind is None and self._strict:
            assert not self.violations, self.violations

    async def _call(self, request: web.Request) -> web.StreamResponse:
        bot = self.bot(request.match_info["token"])
        method = self.rules.method(request.match_info["method"])
        try:
            if method is None:
                bot.violations.append(f"{request.match_info['method']}: no such method")
                return Refused(404, "Not Found: method not found").answer()
            return await bot.handle(method, await self._fields(request, method))
        except Refused as error:
            return error.answer()
        except ConnectionAbortedError:
            assert request.transport
            request.transport.abort()
            return web.Response()

    async def _fields(self, request: web.Request, method: str) -> dict[str, Any]:
        """The parameters, in whichever of the four ways they came."""
        fields = self.rules.typed(method, request.query)
        if request.content_type == "application/json":
            body = await request.read()
            return fields | (msgspec.json.decode(body) if body else {})
        form = await request.post()
        plain = {name: UPLOAD if isinstance(value, web.FileField) else value for name, value in form.items()}
        return fields | self.rules.typed(method, plain)

    async def _control(self, request: web.Request) -> web.Response:
        """Script and ask from outside."""
        bot = self.bot(request.query["token"])
        match request.match_info["what"]:
            case "updates":
                return as_json([bot.update(**content)["update_id"] for content in await request.json()])
            case "faults":
                bot.faults = msgspec.json.decode(await request.read(), type=list[Fault])
            case "reset":
                bot.sent.clear()
                bot.faults.clear()
            case "sent":
                return as_json(bot.sent[int(request.query.get("since", "0")) :])
        return as_json(
            {"sent": len(bot.sent), "pending": len(bot.pending), "webhook": bot.webhook.url, "violations": self.violations}
        )


async def serve(port: int, log: Path | None, *, stopping: asyncio.Event | None = None) -> None:
    """Run until stopped, saying where."""
    async with TelegramDouble(port=port, log=log, retry_unit=1.0, strict=False) as double:
        print(f"ready {double.url}", flush=True)
        await (stopping or asyncio.Event()).wait()


def main(arguments: Iterable[str] | None = None) -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(description="A Telegram Bot API server to test against.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    try:
        asyncio.run(serve(chosen.port, chosen.log))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
