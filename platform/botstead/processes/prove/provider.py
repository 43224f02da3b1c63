"""A provider that remembers: the part of the Bot API that replies need, a log on the disk before each answer, faults on demand.

A process of its own: `python -m botstead.processes.prove.provider PORT LOG`. Each bot is known by the token in the path.
Source: https://core.telegram.org/bots/api#making-requests
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import uvloop

from botstead.processes.prove.fault import Fault, Faults, shape
from botstead.processes.prove.serving import Asked, Log, Visit, listen

CONTROL: Final = "/control/faults"
_encode: Final = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request, as the log has it.

    Args:
        n: its number, from 1.
        at: Unix seconds.
        token: whose.
        method: of the Bot API.
        chat: where to, "" for none.
        text: or caption.
        url: where its first button leads that opens a page.
        answered: "ok", or the kind of the fault that struck.
        applied: whether it took effect.
    """

    n: int
    at: float
    token: str
    method: str
    chat: str = ""
    text: str = ""
    url: str = ""
    answered: str = "ok"
    applied: bool = True


class Order(msgspec.Struct, frozen=True):
    """Faults from now on for one bot; "" means each bot. They replace those before."""

    token: str
    faults: list[Fault]


class Double:
    """The state behind all connections."""

    def __init__(self, log: Log) -> None:
        """Begin without faults.

        Args:
            log: what remembers.
        """
        self.log = log
        self.faults: dict[str, Faults] = {}
        self.messages = 0

    def order(self, body: bytes) -> None:
        """Take new faults."""
        order = msgspec.json.decode(body, type=Order)
        self.faults[order.token] = Faults(order.faults)

    def struck(self, token: str, method: str, chat: str) -> Fault | None:
        """Return the fault that hits this request; counts it."""
        for scope in (token, ""):
            if scope in self.faults and (fault := self.faults[scope].next(method, chat)):
                return fault
        return None

    def result(self, method: str, chat: str) -> Any:
        """Return what a method returns."""
        if method == "getMe":
            return {"id": 1, "is_bot": True, "first_name": "Double", "username": "double_bot"}
        if method == "getWebhookInfo":
            return {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
        if method == "getUpdates":
            return []
        if method.startswith("send") and method != "sendChatAction":
            self.messages += 1
            place = {"id": int(chat) if chat.lstrip("-").isdecimal() else 0, "type": "private"}
            return {"message_id": self.messages, "date": int(time.time()), "chat": place}
        return True

    async def serve(self, asked: Asked, visit: Visit) -> None:
        """Answer one request.

        Args:
            asked: the request.
            visit: the connection that it came on.
        """
        if asked.path == CONTROL:
            self.order(asked.body)
            visit.write(200, _encode({"ok": True}))
            return
        words = asked.path.split("/")
        if len(words) != 3 or not words[1].startswith("bot"):
            visit.write(404, _encode({"ok": False, "error_code": 404, "description": "Not Found"}))
            return
        await self._call(words[1][3:], words[2], fields(asked), visit)

    async def _call(self, token: str, method: str, asked: dict[str, Any], visit: Visit) -> None:
        chat, text = str(asked.get("chat_id", "")), str(asked.get("text", asked.get("caption", "")))
        fault = self.struck(token, method, chat)
        if method == "getUpdates" and fault is None:
            await asyncio.sleep(min(50.0, float(asked.get("timeout", 0))))
        self.log.count += 1
        entry = Entry(
            n=self.log.count,
            at=time.time(),
            token=token,
            method=method,
            chat=chat,
            text=text,
            url=_url(asked),
            answered=fault.kind if fault else "ok",
            applied=fault is None or fault.takes_effect,
        )
        await asyncio.shield(self.log.write(entry))
        good = {"ok": True, "result": self.result(method, chat)}
        if fault is None:
            visit.write(200, _encode(good))
        elif visit.transport is not None:
            await shape(fault, visit.transport, good)


def _url(asked: dict[str, Any]) -> str:
    """Return where the first button leads that opens a page (https://core.telegram.org/bots/api#inlinekeyboardbutton)."""
    markup = asked.get("reply_markup") or {}
    keyboard = msgspec.json.decode(markup) if isinstance(markup, str) else markup
    return next((button["url"] for row in keyboard.get("inline_keyboard", ()) for button in row if "url" in button), "")


def fields(asked: Asked) -> dict[str, Any]:
    """Return the parameters of a request: from JSON, a form, or the query.

    Args:
        asked: the request.
    """
    found: dict[str, Any] = dict(parse_qsl(asked.query))
    if asked.headers.get("content-type", "").startswith("application/json") and asked.body:
        found |= msgspec.json.decode(asked.body)
    elif asked.body:
        found |= dict(parse_qsl(asked.body.decode(errors="replace")))
    return found


async def serve(port: int, log: Path) -> None:
    """Serve until the process ends.

    Args:
        port: loopback port.
        log: file that remembers.
    """
    server = await listen(port, Double(Log(log)).serve)
    sys.stdout.write("provider_ready\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    """Run it.

    Args:
        arguments: port and file of the log.
    """
    uvloop.run(serve(int(arguments[0]), Path(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
