"""Labels come from closed or registered sets; nothing a stranger sends can make a series."""

import pytest

from botstead.telemetry.exposition import Exposition
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
    assert Exposition(metrics).page().body.count(b"done_total{") == 3


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
    assert Exposition(metrics).page().body.count(b"took_seconds_count{") == 4
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


def test_gauges_and_mirrored_counters_are_not_shown_before_they_are_set() -> None:
    metrics = Metrics()
    up = metrics.gauge("up", "Up.")
    deadlocks = metrics.counter("deadlocks_total", "Deadlocks.", mirrored=True)
    page = Exposition(metrics)
    assert b"up" not in page.page().body
    up.at().set(0)
    deadlocks.at()
    assert b"up 0.0\n" in page.page().body
    assert b"deadlocks" not in page.page().body
    deadlocks.at().mirror(7)
    assert b"deadlocks_total 7.0\n" in page.page().body
    up.clear()
    assert b"up 0.0" not in page.page().body


def test_a_process_shows_only_what_it_emits() -> None:
    metrics = Metrics()
    metrics.counter("sent_total", "Sent.", roles=("worker",))
    metrics.counter("asked_total", "Asked.", roles=("api",))
    metrics.run_as(["api"])
    body = Exposition(metrics).page().body
    assert b"asked_total 0.0" in body
    assert b"sent_total" not in body
    metrics.run_as(["api", "worker"])
    assert b"sent_total 0.0" in Exposition(metrics).page().body


def test_a_gauge_can_ask_for_its_value() -> None:
    metrics = Metrics()
    idle = metrics.gauge("idle", "Idle.")
    idle.at().read_from(lambda: 3)
    assert value_of(metrics, "idle") == 3
    idle.at().read_from(lambda: 1 // 0)
    assert value_of(metrics, "idle") is None


def test_a_metric_is_declared_once() -> None:
    metrics = Metrics()
    metrics.counter("sent_total", "Sent.")
    with pytest.raises(ValueError, match="twice"):
        metrics.gauge("sent_total", "Sent.")


def test_a_label_set_can_be_forgotten() -> None:
    metrics = Metrics()
    connected = metrics.gauge("connected", "Connected.", max_sets=5, bot=OPEN)
    for bot in ("shop", "news"):
        metrics.register("bot", bot)
        connected.at(bot).set(1)
    connected.forget("shop")
    assert [values for values, _ in connected.sets()] == [("news",)]


def test_a_counter_starts_at_zero_when_the_value_of_its_open_label_is_registered() -> None:
    metrics = Metrics()
    metrics.counter("done_total", "Done.", max_sets=10, bot=OPEN, outcome=("ok", "failed"))
    metrics.counter("both_total", "Both.", max_sets=10, bot=OPEN, channel=OPEN)
    metrics.counter("other_total", "Elsewhere.", roles=("api",), max_sets=10, bot=OPEN)
    metrics.run_as(["worker"])
    metrics.register("bot", "shop")
    assert value_of(metrics, "done_total", bot="shop", outcome="failed") == 0
    assert b"both_total{" not in Exposition(metrics).page().body
    metrics.run_as(["worker", "api"])
    assert b"other_total{" not in Exposition(metrics).page().body


def test_what_has_no_room_is_counted_as_overflow() -> None:
    metrics = Metrics()
    metrics.register("bot", "shop")
    full = metrics.gauge("open", "Open.", max_sets=1, bot=OPEN)
    metrics.register("bot", "news")
    assert value_of(metrics, "botstead_label_overflow_total", metric="open") == 0
    full.at("shop").set(1)
    full.at("news").set(2)
    assert value_of(metrics, "open", bot="_other") == 2
    assert value_of(metrics, "botstead_label_overflow_total", metric="open") == 1
