"""Long polling, for installations that Telegram cannot reach.

The loop fetches a batch, has it accepted durably, and only then moves the offset: fetching with a higher offset is what tells
Telegram to forget. Whatever dies in between, updates come again and are dropped as seen.

Emits `poll_began`, `poll_interrupted` once per outage, `poll_resumed` with the seconds lost, `poll_ended`.
Only one process may poll a bot; the caller holds a lease for that. Source: https://core.telegram.org/bots/api#getupdates
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from botstead.channels.telegram.api import base_of, judge, read_reply
from botstead.channels.telegram.health import install
from botstead.channels.telegram.parse import parse_update, unknown
from botstead.channels.telegram.render import call
from botstead.channels.telegram.updates import ALLOWED, UpdateId
from botstead.core.bodies import decode
from botstead.core.errors import EgressError, Unavailable, Unreadable
from botstead.core.messages import Call, Event, Response
from botstead.core.ports import Accept, Account, Egress
from botstead.telemetry.logs import event

BATCH: Final = 100
WAIT: Final = 25
"""Seconds that Telegram holds a request when there is nothing new."""
DEADLINE: Final = 35.0
ANSWER_LIMIT: Final = 16 * 1_048_576
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class _Numbered(msgspec.Struct, frozen=True):
    update_id: UpdateId


class _Interrupted(Exception):
    """No batch came: why, and for how many seconds Telegram wants to be left alone."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


async def poll(  # noqa: PLR0913  what to fetch, where to keep it, when to end: each is given by name
    account: Account,
    egress: Egress,
    *,
    offset: int,
    accept: Accept,
    save_offset: Callable[[int], Awaitable[None]],
    stopping: asyncio.Event,
) -> None:
    """Fetch updates until asked to stop. Survives outages of Telegram, of the network and of our database.

    Args:
        account: the installation; give a new one when its secrets change.
        egress: the way out.
        offset: the first update not yet accepted; 0 begins with the oldest that Telegram holds.
        accept: keeps events durably.
        save_offset: keeps the offset durably, for the next start.
        stopping: ends the loop. A batch that is being accepted is finished first.
    """
    loop = _Poll(account, egress, offset, accept=accept, save_offset=save_offset)
    await loop.run(stopping)


class _Poll:
    """One polling loop: the offset, and how long it has been failing."""

    def __init__(
        self,
        account: Account,
        egress: Egress,
        offset: int,
        *,
        accept: Accept,
        save_offset: Callable[[int], Awaitable[None]],
    ) -> None:
        self._account = account
        self._egress = egress
        self._offset = offset
        self._accept = accept
        self._save_offset = save_offset
        self._stopping = asyncio.Event()
        self._failures = 0
        self._failing_since = 0.0
        self._webhook_deleted = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Take batch after batch; pause when one fails."""
        self._stopping = stopping
        event(_log, "poll_began", channel=self._account.id, offset=self._offset)
        while not self._stopping.is_set():
            try:
                await self._batch()
            except (EgressError, Unavailable) as error:
                await self._pause(error.code, error.after)
            except _Interrupted as error:
                await self._pause(error.reason, error.after)
        event(_log, "poll_ended", channel=self._account.id, offset=self._offset)

    async def _batch(self) -> None:
        """Fetch, accept, move the offset."""
        response = await self._unless_stopping(self._egress.call(self._request(), self._account.secrets))
        if response is None:
            return
        updates = await self._updates(response)
        if updates:
            await self._accept(self._account, tuple(found for update in updates for found in _events(update)))
            # Not «the higher of the two»: after a quiet week Telegram goes on from a random number, maybe a lower one.
            self._offset = max(_number(update) for update in updates) + 1
            await self._save_offset(self._offset)
        self._recovered()

    def _request(self) -> Call:
        """The request for the next batch."""
        fields = {"offset": self._offset, "limit": BATCH, "timeout": WAIT, "allowed_updates": ALLOWED}
        request = call("getUpdates", fields, base=base_of(self._account), timeout=DEADLINE)
        # A name of its own: requests that wait 25 s must not take the places of those that send.
        return msgspec.structs.replace(request, limit=ANSWER_LIMIT, service="telegram-poll")

    async def _updates(self, response: Response) -> list[bytes]:
        """Read the batch, each update still as JSON."""
        reply = read_reply(response)
        if reply and reply.ok:
            try:
                return [bytes(raw) for raw in msgspec.json.decode(reply.result, type=list[msgspec.Raw])]
            except msgspec.MsgspecError as error:
                raise _Interrupted("unreadable") from error
        if response.status == 409:
            await self._conflict(webhook=bool(reply and "webhook" in reply.description.lower()))
        receipt = judge(response)
        raise _Interrupted(receipt.reason or "refused", receipt.after)

    async def _conflict(self, *, webhook: bool) -> None:
        """A webhook stands in the way: take it away, once. Another poller, or a webhook that is set again: wait."""
        if webhook and not self._webhook_deleted:
            self._webhook_deleted = (await install(self._account, self._egress, "")).status == "ok"
            raise _Interrupted("webhook_deleted", None if not self._webhook_deleted else 0.0)
        raise _Interrupted("webhook_set" if webhook else "other_poller", LONGEST_PAUSE * random.uniform(0.1, 0.5))  # noqa: S311

    def _recovered(self) -> None:
        """Say that an outage is over."""
        if self._failures:
            lost = round(time.monotonic() - self._failing_since, 1)
            event(_log, "poll_resumed", channel=self._account.id, seconds_lost=lost, failures=self._failures)
        self._failures = 0

    async def _pause(self, reason: str, after: float | None) -> None:
        """Wait as long as asked, or longer with every failure; say so only the first time."""
        if not self._failures:
            self._failing_since = time.monotonic()
            event(_log, "poll_interrupted", level=logging.WARNING, channel=self._account.id, reason=reason)
        self._failures += 1
        if after is None:
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 16))
            after = random.uniform(longest / 2, longest)  # noqa: S311  jitter, not a secret
        await self._unless_stopping(asyncio.sleep(after))

    async def _unless_stopping(self, work: Awaitable[Result]) -> Result | None:
        """Wait for some work, or give it up when the loop shall stop."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for each in (task, stop):
                each.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)


def _events(update: bytes) -> tuple[Event, ...]:
    """Read an update; one that we cannot read is kept raw, so that it does not block those behind it."""
    try:
        return parse_update(update)
    except Unreadable:
        return (unknown(_number(update), _storable(update)),)


def _storable(update: bytes) -> bytes:
    """An update as JSON that can be stored and read again: itself if it can, else what is legible of it, as a string."""
    try:
        decode(update)
    except Unreadable:
        return msgspec.json.encode(update.decode(errors="replace"))
    return update


def _number(update: bytes) -> int:
    """The update's id.

    Raises:
        _Interrupted: it has none.
    """
    try:
        return msgspec.json.decode(update, type=_Numbered).update_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _Interrupted("unreadable") from error
