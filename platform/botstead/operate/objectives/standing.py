"""How every promise stands now, from the ledger alone: what the API and the command line show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Literal, Protocol

import msgspec

from botstead.core.clock import Clock, SystemClock
from botstead.core.errors import NotFound
from botstead.operate.objectives.budget import Budget, Burn, Count, budget_of
from botstead.operate.objectives.explain import explain
from botstead.operate.objectives.model import Objective, Tiers, allowed_ratio, seconds
from botstead.store.ledger import BotPromise, Sum

Status = Literal["idle", "kept", "burning", "broken"]
"""No event yet; all is well; a tier fires; more went wrong in the period than may."""


class TierStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One tier. `burn` is how many times faster than evenly the budget burnt in the long window; above `limit` it fires."""

    name: str
    severity: Literal["page", "ticket"]
    long: str
    short: str
    bad: int
    total: int
    burn: float
    limit: float
    fires: bool


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One budget: of an objective, or of one value of its labels.

    `good_ratio` is null before the first event. `left` counts failures that are still allowed, below 0 when the promise
    is broken. `exhausted_in` is null when the present rate never uses the budget up; otherwise seconds, and `exhausted_at` the
    moment.
    """

    labels: Mapping[str, str]
    status: Status
    target: float
    good_ratio: float | None
    bad: int
    total: int
    allowed: int
    left: int
    left_ratio: float
    burn: float
    firing: str | None
    exhausted_in: float | None
    exhausted_at: datetime | None
    explanation: str
    tiers: tuple[TierStanding, ...]


class ObjectiveStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One objective. `worst` is its only budget, or the worst of the `budgets` that it has for the values of `by`."""

    name: str
    service: str
    promise: str
    target: float
    period: str
    by: tuple[str, ...]
    budgets: int
    worst: Standing


class ObjectiveDetail(ObjectiveStanding, frozen=True, kw_only=True):
    """One objective with all its budgets, worst first, and what to do when it breaks."""

    standings: tuple[Standing, ...]
    impact: str
    first_steps: tuple[str, ...]


class Rows(Protocol):
    """Where the ledger and the promises are."""

    async def sums(
        self, lengths: Sequence[float], *, objective: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Sum]:
        """See `LedgerRows.sums`."""
        ...

    async def promises(self) -> Mapping[str, BotPromise]:
        """See `LedgerRows.promises`."""
        ...


class Standings:
    """Reads the ledger and works the budgets out."""

    def __init__(self, rows: Rows, objectives: Sequence[Objective], tiers: Tiers, *, clock: Clock | None = None) -> None:
        """Prepare; nothing is read yet.

        Args:
            rows: where the ledger is.
            objectives: what is promised.
            tiers: how it is watched.
            clock: for the moment when a budget is gone.
        """
        self._rows = rows
        self._objectives = {objective.name: objective for objective in objectives}
        self._tiers = tiers
        self._clock = clock or SystemClock()
        windows = {window for tier in tiers.tiers for window in (tier.long, tier.short)}
        self._lengths = sorted(map(seconds, (*windows, tiers.period)))

    async def all(self) -> tuple[ObjectiveStanding, ...]:
        """Return every objective in the order of the file.

        Raises:
            Unavailable: the database is away.
        """
        sums, promises = await self._rows.sums(self._lengths), await self._rows.promises()
        details = [self._detail(objective, sums, promises) for objective in self._objectives.values()]
        return tuple(msgspec.convert(detail, ObjectiveStanding, from_attributes=True) for detail in details)

    async def one(self, name: str, *, labels: Mapping[str, str] | None = None) -> ObjectiveDetail:
        """Return one objective with all its budgets.

        Args:
            name: its name.
            labels: only budgets of these label values.

        Raises:
            NotFound: there is none by that name.
            Unavailable: the database is away.
        """
        if name not in self._objectives:
            raise NotFound("There is no such objective. `botstead objectives` lists them.")
        sums = await self._rows.sums(self._lengths, objective=name, labels=labels)
        return self._detail(self._objectives[name], sums, await self._rows.promises())

    def _detail(self, objective: Objective, sums: Sequence[Sum], promises: Mapping[str, BotPromise]) -> ObjectiveDetail:
        counts: dict[tuple[tuple[str, str], ...], dict[int, Count]] = {}
        ages: dict[tuple[tuple[str, str], ...], float] = {}
        for one in sums:
            if one.objective == objective.name:
                key = tuple(sorted(one.labels.items()))
                counts.setdefault(key, {})[int(one.length)] = Count(one.bad, one.total)
                ages[key] = max(ages.get(key, 0.0), one.age)
        found = [self._standing(objective, dict(key), counts[key], ages[key], promises) for key in counts]
        found = sorted(found, key=_worst_first) or [self._standing(objective, {}, {}, 0.0, promises)]
        return ObjectiveDetail(
            name=objective.name,
            service=objective.service,
            promise=objective.promise,
            target=objective.target,
            period=self._tiers.period,
            by=objective.by,
            budgets=len(found),
            worst=found[0],
            standings=tuple(found),
            impact=objective.impact,
            first_steps=tuple(objective.first_steps),
        )

    def _standing(
        self,
        objective: Objective,
        labels: Mapping[str, str],
        counts: Mapping[int, Count],
        age: float,
        promises: Mapping[str, BotPromise],
    ) -> Standing:
        own = promises.get(labels.get("bot", "")) if objective.own else None
        target = own.target if own and own.target is not None else objective.target
        watching = self._tiers.of(objective, pages=own is not None and own.critical)
        ratio = allowed_ratio(target)
        budget = budget_of(ratio, counts, tiers=self._tiers, watching=watching, age=age)
        last = budget.firing or budget.burns[-1]
        return Standing(
            labels=labels,
            status=_status(budget),
            target=target,
            good_ratio=None if budget.good_ratio is None else float(budget.good_ratio),
            bad=budget.whole.bad,
            total=budget.whole.total,
            allowed=budget.allowed,
            left=budget.left,
            left_ratio=float(budget.left_ratio),
            burn=float(last.rate),
            firing=budget.firing.tier.name if budget.firing else None,
            exhausted_in=budget.exhausted_in,
            exhausted_at=self._moment(budget.exhausted_in),
            explanation=explain(budget),
            tiers=tuple(_tier(burn, ratio) for burn in budget.burns),
        )

    def _moment(self, within: float | None) -> datetime | None:
        if within is None or within > _FAR:
            return None
        return datetime.fromtimestamp(self._clock.now(), UTC) + timedelta(seconds=within)


_FAR = 10 * 365 * 86_400.0
"""Seconds beyond which nobody wants to know the day."""


def _tier(burn: Burn, ratio: Fraction) -> TierStanding:
    return TierStanding(
        name=burn.tier.name,
        severity=burn.tier.severity,
        long=burn.tier.long,
        short=burn.tier.short,
        bad=burn.long.bad,
        total=burn.long.total,
        burn=float(burn.rate),
        limit=float(burn.limit / ratio),
        fires=burn.fires,
    )


def _status(budget: Budget) -> Status:
    if not budget.whole.total:
        return "idle"
    if budget.firing:
        return "burning"
    return "broken" if budget.left < 0 else "kept"


def _worst_first(standing: Standing) -> tuple[int, float, str]:
    urgent = next((number for number, tier in enumerate(standing.tiers) if tier.fires), len(standing.tiers))
    return urgent, standing.left_ratio, str(sorted(standing.labels.items()))
