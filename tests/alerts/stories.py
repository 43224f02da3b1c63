"""Some twenty kinds of story for each promise, with its own numbers, and the promtool tests that they make.

promtool evaluates all groups at one pace, whatever their intervals, and the ledger must be kept every five minutes. So there are
two test files for an objective: one at the pace of the live group, without what needs the ledger; and one at the ledger's pace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from botstead.operate.objectives.model import Objective, Tier, Tiers, seconds
from tests.alerts.happened import IDLE, OTHER, VICTIM, Kind, Minutes, firing, happening, kinds, lasting, sparse
from tests.alerts.series import MINUTE, counter, selector

LIVE, LEDGER = "30s", "5m"
"""The paces of the two groups."""
STRANGE = (
    *(f"slo:{what}:{of}" for what in ("bad", "total") for of in ("ledger5m", "count5m", "count30d")),
    "slo:allowed:ratio",
)
NOISE = 600.0
"""Events a minute that do not count: ten times those that do."""


class Story(NamedTuple):
    """One thing that happens, and what must be seen of it."""

    name: str
    minutes: Minutes
    bad: Kind
    must: str = ""
    """The tier that must be seen to fire; "" when none may."""
    resolves: bool = False
    """Whether it must be seen to end."""
    silent: tuple[str, ...] = ()
    """Verdicts whose series are not there at all."""
    noise: str = ""
    """`neutral` to add events that do not count."""
    mixed: bool = False
    """Whether good and bad events are of every kind, evenly, instead of the usual one."""
    modest: bool = False
    """Whether the victim says nothing for itself, though it may."""
    torn: bool = False
    """Whether the buckets of a histogram are read later than its count."""
    alone: bool = False
    """Whether there are no figures of another promise, nor series of any but the usual events."""
    figures: tuple[str, ...] = ()
    """Windows whose counts are looked at when it ends: `5m`, `30d`; `allowed` and `left` for the two ratios."""


def live_stories(objective: Objective, tiers: Tiers) -> Iterator[Story]:
    """What is told at the pace of the live group, about the fast tier."""
    fast = _tier(objective, tiers, "fast")
    if fast is None:
        return
    budget = float(objective.budget)
    hour, limit = 60, min(0.9, float(fast.factor(tiers.period)) * budget)
    long = ceil(hour * limit)
    half = hour * limit / 2
    well, soon, broken = lasting(hour, 0.0), lasting(10, 0.0), lasting(long + 8, 1.0)
    blip = lasting(ceil(half), half / ceil(half))
    usual, *others = [kind for kind in kinds(objective) if kind.verdict == "bad"]
    windows = _LIVE_FIGURES
    yield Story("healthy, with half the bad events that are allowed", lasting(100, budget / 2), usual, figures=windows)
    yield Story("outage, then recovery", well + broken + lasting(15, 0.0), usual, must="fast", resolves=True)
    half_again = well + broken + lasting(15, limit / 2)
    yield Story("outage, then half of what a page needs", half_again, usual, must="fast", resolves=True)
    if 1.6 * limit < 1:
        goes_on = well + broken + lasting(15, 1.6 * limit)
        yield Story("outage, then rather more than a page needs", goes_on, usual, must="fast")
    for other in others:
        yield Story(f"outage by {other.grows[-1]}", soon + broken, other, must="fast")
    yield Story("outage among many events that do not count", soon + broken, usual, must="fast", noise="neutral")
    yield Story("healthy among many events that do not count", lasting(40, 0.0), usual, noise="neutral")
    yield Story("blip of half the time that a page needs", well + blip + well, usual)
    yield Story("one failure at low traffic", sparse(40) + sparse(10, bad=True) + sparse(60), usual)
    yield Story("four failures in a row at low traffic", sparse(60) + sparse(40, bad=True) + sparse(5), usual)
    yield Story("outage at low traffic", sparse(60) + sparse(75, bad=True), usual, must="fast")
    yield Story(
        "outage at low traffic, and its end", sparse(30) + sparse(70, bad=True) + sparse(20), usual, must="fast", resolves=True
    )
    yield Story("no data", lasting(30, 0.0), usual, silent=("good", "bad", "neutral"))
    nothing = Story("no bad event yet, nor a series for one", lasting(80, 0.0), usual, silent=("bad",))
    yield nothing._replace(figures=windows, alone=True)
    yield Story(_NO_GOOD, lasting(10, 0.0, rate=0.0) + lasting(20, 1.0), usual, must="fast", silent=("good",), alone=True)
    every = Story(_EVERY, lasting(20, 0.0) + lasting(62, 0.6), usual, must="fast" if limit < 0.5 else "")
    yield every._replace(mixed=True, noise="neutral", figures=windows)
    if objective.own is not None:
        yield Story("outage of one that does not want to page", well + broken, usual, modest=True, figures=windows)


_LIVE_FIGURES = ("5m", "30m", "1h", "allowed")
_FIGURES = (*_LIVE_FIGURES, "2h", "6h", "1d", "3d", "30d", "left")
_NO_GOOD = "no good event yet, nor a series for one"
_EVERY = "events of every kind, among many that do not count"


def ledger_stories(objective: Objective, tiers: Tiers) -> Iterator[Story]:
    """What is told at the pace of the ledger, about all tiers."""
    budget = float(objective.budget)
    usual = next(kind for kind in kinds(objective) if kind.verdict == "bad")
    hours = 60
    yield Story("a day as promised", lasting(24 * hours, budget / 2), usual, figures=_FIGURES)
    nothing = Story("no bad event yet, nor a series for one", lasting(3 * hours, 0.0), usual, silent=("bad",))
    yield nothing._replace(figures=_FIGURES, alone=True)
    yield Story("nothing happens", lasting(hours, 0.0, rate=0.0), usual, figures=_FIGURES, torn=True)
    last = tiers.of(objective, pages=objective.own is not None)[-1].name
    nothing = Story(_NO_GOOD, lasting(hours, 0.0, rate=0.0) + lasting(4 * hours, 1.0), usual, must=last, silent=("good",))
    yield nothing._replace(figures=_FIGURES, alone=True)
    every = Story(_EVERY, lasting(2 * hours, 0.0) + lasting(4 * hours, 0.5), usual, must=last)
    yield every._replace(mixed=True, noise="neutral", figures=_FIGURES)
    few = Story("three failures, three more, and silence, at low traffic", _few(), usual, must=last, resolves=True)
    yield few
    if objective.own is not None:
        yield few._replace(name="the same to one that does not want to page", modest=True, figures=("left",))
    shares = {"medium": (10, 6, 6), "slow": (4, 2, 14), "creep": (1.6, 8, 22)}
    for name, (times, before, during) in shares.items():
        tier = _tier(objective, tiers, name)
        if tier is not None:
            story = lasting(before * hours, 0.0) + lasting(during * hours, min(0.85, times * budget))
            resolves = name != "creep"
            after = {"medium": 2, "slow": 3, "creep": 7}[name]
            half = min(0.45, float(tier.factor(tiers.period)) * budget / 2)
            story += lasting(after * hours, half)
            yield Story(f"{times:g} times too many failures", story, usual, must=name, resolves=resolves)
    if _tier(objective, tiers, "slow") is not None:
        yield Story("an outage of hours", lasting(6 * hours, 0.0) + lasting(20 * hours, 1.0), usual, must="slow")


def _few() -> Minutes:
    """Four bad events are too few for any tier, six are enough, and none recovers while nothing happens at all.

    They come six minutes before a moment that is looked at, so that a wait of ten is noticed; and never in the minute after a step of
    the ledger: from Prometheus 3 on `increase` does not see what happens in a window before its first sample, and makes up for it.
    """
    good = dict.fromkeys((*range(8, 60, 10), *range(523, 570, 10)), 1.0)
    return happening(570, good, {68: 1, 78: 1, 88: 1, 113: 3})


def told_as(
    objective: Objective, tiers: Tiers, stories: Sequence[Story], *, pace: str, watched: Sequence[str], own: Own | None
) -> dict[str, Any]:
    """A promtool test file of stories, at a pace of `30s` or `5m`, about some tiers."""
    # The live group runs ten times as often as the ledger's, so what the ledger's alerts read of it is always fresh.
    order = [f"slo:{objective.name}", f"slo:{objective.name}:ledger"]
    return {
        "evaluation_interval": pace,
        "group_eval_order": order[: 1 if pace == LIVE else 2],
        "tests": [_test(objective, tiers, story, pace=pace, watched=watched, own=own) for story in stories],
    }


class Own(NamedTuple):
    """What the victim says for itself: its target as a ratio, and whether it pages."""

    target: float
    pages: bool


def _test(
    objective: Objective, tiers: Tiers, story: Story, *, pace: str, watched: Sequence[str], own: Own | None
) -> dict[str, Any]:
    checked = [tier for tier in tiers.of(objective, pages=own is not None and own.pages) if tier.name in watched]
    own = None if story.modest else own
    step, blur = (1, 1) if pace == LIVE else (30, 6)
    seen: dict[str, list[bool]] = {tier.name: [] for tier in checked}
    tests = []
    budget = 1 - own.target if own else float(objective.budget)
    for minute in range(step, len(story.minutes.good) + 1, step):
        verdicts = {
            tier.name: _verdict(objective, story, tier, tiers, budget=budget, minute=minute, blur=blur) for tier in checked
        }
        if None in verdicts.values():
            continue
        fire = [tier for tier in checked if verdicts[tier.name]]
        for tier in checked:
            seen[tier.name].append(tier in fire)
        tests.append(
            {
                "eval_time": f"{minute}m",
                "alertname": objective.alert,
                "exp_alerts": [{"exp_labels": _labels(objective, tier)} for tier in fire],
            }
        )
    _check(objective, story, seen)
    return {
        "name": f"{objective.name}: {story.name}",
        "interval": MINUTE,
        "input_series": _input(objective, story, own),
        "alert_rule_test": tests,
        "promql_expr_test": list(_figures(objective, story, budget, _recorded(objective, tiers))),
    }


def _figures(objective: Objective, story: Story, budget: float, recorded: set[str]) -> Iterator[dict[str, Any]]:
    """What is recorded when a story ends, as questions that are answered by 1."""
    mine = ",".join([f'slo="{objective.name}"', *(f'{label}="{VICTIM}"' for label in objective.by)])
    end = len(story.minutes.good)
    groups = 2 if objective.by and "good" not in story.silent else 1
    for figure in (figure for figure in story.figures if figure in recorded):
        for series, expected in _expected(story.minutes, figure, budget):
            near = f"abs({series}{{{mine}}} - {expected:.8f}) <= bool {max(0.03 * abs(expected), 1e-8):.8f}"
            yield {"expr": f"max({near})", "eval_time": f"{end}m", "exp_samples": [{"labels": "{}", "value": 1}]}
            all_of_it = f'count({series}{{slo="{objective.name}"}})'
            yield {"expr": all_of_it, "eval_time": f"{end}m", "exp_samples": [{"labels": "{}", "value": groups}]}


def _recorded(objective: Objective, tiers: Tiers) -> set[str]:
    watching = tiers.of(objective, pages=objective.own is not None)
    return {"5m", "1h", tiers.period, "allowed", "left", *(window for tier in watching for window in (tier.long, tier.short))}


def _expected(minutes: Minutes, figure: str, budget: float) -> Iterator[tuple[str, float]]:
    end = len(minutes.good)
    good, bad = sum(minutes.good), sum(minutes.bad)
    if figure == "allowed":
        yield "slo:allowed:ratio", budget
    elif figure == "left":
        yield "slo:budget_left:ratio", 1 - bad / (budget * (good + bad)) if good + bad else 1.0
    else:
        window = seconds(figure) // 60
        bad, good = (minutes.count(what, end, window) for what in (minutes.bad, minutes.good))
        yield f"slo:bad:count{figure}", bad
        yield f"slo:total:count{figure}", good + bad


def _verdict(
    objective: Objective, story: Story, tier: Tier, tiers: Tiers, *, budget: float, minute: int, blur: int
) -> bool | None:
    if story.modest and tier not in tiers.of(objective):
        return False
    return firing(story.minutes, tier, budget, tiers, minute, blur=blur)


def _check(objective: Objective, story: Story, seen: Mapping[str, list[bool]]) -> None:
    """A story must show what its name says, or it proves nothing."""
    assert all(seen.values()), f"{objective.name}, {story.name}: no moment is clear enough to be looked at"
    if not story.must:
        assert not any(any(moments) for moments in seen.values()), f"{objective.name}, {story.name}: something must fire"
        return
    moments = seen[story.must]
    assert True in moments, f"{objective.name}, {story.name}: {story.must} never has to fire"
    assert False in moments[: moments.index(True)], f"{objective.name}, {story.name}: it has to fire from the start"
    if story.resolves:
        assert False in moments[moments.index(True) :], f"{objective.name}, {story.name}: it never has to end"


def _labels(objective: Objective, tier: Tier) -> dict[str, str]:
    fixed = {
        "severity": tier.severity,
        "tier": tier.name,
        "area": "objectives",
        "slo": objective.name,
        "service": objective.service,
    }
    return fixed | dict.fromkeys(objective.by, VICTIM)


def _input(objective: Objective, story: Story, own: Own | None) -> list[dict[str, str]]:
    length = len(story.minutes.good)
    found: dict[str, list[float]] = {}
    good = next(kind for kind in kinds(objective) if kind.verdict == "good")
    victims = dict.fromkeys(objective.by, VICTIM)
    for kind in [good, story.bad] if story.alone else kinds(objective):
        if kind.verdict not in story.silent:
            _grow(found, kind, victims, _happens(objective, story, kind))
        if objective.by and kind.verdict == "neutral" and story.noise:
            _grow(found, kind, dict.fromkeys(objective.by, IDLE), [NOISE] * length)
        if objective.by and "good" not in story.silent:
            others = dict.fromkeys(objective.by, OTHER)
            _grow(found, kind, others, [60.0 if kind == good else 0.0] * length)
    series = [{"series": name, "values": counter(values)} for name, values in found.items()]
    # Another promise's figures, which none of these rules may read.
    stranger = {"slo": "another", "service": objective.service, **victims}
    series += [{"series": selector(name, stranger), "values": f"7x{length}"} for name in STRANGE if not story.alone]
    if own is not None and objective.own is not None:
        series.append({"series": selector(objective.own.target, victims), "values": f"{own.target}x{length}"})
    if objective.own is not None:
        pages = int(own is not None and own.pages)
        series.append({"series": selector(objective.own.pages, victims), "values": f"{pages}x{length}"})
    return series


def _happens(objective: Objective, story: Story, kind: Kind) -> Sequence[float]:
    """How many events of a kind each minute has."""
    happened = {"good": story.minutes.good, "bad": story.minutes.bad}.get(kind.verdict)
    if happened is None:
        each = {"neutral": NOISE if story.noise else 0.0, "early": float(story.torn)}[kind.verdict]
        return [each] * len(story.minutes.good)
    alike = [each for each in kinds(objective) if each.verdict == kind.verdict]
    if story.mixed:
        return [each / len(alike) for each in happened]
    return happened if kind == (story.bad if kind.verdict == "bad" else alike[0]) else [0.0] * len(happened)


def _grow(found: dict[str, list[float]], kind: Kind, by: Mapping[str, str], grows: Sequence[float]) -> None:
    for name, labels in kind.series(by):
        values = found.setdefault(selector(name, labels), [0.0] * len(grows))
        found[selector(name, labels)] = [one + other for one, other in zip(values, grows, strict=True)]


def _tier(objective: Objective, tiers: Tiers, name: str) -> Tier | None:
    return next((tier for tier in tiers.of(objective, pages=objective.own is not None) if tier.name == name), None)


def live_rules(document: Mapping[str, Any]) -> dict[str, Any]:
    """Rules without the ledger and what needs it: only the live group, and of its alerts the fast one."""
    groups = [group for group in document["groups"] if not group["name"].endswith(":ledger")]
    return {"groups": [{**group, "rules": [rule for rule in group["rules"] if _lives(rule)]} for group in groups]}


def _lives(rule: Mapping[str, Any]) -> bool:
    return "ledger5m" not in rule["expr"] and ("alert" not in rule or rule["labels"]["tier"] == "fast")
