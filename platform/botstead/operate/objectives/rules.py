"""Objectives as Prometheus rules: counts over windows, budgets, and alerts on how fast a budget burns. Pure.

Three things differ from the usual form of burn alerts, each for a reason:

- **Counts, not ratios.** Windows add up bad events and all events, so a broken hour at night weighs what it served. The long
  windows are sums over a ledger of disjoint five-minute steps; they are cheap, and exact.
- **A floor of bad events** instead of a minimum of traffic, which would hide the outage of a quiet bot.
- **Evidence of recovery** ends an alert, instead of a short window that must be bad too: with one message in ten minutes that
  would come and go.

Sources: https://sre.google/workbook/alerting-on-slos/ for burn rates and windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import msgspec

from botstead.operate.alerting.rules import Group, Links, Rule, Time, number, spoken, written
from botstead.operate.objectives.model import MOST, Objective, Term, Tier, Tiers, seconds

STEP = "5m"
"""A step of the ledger."""
EVERY = "30s"
"""How often short windows and the alerts of pages are looked at."""
SHORT = "1h"
"""Windows up to this one are counted from the counters, longer ones from the ledger."""

BAD, TOTAL = "slo:bad", "slo:total"
ALLOWED = "slo:allowed:ratio"
LEFT = "slo:budget_left:ratio"


def objective_groups(objective: Objective, tiers: Tiers, time: Time, links: Links) -> tuple[Group, Group]:
    """Return the rules of one objective: the ledger with what needs long windows, and the rest.

    Args:
        objective: what is promised.
        tiers: how its budget is watched.
        time: scale of the rules.
        links: where links lead.
    """
    rules = _Rules(objective, tiers, time, links)
    return (
        Group(f"slo:{objective.name}:ledger", time.duration(STEP), tuple(rules.ledger())),
        Group(f"slo:{objective.name}", time.duration(EVERY), tuple(rules.live())),
    )


class _Rules:
    def __init__(self, objective: Objective, tiers: Tiers, time: Time, links: Links) -> None:
        self._objective = objective
        self._time = time
        self._links = links
        self._period = tiers.period
        self._min_bad = tiers.min_bad
        self._tiers = tiers.of(objective, pages=objective.own is not None)
        self._labels = {"slo": objective.name, "service": objective.service}

    def ledger(self) -> Iterable[Rule]:
        """What is looked at every five minutes."""
        yield self._record(f"{BAD}:ledger5m", self._bad(STEP))
        yield self._record(f"{TOTAL}:ledger5m", self._total(STEP))
        slow = [tier for tier in self._tiers if tier.severity == "ticket"]
        windows = {window for tier in slow for window in (tier.long, tier.short)} - self._live_windows() | {self._period}
        yield from self._counts(windows)
        yield self._left()
        yield from (self._alert(tier) for tier in slow)

    def live(self) -> Iterable[Rule]:
        """What is looked at every half minute."""
        yield from self._counts(self._live_windows())
        yield self._allowed()
        yield from (self._alert(tier) for tier in self._tiers if tier.severity == "page")

    def _live_windows(self) -> set[str]:
        paging = [tier for tier in self._tiers if tier.severity == "page"]
        return {STEP, SHORT} | {window for tier in paging for window in (tier.long, tier.short)}

    def _counts(self, windows: set[str]) -> Iterable[Rule]:
        for window in sorted(windows, key=seconds):
            yield self._record(f"{BAD}:count{window}", self._counted(BAD, window))
            yield self._record(f"{TOTAL}:count{window}", self._counted(TOTAL, window))

    def _counted(self, what: str, window: str) -> str:
        if seconds(window) <= seconds(SHORT):
            return self._bad(window) if what == BAD else self._total(window)
        # A little less than the window, so that the step at its far end is out, whether the end counts (2.x) or not (3.x).
        inside = written((seconds(window) - Fraction(seconds(STEP), 5)) * self._time.scale)
        return f"sum_over_time({what}:ledger5m{self._mine()}[{inside}])"

    def _bad(self, window: str) -> str:
        terms = self._objective.bad
        if len(terms) == 1:
            return f"{self._sum(terms[0], window)} or 0 * {self._total(window)}"
        return f"clamp_min({self._added(terms, window)}, 0)"

    def _total(self, window: str) -> str:
        terms = self._objective.total
        return self._sum(terms[0], window) if len(terms) == 1 else f"({self._added(terms, window)})"

    def _added(self, terms: tuple[Term, ...], window: str) -> str:
        """Add terms up; one whose series are not there yet counts 0, as long as there are others of its metric."""
        all_of_it = self._sum(msgspec.structs.replace(self._objective.total[0], matchers=()), window)
        parts = [f"{'+' if term.sign > 0 else '-'} ({self._sum(term, window)} or 0 * {all_of_it})" for term in terms]
        return " ".join(parts).removeprefix("+ ")

    def _sum(self, term: Term, window: str) -> str:
        by = f" by ({', '.join(self._objective.by)}) " if self._objective.by else ""
        return f"sum{by}(increase({term.series}{_selector(term)}[{self._time.duration(window)}]))"

    def _allowed(self) -> Rule:
        budget = number(self._objective.budget)
        default = f"0 * {TOTAL}:count{STEP}{self._mine()} + {budget}"
        if self._objective.own is None:
            return self._record(ALLOWED, default, comment=f"{number(self._objective.target)} % promised, {budget} may be bad")
        label = self._objective.by[0]
        own = f"1 - max by ({label}) ({self._objective.own.target})"
        return self._record(ALLOWED, f"{own} or on ({label}) {default}", comment=f"its own target, otherwise {budget} may be bad")

    def _left(self) -> Rule:
        bad, total = (f"{what}:count{self._period}{self._mine()}" for what in (BAD, TOTAL))
        spent = f"{bad} / ({ALLOWED}{self._mine()} * {total} > 0)"
        return self._record(
            LEFT, f"1 - {spent} or 0 * {total} + 1", comment="of the budget of the period; all of it before the first event"
        )

    def _alert(self, tier: Tier) -> Rule:
        limit, comment = self._limit(tier)
        bad, total = (f"{what}:count{tier.long}{self._mine()}" for what in (BAD, TOTAL))
        short_bad, short_total = (f"{what}:count{tier.short}{self._mine()}" for what in (BAD, TOTAL))
        firing = f"{bad} > {limit} * {total} and {bad} >= {self._min_bad}"
        if self._objective.own is not None and tier.severity not in self._objective.alerts:
            label = self._objective.by[0]
            firing = f"({firing}) and on ({label}) max by ({label}) ({self._objective.own.pages}) == 1"
        recovered = f"({short_total} > 0 and {short_bad} <= {limit} * {short_total})"
        return Rule(
            alert=self._objective.alert,
            expr=f"({firing}) unless {recovered}",
            labels={"severity": tier.severity, "tier": tier.name, "area": "objectives", **self._labels},
            annotations=self._annotations(tier),
            comment=comment,
        )

    def _limit(self, tier: Tier) -> tuple[str, str]:
        factor = tier.factor(self._period)
        why = f"{number(factor)} = {number(tier.spends)} % of {self._period} in {tier.long}"
        if self._objective.own is not None:
            return f"clamp_max({number(factor)} * {ALLOWED}{self._mine()}, {number(MOST)})", why
        limit = tier.limit(self._objective.budget, self._period)
        return number(limit), f"{number(limit)} = {number(factor)} x {number(self._objective.budget)}; {why}"

    def _annotations(self, tier: Tier) -> dict[str, str]:
        objective = self._objective
        which = "".join(f" for the {label} {{{{ $labels.{label} }}}}" for label in objective.by)
        window = spoken(self._time.length(tier.long))
        bad, total = '{{ $value | printf "%.0f" }}', self._ask(f"{TOTAL}:count{tier.long}")
        summary = (
            f"{bad} of {total} events{which} within {window} broke the promise «{objective.promise}» "
            f"{self._ask_left()} of the budget of {spoken(self._time.length(self._period))} is left."
        )
        return {
            "summary": summary,
            "impact": objective.impact,
            "action": objective.first_steps[0],
            **self._links.of(
                objective.alert,
                query=f"{BAD}:count{tier.long}{self._mine()} / ({TOTAL}:count{tier.long}{self._mine()} > 0)",
                board=objective.board,
                panel=objective.panel,
                carried=objective.by,
            ),
        }

    def _ask(self, series: str) -> str:
        return f'{{{{ with {self._query(series)} }}}}{{{{ . | first | value | printf "%.0f" }}}}{{{{ end }}}}'

    def _ask_left(self) -> str:
        found = f"{{{{ with {self._query(LEFT)} }}}}{{{{ . | first | value | humanizePercentage }}}}"
        return f"{found}{{{{ else }}}}An unknown part{{{{ end }}}}"

    def _query(self, series: str) -> str:
        matchers = [f"slo='{self._objective.name}'", *(f"{label}='%s'" for label in self._objective.by)]
        values = "".join(f" $labels.{label}" for label in self._objective.by)
        text = f"{series}{{{','.join(matchers)}}}"
        return f'printf "{text}"{values} | query' if values else f'query "{text}"'

    def _mine(self) -> str:
        return f'{{slo="{self._objective.name}"}}'

    def _record(self, name: str, expression: str, *, comment: str = "") -> Rule:
        return Rule(record=name, expr=expression, labels=self._labels, comment=comment)


def _selector(term: Term) -> str:
    matchers = []
    for matcher in term.matchers:
        several = len(matcher.values) > 1
        sign = ("=~" if several else "=") if matcher.wanted else ("!~" if several else "!=")
        matchers.append(f'{matcher.label}{sign}"{"|".join(matcher.values)}"')
    if term.le:
        matchers.append(f'le="{term.le}"')
    return f"{{{','.join(matchers)}}}" if matchers else ""
