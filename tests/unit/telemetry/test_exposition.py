"""Our page says what prometheus_client's own says: the same series with the same values, and its parsers read both formats."""

from __future__ import annotations

import math
import re
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Gauge, GCCollector, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from botstead.telemetry.exposition import OPENMETRICS, TEXT, Exposition, prefers_openmetrics
from botstead.telemetry.instruments import Counter, Histogram
from botstead.telemetry.metrics import OPEN, Metrics

ACCEPT = "application/openmetrics-text;version=1.0.0"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
TRACE = "0af7651916cd43dd8448eb211c80319c"
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.floats(0, 1e18) | st.sampled_from([0.0, 1.0, 0.1, 1e6, 1e21, math.inf])
CASES = st.lists(st.tuples(WORDS, VALUES, st.lists(st.floats(0, 20), max_size=5)), max_size=6)


def filled(cases) -> Metrics:
    """Metrics of each kind with these label values, values and observations."""
    metrics = Metrics()
    counter = metrics.counter("sent_total", 'Sent "things" \\ and\nmore.', max_sets=99, bot=OPEN, how=("well", "ill"))
    gauge = metrics.gauge("size_bytes", "Size.", max_sets=99, bot=OPEN)
    histogram = metrics.histogram("took_seconds", "Took.", buckets=(0.005, 1.0, 10.0), max_sets=99, bot=OPEN)
    metrics.histogram("bare_seconds", "Bare.", buckets=(1.0,)).at().observe(0.5)
    for word, value, observations in cases:
        metrics.register("bot", word)
        counter.at(word, "well").inc(value)
        gauge.at(word).set(-value)
        for seconds in observations:
            histogram.at(word).observe(seconds)
    return metrics


def samples(families) -> dict[str, list[tuple]]:
    """Name of each family to its samples, in their order."""
    return {
        family.name: [(sample.name, tuple(sample.labels.items()), sample.value) for sample in family.samples]
        for family in families
    }


@given(CASES)
@settings(deadline=None, max_examples=60)
def test_both_formats_say_what_the_stock_renderers_say(cases):
    metrics = filled(cases)
    page = Exposition(metrics)
    for _ in range(2):  # the second time from what was kept
        text = page.page().body.decode()
        assert samples(read_text(text)) == samples(read_text(generate_latest(metrics.registry).decode()))
        openmetrics = page.page(ACCEPT).body.decode()
        assert samples(read_openmetrics(openmetrics)) == samples(
            read_openmetrics(generate_openmetrics(metrics.registry).decode())
        )


@given(CASES)
@settings(deadline=None, max_examples=30)
def test_types_and_help_are_those_of_the_stock_renderers(cases):
    metrics = filled(cases)
    for ours, stock, read in (
        (Exposition(metrics).page().body, generate_latest(metrics.registry), read_text),
        (Exposition(metrics).page(ACCEPT).body, generate_openmetrics(metrics.registry), read_openmetrics),
    ):
        described = [(family.name, family.type, family.documentation) for family in read(ours.decode())]
        assert described == [(family.name, family.type, family.documentation) for family in read(stock.decode())]


def test_what_libraries_register_is_shown_as_well():
    metrics = Metrics()
    GCCollector(registry=metrics.registry)
    Gauge("foreign", "Foreign.", ["how"], registry=metrics.registry).labels('od"d').set(math.inf)
    for accept, read in (("", read_text), (ACCEPT, read_openmetrics)):
        found = samples(read(Exposition(metrics).page(accept).body.decode()))
        assert found["foreign"] == [("foreign", (("how", 'od"d'),), math.inf)]
        assert len(found["python_gc_collections"]) == 3


def test_exemplars_are_shown_in_openmetrics_only():
    metrics = Metrics()
    took = metrics.histogram("took_seconds", "Took.", buckets=(0.5, 1.0))
    took.at().observe(0.2)
    took.at().observe_traced(0.7, "f" * 32)
    took.at().observe_traced(0.8, TRACE)
    took.at().observe_traced(70.0, TRACE)
    (family,) = (
        found for found in read_openmetrics(Exposition(metrics).page(ACCEPT).body.decode()) if found.name == "took_seconds"
    )
    shown = {sample.labels.get("le"): sample.exemplar for sample in family.samples if sample.exemplar}
    assert {bound: (exemplar.labels, exemplar.value) for bound, exemplar in shown.items()} == {
        "1.0": ({"trace_id": TRACE}, 0.8),
        "+Inf": ({"trace_id": TRACE}, 70.0),
    }
    assert all(float(exemplar.timestamp) > 1e9 for exemplar in shown.values())
    assert b"trace_id" not in Exposition(metrics).page().body


def test_bounds_are_written_as_floats():
    metrics = Metrics()
    metrics.histogram("took_seconds", "Took.", buckets=(0.005, 1.0, 10.0)).at().observe(0.5)
    body = Exposition(metrics).page().body.decode()
    assert re.findall(r'le="([^"]+)"', body) == ["0.005", "1.0", "10.0", "+Inf"]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;q=0, text/plain", False),
        ("application/openmetrics-text;q=0.1, text/plain", False),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=x, */*;q=y", False),
    ],
)
def test_the_scraper_chooses(accept, wanted):
    assert prefers_openmetrics(accept) is wanted
    page = Exposition(Metrics()).page(accept)
    assert page.media_type == (OPENMETRICS if wanted else TEXT)
    assert page.body.endswith(b"# EOF\n") is wanted


@given(st.text(max_size=80))
@settings(deadline=None, max_examples=200)
def test_no_accept_header_breaks_it(accept):
    assert prefers_openmetrics(accept) in (True, False)


def test_rendering_measures_itself():
    metrics = Metrics()
    duration = metrics.histogram("scrape_seconds", "Scrape.", buckets=(10.0,))
    page = Exposition(metrics).timed(duration)
    page.page()
    assert b'scrape_seconds_bucket{le="10.0"} 1\n' in page.page().body


def test_no_count_is_lost_between_threads():
    counter, histogram = Counter(), Histogram((0.5, 1.0))

    def count() -> None:
        for _ in range(50_000):
            counter.inc()
            histogram.observe(0.7)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert counter.value == 200_000
    assert histogram.counts == [0, 200_000, 0]
    assert histogram.total == pytest.approx(140_000)


def test_only_a_bound_can_be_asked_for():
    histogram = Histogram((0.5, 1.0))
    histogram.observe(0.5)
    assert histogram.within(0.5) == 1
    with pytest.raises(ValueError, match="not in"):
        histogram.within(0.7)


def test_scraping_meanwhile_finds_whole_pages():
    metrics = filled([])
    page, stop = Exposition(metrics), threading.Event()
    counter = metrics.families["sent_total"]

    def grow() -> None:
        for number in range(400):
            metrics.register("bot", f"bot-{number}")
            counter.at(f"bot-{number}", "well").inc()
        stop.set()

    thread = threading.Thread(target=grow)
    thread.start()
    while not stop.is_set():
        list(read_openmetrics(page.page(ACCEPT).body.decode()))
    thread.join()
