"""The canary: every few seconds one message goes the whole road, as a stranger's would, and whatever stops it is named.

It goes in over HTTP at the edge, is verified, parsed and committed by an API process, handled by a bot in a worker, committed
again, and confirmed by the delivery. Its conversations lie in all 64 partitions and are taken in turn, so in a quarter of an
hour every worker has been tried. On an idle machine it is the one proof that a message would get through; and it gives every
night a denominator.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from botstead.channels.loopback.parse import Chirp
from botstead.channels.loopback.render import render
from botstead.core.errors import EgressError, EgressRefused, EgressUnsent, Unavailable
from botstead.core.messages import Health, Response
from botstead.core.ports import Account, Egress, Wake
from botstead.pipeline.partitions import PARTITIONS, conversation_key, partition_of
from botstead.runtime.tasks import within
from botstead.store.canary import CanaryRows, Trail
from botstead.store.postgres import RowRefused
from botstead.telemetry.catalog import CANARY_PROBES, CANARY_ROUND_TRIP
from botstead.telemetry.logs import event

NAME = "canary"
"""Of its bot: in metrics, `bot="canary"` is never a user."""
BOT = Path(__file__).parent / "canary_bot"
"""The bot's folder; it is loaded as any other."""
PATIENCE = 10.0
"""Seconds for the whole road …"""
HASTE = 2.0
"""… or where messages follow each other quickly two thirds of their distance, but at least so many."""
FIRST_LOOK = 0.005
"""Seconds before the second look at where the message is; each next one waits twice as long …"""
LOOK_EVERY = 0.25
"""… up to this many seconds. A hint that it was sent begins anew: the mark that proves it is written some milliseconds later."""
STRIDE = 27
"""Partitions from one message to the next: without a common divisor with 64, and far enough to change the worker."""
KEEP = 3_600.0
"""Seconds that its messages are kept."""
SWEEP_EVERY = 20
"""Messages after which old ones are forgotten."""
NOTE_EVERY = 60.0
"""Seconds after which the channel's health is written anew although nothing changed."""

logger = logging.getLogger(__name__)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How one message ended.

    Args:
        outcome: ok, or the hop that broke: edge, api, database, worker, handler, outbox, delivery.
        detail: one sentence for the operator.
        seconds: from its sending to the proof, or to the end of patience.
    """

    outcome: str
    detail: str
    seconds: float = 0.0


def judge_answer(response: Response) -> Verdict | None:
    """Say which hop an answer to the delivery blames; None when it was acknowledged.

    A 503 of the API says in `detail` what is missing; the edge's own has none, and says that there is no API to ask.

    Args:
        response: what came back.
    """
    if response.status == 200:
        return None
    if response.status in (502, 503, 504):
        detail = _detail(response)
        if response.status == 503 and detail:
            return Verdict(outcome="database", detail=f"The API cannot keep the message: {detail}")
        return Verdict(outcome="api", detail=f"The edge answers {response.status}: no API process takes requests.")
    return Verdict(
        outcome="api", detail=f"The delivery is refused with {response.status}: {_detail(response) or 'no reason given'}"
    )


def _detail(response: Response) -> str:
    with suppress(msgspec.DecodeError):
        found = response.json()
        if isinstance(found, dict):
            return str(found.get("detail") or "")[:200]
    return ""


def judge_error(error: EgressError) -> Verdict:
    """Say which hop is to blame when no answer came.

    Args:
        error: why none came.
    """
    if isinstance(error, EgressUnsent | EgressRefused):
        return Verdict(outcome="edge", detail=f"The edge cannot be reached: {error.message}")
    return Verdict(outcome="api", detail=f"The delivery is not acknowledged: {error.message}")


def judge_trail(trail: Trail | None, *, partition: int) -> Verdict:
    """Say which hop a message has not passed.

    Args:
        trail: how far it has come; None when it was never kept.
        partition: of its conversation.
    """
    if trail is None:
        return Verdict(outcome="api", detail="The message was acknowledged and is not in the database.")
    if trail.parked:
        return Verdict(
            outcome="handler", detail=f"The message was given up ({trail.parked}): {trail.error or 'see its dead letter'}"
        )
    if trail.waits:
        return _unhandled(trail, partition)
    return _answered(trail)


def _answered(trail: Trail) -> Verdict:
    if trail.answer is None:
        return Verdict(outcome="handler", detail="The message was handled, and no answer came out.")
    if trail.unsent:
        return Verdict(outcome="outbox", detail=f"The answer is committed, and {trail.worker or 'nobody'} has not sent it.")
    if trail.outcome == "sent":
        return Verdict(outcome="ok", detail="A message goes the whole road.")
    if trail.outcome is None:
        return Verdict(outcome="delivery", detail="The answer left the outbox, and nothing says what became of it.")
    return Verdict(outcome="delivery", detail=f"The answer was sent and ended as «{trail.outcome}».")


def _unhandled(trail: Trail, partition: int) -> Verdict:
    if trail.attempts:
        return Verdict(outcome="handler", detail=f"The bot failed {trail.attempts} times: {trail.error or 'no reason given'}")
    if trail.worker is None:
        return Verdict(outcome="worker", detail=f"Partition {partition} belongs to no worker.")
    state = "and has not handled the message" if trail.alive else "whose lease has run out"
    return Verdict(outcome="worker", detail=f"Partition {partition} belongs to {trail.worker}, {state}.")


def conversations_of(channel: int) -> tuple[str, ...]:
    """Return one external id of a conversation for each partition, in the order of partitions. Pure.

    Args:
        channel: the canary's channel.
    """
    found: dict[int, str] = {}
    number = 0
    while len(found) < PARTITIONS:
        external = f"probe-{number}"
        found.setdefault(partition_of(conversation_key(channel, external)), external)
        number += 1
    return tuple(found[partition] for partition in range(PARTITIONS))


class Canary:
    """Sends, follows and judges. One for each scheduler; only the one that leads sends."""

    def __init__(  # noqa: PLR0913  # what it is made of, each given by name
        self,
        rows: CanaryRows,
        *,
        account: Callable[[], Awaitable[Account | None]],
        note: Callable[[str, Health], Awaitable[None]],
        egress: Egress,
        wake: Wake,
        url: str,
        every: float,
        sends: Callable[[], bool],
    ) -> None:
        """Prepare; `run` sends.

        Args:
            rows: where its message is.
            account: returns the canary's channel, made if need be; None when it cannot be.
            note: keeps the health of a channel, by its public id.
            egress: the way out, which must let `url` through.
            wake: a hint on «chat» says that something was delivered.
            url: address of the edge, or of an API process.
            every: seconds between two messages.
            sends: whether this process is the one to send.
        """
        self._rows = rows
        self._find = account
        self._note = note
        self._egress = egress
        self._wake = wake
        self._url = url.rstrip("/")
        self._every = every
        self._patience = min(PATIENCE, max(HASTE, every * 2 / 3))
        self._sends = sends
        self._account: Account | None = None
        self._externals: tuple[str, ...] = ()
        self._turn = 0
        self._failing_since: float | None = None
        self._noted = (float("-inf"), "")

    @property
    def bot(self) -> int:
        """Number of its bot, 0 before it is known."""
        return self._account.bot if self._account else 0

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            began = time.monotonic()
            if self._sends() and await self._ready():
                await self._one()
            await asyncio.sleep(max(0.0, began + self._every - time.monotonic()))

    async def _ready(self) -> bool:
        if self._account is None:
            with suppress(Unavailable):
                self._account = await self._find()
            if self._account is not None:
                self._externals = conversations_of(self._account.id)
        return self._account is not None

    async def _one(self) -> None:
        verdict = await self.probe()
        CANARY_PROBES.at(verdict.outcome).inc()
        if verdict.outcome == "ok":
            CANARY_ROUND_TRIP.at().observe(verdict.seconds)
        self._tell(verdict)
        with suppress(Unavailable, RowRefused):
            await self._write(verdict)
            if self._turn % SWEEP_EVERY == 0:
                await self.sweep()

    async def probe(self) -> Verdict:
        """Send one message and follow it to its end, or to the end of patience."""
        account = self._account
        assert account is not None, "run() finds the channel first"
        partition = self._turn * STRIDE % PARTITIONS
        self._turn += 1
        external = self._externals[partition]
        key = f"{external}-{time.time_ns()}"
        began = time.monotonic()
        chirp = Chirp(conversation=external, key=key, text=key)
        verdict = await self._deliver(chirp, account)
        if verdict is None:
            conversation = conversation_key(account.id, external)
            verdict = await self._follow(account, key, partition, conversation, until=began + self._patience)
        return msgspec.structs.replace(verdict, seconds=time.monotonic() - began)

    async def _deliver(self, chirp: Chirp, account: Account) -> Verdict | None:
        call = render(chirp, account, base=self._url, now=time.time(), timeout=self._patience)
        try:
            return judge_answer(await self._egress.call(call))
        except EgressError as error:
            return judge_error(error)

    async def _follow(self, account: Account, key: str, partition: int, conversation: str, *, until: float) -> Verdict:
        """Look where it is until its answer is delivered; a hint makes the measurement exact, looking makes it sure."""
        delivered = asyncio.Event()
        unsubscribe = self._wake.subscribe("chat", lambda hint: delivered.set() if hint == conversation else None)
        pause = FIRST_LOOK
        try:
            while True:
                verdict = await self._look(account, key, partition, conversation)
                if verdict.outcome == "ok" or time.monotonic() >= until:
                    return verdict
                hinted = await within(min(pause, max(0.001, until - time.monotonic())), delivered)
                delivered.clear()
                pause = FIRST_LOOK if hinted else min(2 * pause, LOOK_EVERY)
        finally:
            unsubscribe()

    async def _look(self, account: Account, key: str, partition: int, conversation: str) -> Verdict:
        try:
            trail = await self._rows.trail(account, key, partition=partition, conversation=conversation)
        except (Unavailable, RowRefused) as error:
            return Verdict(outcome="database", detail=f"The message was acknowledged; then: {error.message}")
        return judge_trail(trail, partition=partition)

    def _tell(self, verdict: Verdict) -> None:
        """Say when it begins to fail and when it sings again, not each time."""
        if verdict.outcome != "ok":
            if self._failing_since is None:
                self._failing_since = time.monotonic()
            event(logger, "canary_failed", level=logging.ERROR, hop=verdict.outcome, detail=verdict.detail)
        elif self._failing_since is not None:
            event(logger, "canary_sings_again", seconds=round(time.monotonic() - self._failing_since, 1))
            self._failing_since = None

    async def _write(self, verdict: Verdict) -> None:
        """Keep the finding where lists of channels show it: when it changes, and once a minute."""
        assert self._account is not None
        at, outcome = self._noted
        now = time.monotonic()
        if outcome == verdict.outcome and now - at < NOTE_EVERY:
            return
        facts = {"hop": verdict.outcome, "seconds": round(verdict.seconds, 3)}
        status = "ok" if verdict.outcome == "ok" else "failing"
        await self._note(self._account.public_id, Health(status=status, detail=verdict.detail, facts=facts))
        self._noted = (now, verdict.outcome)

    async def sweep(self, *, older: float = KEEP) -> int:
        """Forget messages of old; returns how many.

        Args:
            older: seconds.

        Raises:
            Unavailable: the database is away.
        """
        assert self._account is not None
        keys = [conversation_key(self._account.id, external) for external in self._externals]
        return await self._rows.sweep(self._account, keys, older=older)

    async def close(self) -> None:
        """Close the connection."""
        await self._rows.close()
