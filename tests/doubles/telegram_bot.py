"""One bot of the Bot API double: its chats, its updates, its webhook, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from botstead.processes.prove import fault as described
from tests.doubles.telegram_delivery import Webhook
from tests.doubles.telegram_rules import Rules, refusal

OFF_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


class Fault(described.Fault, kw_only=True):
    """Something that goes wrong: answer, foreign, hang, close or slow, as `botstead prove` describes them.

    With hang, close and slow, `applied` says whether the request takes effect.
    """

    def answer(self) -> web.Response:
        """The error it answers with."""
        return as_json(self.problem(), self.status, {"Retry-After": str(self.retry_after)} if self.retry_after else {})


class Sent(msgspec.Struct, omit_defaults=True):
    """One request that had an effect."""

    n: int
    at: float
    method: str
    fields: dict[str, Any]
    message_id: int = 0
    answered: str = "ok"

    @property
    def text(self) -> str:
        """Its text or caption."""
        return str(self.fields.get("text", self.fields.get("caption", "")))


class Refused(Exception):
    """An error answer of the API."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status, self.description = status, description

    def answer(self) -> web.Response:
        """The answer as it goes out."""
        return as_json({"ok": False, "error_code": self.status, "description": self.description}, self.status)


class DurableLog:
    """Lines that are on disk before anybody is told. Lines that come together share one fsync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, line: bytes) -> None:
        """Write one line and wait until it is on disk."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((line + b"\n", future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())
        await future

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            self._file.write(b"".join(line for line, _ in batch))
            await asyncio.to_thread(os.fsync, self._file.fileno())
            for _, future in batch:
                if not future.done():
                    future.set_result(None)


class Bot:
    """One bot: its chats, its updates, its webhook."""

    def __init__(self, token: str, *, rules: Rules, log: DurableLog | None, retry_unit: float) -> None:
        self.id = int(token.partition(":")[0])
        self.faults: list[Fault] = []
        self.sent: list[Sent] = []
        self.violations: list[str] = []
        self.refusals: list[str] = []
        self.requests: deque[tuple[str, dict[str, Any]]] = deque(maxlen=10_000)
        self.revoked = False
        self.pending: dict[int, dict[str, Any]] = {}
        self.allowed: list[str] = []
        self.webhook = Webhook(done=lambda update_id: self.pending.pop(update_id, None), retry_unit=retry_unit)
        self._rules = rules
        self._log = log
        self._next_update = 1
        self._next_message: dict[Any, int] = defaultdict(lambda: 100)
        self._messages: dict[tuple[Any, int], str] = {}
        self._changed = asyncio.Event()
        self._poller = 0

    @property
    def texts(self) -> list[str]:
        """The texts of new messages, in order."""
        return [each.text for each in self.sent if each.method.startswith("send") and each.message_id]

    def fault(self, *faults: Fault) -> None:
        """Script what goes wrong; the first one that fits a request strikes."""
        self.faults += faults

    def update(self, **content: Any) -> dict[str, Any]:
        """Something happens: `message=…`, `callback_query=…`. Returns the update; it is delivered or waits for polling."""
        update = {"update_id": self._next_update, **content}
        self._next_update = max(self._next_update, update["update_id"]) + 1
        kind = next(name for name in content if name != "update_id")
        if kind in self.allowed if self.allowed else kind not in OFF_BY_DEFAULT:
            self.pending[update["update_id"]] = update
            self._notify()
            if self.webhook.url:
                self.webhook.push(update)
        return update

    def message(self, text: str, *, chat: int = 7, **more: Any) -> dict[str, Any]:
        """Somebody writes a text in a private chat."""
        return self.update(message=message(text, chat=chat, message_id=self._new_id(chat), **more))

    async def handle(self, method: str, fields: dict[str, Any]) -> web.StreamResponse:
        """Answer a request that passed the door."""
        if self.revoked:
            raise Refused(401, "Unauthorized")
        self.requests.append((method, fields))
        if found := self._rules.violations(method, fields):
            self.violations += found
            raise Refused(400, f"Bad Request: {found[0]}")
        fault = next((each for each in self.faults if each.strikes(method, str(fields.get("chat_id", "")))), None)
        if fault and fault.kind == "answer":
            return fault.answer()
        if fault and fault.kind == "foreign":
            return web.Response(status=fault.status, text="<html>somebody else</html>", content_type="text/html")
        result = None
        if fault is None or fault.applied:
            result = await self._result(method, fields, "ok" if fault is None else fault.kind)
        if fault and fault.kind in ("hang", "slow"):
            await asyncio.sleep(fault.seconds)
        if fault and fault.kind in ("hang", "close"):
            raise ConnectionAbortedError
        return as_json({"ok": True, "result": result})

    async def _result(self, method: str, fields: dict[str, Any], answered: str) -> Any:
        """Do what was asked."""
        if why := refusal(method, fields):
            self.refusals.append(f"{method}: {why}")
            raise Refused(400, f"Bad Request: {why}")
        own = getattr(self, f"_{method.lower()}", None)
        if own:
            return await own(fields)
        result: Any = True
        entry = Sent(len(self.sent) + 1, time.time(), method, fields, answered=answered)
        if method.startswith("editMessage"):
            result = self._edited(fields)
        elif method == "deleteMessage" and self._messages.pop((fields["chat_id"], fields["message_id"]), None) is None:
            raise Refused(400, "Bad Request: message to delete not found")
        elif method.startswith(("send", "copy", "forward")) and method != "sendChatAction":
            entry.message_id = self._new_id(fields["chat_id"])
            self._messages[fields["chat_id"], entry.message_id] = _essence(fields)
            result = self._shown(fields, entry.message_id)
        self.sent.append(entry)
        if self._log:
            await self._log.write(msgspec.json.encode(entry))
        return result

    def _edited(self, fields: dict[str, Any]) -> Any:
        place = fields["chat_id"], fields["message_id"]
        if place not in self._messages:
            raise Refused(400, "Bad Request: message to edit not found")
        if self._messages[place] == _essence(fields):
            raise Refused(
                400, "Bad Request: message is not modified: specified new message content and reply markup are the same"
            )
        self._messages[place] = _essence(fields)
        return self._shown(fields, fields["message_id"])

    async def _getme(self, _fields: dict[str, Any]) -> Any:
        return {"id": self.id, "is_bot": True, "first_name": "Double", "username": "double_bot"}

    async def _setwebhook(self, fields: dict[str, Any]) -> bool:
        self.allowed = fields.get("allowed_updates", self.allowed)
        if not fields["url"]:
            await self.webhook.remove()
            return True
        await self.webhook.remove()
        self.webhook.set(fields["url"], secret=fields.get("secret_token", ""), max_connections=fields.get("max_connections", 40))
        self._notify()
        for update in list(self.pending.values()):
            self.webhook.push(update)
        return True

    async def _deletewebhook(self, fields: dict[str, Any]) -> bool:
        await self.webhook.remove()
        if fields.get("drop_pending_updates"):
            self.pending.clear()
        return True

    async def _getwebhookinfo(self, _fields: dict[str, Any]) -> Any:
        hook = self.webhook
        info = {"url": hook.url, "has_custom_certificate": False, "pending_update_count": len(self.pending)}
        if hook.last_error_message:
            info |= {"last_error_date": hook.last_error_date, "last_error_message": hook.last_error_message}
        return info

    async def _getupdates(self, fields: dict[str, Any]) -> Any:
        self._poller += 1
        me = self._poller
        self._notify()
        self.allowed = fields.get("allowed_updates", self.allowed)
        offset, limit = fields.get("offset", 0), min(100, max(1, fields.get("limit", 100)))
        if offset > self._next_update + 10:
            offset = 0  # as Telegram does: an offset from the future means the oldest update
        if offset < 0:
            offset = ([0, *self.pending])[offset:][0]
        deadline = time.monotonic() + min(50, fields.get("timeout", 0))
        for known in [known for known in self.pending if known < offset]:
            del self.pending[known]
        while True:
            if self.webhook.url:
                raise Refused(
                    409,
                    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
                )
            if self._poller != me:
                raise Refused(
                    409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
                )
            left = deadline - time.monotonic()
            if self.pending or left <= 0:
                return list(self.pending.values())[:limit]
            changed = self._changed
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                continue

    def _notify(self) -> None:
        """Wake whoever is polling."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _new_id(self, chat: Any) -> int:
        self._next_message[chat] += 1
        return self._next_message[chat]

    def _shown(self, fields: dict[str, Any], message_id: int) -> dict[str, Any]:
        """A message as the API returns it."""
        chat = fields["chat_id"]
        place = {
            "id": chat if isinstance(chat, int) else -100,
            "type": "private" if isinstance(chat, int) and chat > 0 else "supergroup",
        }
        text = {"text": fields["text"]} if "text" in fields else {}
        return {"message_id": message_id, "date": int(time.time()), "chat": place, **text}


def message(text: str, *, chat: int = 7, message_id: int = 1, **more: Any) -> dict[str, Any]:
    """A text message as Telegram sends it: a private chat, or a supergroup when the id is negative."""
    kind = {"type": "private", "first_name": "Ann"} if chat > 0 else {"type": "supergroup", "title": "Friends"}
    person = {"id": abs(chat) if chat > 0 else 7, "is_bot": False, "first_name": "Ann", "username": "ann", "language_code": "en"}
    return {
        "message_id": message_id,
        "date": int(time.time()),
        "chat": {"id": chat, **kind},
        "from": person,
        "text": text,
        **more,
    }


def _essence(fields: dict[str, Any]) -> str:
    return json.dumps([fields.get("text"), fields.get("caption"), fields.get("reply_markup")])


def as_json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)
