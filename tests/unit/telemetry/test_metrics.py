"""Labels come from closed or registered sets; nothing a stranger sends can make a series."""

import pytest

from botstead.telemetry import catalog
from botstead.telemetry.metrics import OPEN, Metrics


def value_of(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_outcome_starts_at_zero_once_a_bot_is_seen() -> None:
    metrics = Metrics()
    family = metrics.counter("done_total", "Done.", max_sets=10, bot=OPEN, outcome=("ok", "failed"))
    metrics.register("bot", "shop")
    family.at("shop", "ok").inc()
    assert value_of(metrics, "done_total", bot="shop", outcome="ok") == 1
    assert value_of(metrics, "done_total", bot="shop", outcome="failed") == 0


def test_closed_labels_start_at_zero_at_once() -> None:
    metrics = Metrics()
    metrics.counter("tries_total", "Tries.", max_sets=2, result=("hit", "miss"))
    assert value_of(metrics, "tries_total", result="miss") == 0


def test_unknown_values_fold_and_are_counted() -> None:
    metrics = Metrics()
    family = metrics.counter("done_total", "Done.", max_sets=10, bot=OPEN, outcome=("ok", "failed"))
    for number in range(5):
        family.at(f"stranger-{number}", "ok").inc()
    family.at("stranger", "exploded").inc(2)
    assert value_of(metrics, "done_total", bot="_other", outcome="ok") == 5
    assert value_of(metrics, "done_total", bot="_other", outcome="_other") == 2
    assert value_of(metrics, "botstead_label_overflow_total", metric="done_total") == 6
    assert metrics.exposition().count(b"done_total{") == 3


def test_a_value_registered_later_stands_for_itself_from_then_on() -> None:
    metrics = Metrics()
    family = metrics.gauge("open", "Open.", max_sets=5, bot=OPEN)
    family.at("late").set(1)
    metrics.register("bot", "late")
    family.at("late").set(7)
    assert value_of(metrics, "open", bot="late") == 7


def test_a_metric_has_no_more_label_sets_than_it_says() -> None:
    metrics = Metrics()
    family = metrics.histogram("took_seconds", "Took.", buckets=(1.0,), max_sets=3, bot=OPEN)
    for number in range(50):
        metrics.register("bot", f"bot-{number}")
        family.at(f"bot-{number}").observe(0.5)
    assert metrics.exposition().count(b"took_seconds_count{") == 4
    assert value_of(metrics, "took_seconds_count", bot="_other") == 47


def test_the_number_of_values_must_fit() -> None:
    family = Metrics().counter("done_total", "Done.", max_sets=10, bot=OPEN, outcome=("ok", "failed"))
    with pytest.raises(ValueError, match="argument"):
        family.at("shop")


def test_a_child_is_the_same_object_each_time() -> None:
    metrics = Metrics()
    metrics.register("bot", "shop")
    family = metrics.counter("done_total", "Done.", max_sets=10, bot=OPEN)
    assert family.at("shop") is family.at("shop")


def test_the_catalogue_stays_within_its_budget_of_series() -> None:
    """At 50 bots on 75 bot-channel pairs, six channels, twelve integrations and twelve caches."""
    counts = {"bot": 50, "channel": 6, "integration": 12, "cache": 12}
    pairs = {("bot", "channel"): 75}
    series = 0
    for family in (value for value in vars(catalog).values() if hasattr(value, "max_sets")):
        opened = tuple(name for name, closed in family.labels.items() if not closed)
        sets = pairs.get(opened) or 1
        if opened not in pairs:
            for name in opened:
                sets *= counts[name]
        for closed in family.labels.values():
            sets *= len(closed) or 1
        assert sets <= family.max_sets, family.name
        series += sets * (len(getattr(family._metric, "_upper_bounds", ())) + 2)
    assert series <= 5_000
