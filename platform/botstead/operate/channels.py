"""How each channel is, judged by what comes of it: «green but deaf» is the fault that nothing but outcomes shows.

Three things are looked at: what the provider says of us (a webhook that is another's, updates that wait, a token that was
revoked), what was turned away at our door, and whether messages come as they usually do. The first that is wrong is named.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec

from botstead.core.errors import BotsteadError, Unavailable
from botstead.core.messages import Health, Reason
from botstead.core.ports import Account, ChannelKind, Egress
from botstead.operate.rhythm import Rhythm, missing, observed
from botstead.store.postgres import RowRefused
from botstead.store.rhythm import Came, RhythmRows, Row
from botstead.telemetry.catalog import VITALS
from botstead.telemetry.logs import event

LOOK_EVERY = 15.0
"""Seconds between two looks at what came in."""
ASKS = 4
"""A provider is asked at each n-th look."""
TURN = 1.0
PATIENCE = 12.0
"""Seconds that a provider may take to answer how a channel is; each call has its own, shorter deadline."""
ASKED_AT_ONCE = 8
RECENT = 900.0
"""Seconds within which deliveries turned away count."""
MANY_REJECTS = 20
SILENT = 10.0
"""Messages that are missing before it is called silence."""
KEEP_REJECTS = 86_400.0
SHOWN = (VITALS.connected, VITALS.last_event, VITALS.missing)

logger = logging.getLogger(__name__)


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a channel besides its provider's words.

    Args:
        last: Unix seconds of its last message, 0 when none ever came.
        missing: messages that would usually have come since.
        rejected: deliveries turned away lately, by reason.
    """

    last: float = 0.0
    missing: float = 0.0
    rejected: Mapping[str, int] = {}


def judge(provider: Health, signs: Signs, *, now: float) -> Health:
    """Put together how a channel is. Pure.

    Args:
        provider: what it says.
        signs: what else is known.
        now: Unix seconds.

    Returns:
        Status and a sentence; among the facts, `hop` names what is broken: token, provider, signature or sender.
    """
    facts = {**provider.facts, "missing_events": round(signs.missing, 1)}
    if signs.last:
        facts["seconds_since_event"] = round(max(0.0, now - signs.last))
    if signs.rejected:
        facts["rejected"] = dict(signs.rejected)
    if provider.status in ("failing", "degraded"):
        hop = "token" if provider.facts.get("reason") == Reason.REVOKED else "provider"
        return Health(status=provider.status, detail=provider.detail, facts={**facts, "hop": hop})
    forged = signs.rejected.get("signature", 0)
    if forged >= MANY_REJECTS:
        detail = (
            f"{forged} deliveries of the last {RECENT / 60:.0f} minutes were not signed with our secret: somebody forges them, "
            "or the provider has another secret. Install the channel again if messages are missing."
        )
        return Health(status="degraded", detail=detail, facts={**facts, "hop": "signature"})
    if signs.missing >= SILENT:
        detail = (
            f"Nothing came for {_ago(now - signs.last)}, in which {signs.missing:.0f} messages usually come. Write to the bot, "
            "and see whether that arrives."
        )
        return Health(status="degraded", detail=detail, facts={**facts, "hop": "sender"})
    return Health(status=provider.status, detail=provider.detail, facts=facts)


def _ago(seconds: float) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"


def connected(provider: Health) -> float | None:
    """Say whether messages can come in, as far as the provider can tell; None when it could not be asked.

    Args:
        provider: what it says.
    """
    return None if provider.status == "unknown" else float(provider.status == "ok")


class Channels:
    """Looks, as long as this process is the one to look."""

    def __init__(  # noqa: PLR0913  # what it is made of, each given by name
        self,
        rows: RhythmRows,
        *,
        accounts: Callable[[], Iterable[Account]],
        kinds: Mapping[str, ChannelKind],
        egress: Egress,
        note: Callable[[str, Health], Awaitable[None]],
        looks: Callable[[], bool],
        every: float = LOOK_EVERY,
    ) -> None:
        """Prepare; `run` looks.

        Args:
            rows: what came in.
            accounts: every channel of users.
            kinds: by name.
            egress: the way out.
            note: keeps the health of a channel, by its public id.
            looks: whether this process is the one to look.
            every: seconds between two looks at what came in.
        """
        self._every = every
        self._rows = rows
        self._accounts = accounts
        self._kinds = kinds
        self._egress = egress
        self._note = note
        self._looks = looks
        self._known: dict[int, Row] | None = None
        self._cursor = 0
        self._rejects: Mapping[int, Mapping[str, int]] = {}
        self._provider: dict[int, Health] = {}
        self._asked = float("-inf")

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                if self._looks():
                    await self.look()
                else:
                    self.clear()
                await asyncio.sleep(self._every if self._looks() else TURN)
        finally:
            self.clear()

    def clear(self) -> None:
        """Show nothing, and know nothing: somebody else looks."""
        self._known, self._asked = None, float("-inf")
        self._provider.clear()
        for reading in SHOWN:
            reading.clear()

    async def look(self) -> None:
        """Look once: at what came in, and when it is time, at what the providers say."""
        accounts = [account for account in self._accounts() if account.enabled]
        try:
            await self._read(accounts)
        except (Unavailable, RowRefused) as error:
            event(logger, "rhythm_not_read", level=logging.WARNING, error=error.message)
            self._known = None
        asks = time.monotonic() - self._asked >= self._every * (ASKS - 0.5)
        if asks:
            self._asked = time.monotonic()
            await self._ask(accounts)
        self._show(accounts)
        if asks:
            await self._write(accounts)

    async def _read(self, accounts: list[Account]) -> None:
        now = time.time()
        if self._known is None:
            self._known = await self._rows.load()
            self._cursor = max((row.last_id for row in self._known.values()), default=0)
            await self._rows.forget(seconds=KEEP_REJECTS)
        self._cursor, came = await self._rows.came(self._cursor)
        for account in accounts:
            row = self._known.setdefault(account.id, Row(channel=account.id, looked_at=now))
            take_in(row, [found for found in came if found.channel == account.id], now=now)
        await self._rows.save([self._known[account.id] for account in accounts], looked_at=now)
        self._rejects = await self._rows.rejects(seconds=RECENT)

    async def _ask(self, accounts: list[Account]) -> None:
        places = asyncio.Semaphore(ASKED_AT_ONCE)

        async def one(account: Account) -> tuple[int, Health]:
            async with places:
                return account.id, await self._health(account)

        self._provider = dict(await asyncio.gather(*(one(account) for account in accounts if account.kind in self._kinds)))

    async def _health(self, account: Account) -> Health:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._kinds[account.kind].health(account, self._egress)
        except (BotsteadError, TimeoutError) as error:
            return Health(status="unknown", detail=str(error) or "The provider did not answer in time.")
        except Exception as error:  # noqa: BLE001  # a fault in a channel's code must not end the scheduler
            event(logger, "channel_health_stumbled", level=logging.ERROR, exception=error, channel=account.kind)
            return Health(status="unknown", detail="The check itself failed; see the scheduler's log.")

    def signs(self, account: Account, *, now: float) -> Signs:
        """Return what is known of a channel besides its provider's words.

        Args:
            account: the channel.
            now: Unix seconds.
        """
        row = (self._known or {}).get(account.id)
        rejected = self._rejects.get(account.id, {})
        if row is None or not row.last_at:
            return Signs(rejected=rejected)
        return Signs(
            last=row.last_at, missing=missing(Rhythm(row.events, row.seconds), last=row.last_at, now=now), rejected=rejected
        )

    def _show(self, accounts: list[Account]) -> None:
        """Show the worst where a bot has several channels of one kind."""
        now = time.time()
        up: dict[tuple[str, ...], float] = {}
        last: dict[tuple[str, ...], float] = {}
        absent: dict[tuple[str, ...], float] = {}
        for account in accounts:
            at, signs = (account.kind, account.bot_name), self.signs(account, now=now)
            said = self._provider.get(account.id)
            reachable = connected(said) if said else None
            if reachable is not None:
                up[at] = min(reachable, up.get(at, 1.0))
            if signs.last:
                last[at] = max(signs.last, last.get(at, 0.0))
            if self._known is not None:
                absent[at] = max(signs.missing, absent.get(at, 0.0))
        VITALS.connected.replace(up)
        VITALS.last_event.replace(last)
        VITALS.missing.replace(absent)

    async def _write(self, accounts: list[Account]) -> None:
        now = time.time()
        for account in accounts:
            said = self._provider.get(account.id)
            if said is None:
                continue
            try:
                await self._note(account.public_id, judge(said, self.signs(account, now=now), now=now))
            except BotsteadError as error:
                event(logger, "channel_health_not_kept", level=logging.WARNING, error=error.message)
                return

    async def close(self) -> None:
        """Close the connection."""
        await self._rows.close()


def take_in(row: Row, came: Iterable[Came], *, now: float) -> None:
    """Add what came to what is known of a channel.

    Args:
        row: what is known; changed.
        came: of this channel.
        now: Unix seconds.
    """
    events: dict[int, int] = {}
    for found in came:
        events[found.hour] = events.get(found.hour, 0) + found.events
        row.last_id, row.last_at = max(row.last_id, found.last_id), max(row.last_at, found.last_at)
    rhythm = observed(Rhythm(row.events, row.seconds), began=row.looked_at, ended=now, events=events)
    row.events, row.seconds, row.looked_at = rhythm.events, rhythm.seconds, max(row.looked_at, now)
