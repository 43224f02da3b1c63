"""A reading is there while its source is, and says nothing otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from botstead.telemetry.readings import Readings
from botstead.telemetry.vitals import Vitals


def shown(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_nothing_is_there_before_the_first_look_and_after_the_last():
    registry = CollectorRegistry()
    size = Readings(registry).declare("size_bytes", "Size.")
    assert shown(registry) == ""
    size.show(0)
    assert "size_bytes 0.0" in shown(registry)
    size.clear()
    assert shown(registry) == ""


def test_a_counter_keeps_its_name_and_type():
    registry = CollectorRegistry()
    Readings(registry).declare("falls_total", "Falls.", kind="counter").show(3)
    assert "# TYPE falls_total counter\nfalls_total 3.0" in shown(registry)


def test_replaced_values_leave_nothing_of_the_old_ones():
    registry = CollectorRegistry()
    ratio = Readings(registry).declare("ratio", "Ratio.", "table", max_sets=3)
    ratio.replace({("inbox",): 0.5})
    ratio.replace({("outbox",): 0.25})
    assert 'table="outbox"} 0.25' in shown(registry)
    assert "inbox" not in shown(registry)


@given(st.dictionaries(st.tuples(st.text(max_size=8)), st.floats(allow_nan=False), max_size=30))
def test_never_more_sets_than_declared_and_the_largest_stay(values):
    registry = CollectorRegistry()
    ratio = Readings(registry).declare("ratio", "Ratio.", "table", max_sets=5)
    ratio.replace(values)
    assert len(ratio.shown) == min(5, len(values))
    assert sorted(ratio.shown.values()) == sorted(values.values())[-5:]
    found = [sample for family in text_string_to_metric_families(shown(registry)) for sample in family.samples]
    assert {(sample.labels["table"],): sample.value for sample in found} == dict(ratio.shown)


def test_labels_must_fit():
    ratio = Readings(CollectorRegistry()).declare("ratio", "Ratio.", "table")
    with pytest.raises(ValueError, match="1 labels, and 0 values"):
        ratio.show(1.0)


def test_a_name_is_declared_once():
    readings = Readings(CollectorRegistry())
    readings.declare("ratio", "Ratio.")
    with pytest.raises(ValueError, match="twice"):
        readings.declare("ratio", "Another.")


def test_a_process_that_reads_nothing_shows_no_vitals():
    registry = CollectorRegistry()
    vitals = Vitals(registry)
    assert shown(registry) == ""
    assert all(
        name.startswith(("postgres_", "valkey_", "host_", "job_", "bot_", "channel_", "scheduler_", "payment"))
        for name in vitals.all
    )
