"""Spans on their way to a collector over the real egress: whole, down, slow, busy, refusing; and never in anybody's way."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import pytest

from botstead.core.errors import ConfigurationError
from botstead.core.secret import Secret
from botstead.core.settings import Settings
from botstead.processes.traces import Tracing, ratio_of, read_headers
from botstead.runtime.egress import EgressClient
from botstead.telemetry import export
from botstead.telemetry.catalog import TRACE_SPANS
from botstead.telemetry.export import Exporter
from botstead.telemetry.spans import Span
from tests.doubles.collector import Answer, collector

OUTCOMES = ("exported", "refused", "failed", "dropped")


def some(count: int, first: int = 1) -> list[Span]:
    return [
        Span(trace=f"{number:032x}", id=f"{number:016x}", name="message", began=1.0, ended=2.0)
        for number in range(first, first + count)
    ]


def counted() -> dict[str, int]:
    return {outcome: int(TRACE_SPANS.at(outcome).read()) for outcome in OUTCOMES}


class Counts:
    """What the metric counted since then."""

    def __init__(self) -> None:
        self.before = counted()

    def now(self) -> dict[str, int]:
        after = counted()
        return {outcome: after[outcome] - self.before[outcome] for outcome in OUTCOMES if after[outcome] > self.before[outcome]}


@asynccontextmanager
async def exporting(url: str, **more):
    egress = EgressClient(allow=("127.0.0.1",))
    exporter = Exporter(egress, url, resource={"service.name": "botstead"}, version="0", **{"first_wait": 0.02, **more})
    running = asyncio.create_task(exporter.run())
    try:
        yield exporter
    finally:
        running.cancel()
        await asyncio.wait([running])
        await egress.close()


async def until(condition, what: str = "the condition") -> None:
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110  # bounded by the timeout around it
            await asyncio.sleep(0.005)


def test_spans_arrive_with_the_headers_and_in_batches():
    async def story():
        counts = Counts()
        async with collector() as double, exporting(double.url, headers={"x-key": Secret("hush")}) as exporter:
            exporter.offer(some(600))
            await exporter.flush(5)
            assert [span.id for span in double.spans] == [span.id for span in some(600)]
            assert [request["x-key"] for request in double.requests] == ["hush"] * 3
            assert double.spans[0].resource == {"service.name": "botstead"}
            assert counts.now() == {"exported": 600}
            assert "hush" not in repr(vars(exporter))

    asyncio.run(story())


@pytest.mark.parametrize("fault", [Answer(status=503), Answer(status=502), Answer(status=504), Answer(hang_up=True)])
def test_a_fault_that_passes_loses_nothing(fault):
    async def story():
        counts = Counts()
        async with collector() as double, exporting(double.url) as exporter:
            double.answers += [fault, fault]
            exporter.offer(some(3))
            await exporter.flush(5)
            assert len(double.spans) == 3
            assert len(double.requests) == 3
            assert counts.now() == {"exported": 3}

    asyncio.run(story())


def test_retry_after_is_obeyed():
    async def story():
        async with collector() as double, exporting(double.url) as exporter:
            double.answers += [Answer(status=429, headers={"retry-after": "1"})]
            began = time.monotonic()
            exporter.offer(some(1))
            await exporter.flush(5)
            assert len(double.spans) == 1
            assert 1.0 <= time.monotonic() - began < 3.0

    asyncio.run(story())


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_a_refusal_is_not_repeated(status):
    async def story():
        counts = Counts()
        async with collector() as double, exporting(double.url) as exporter:
            double.answers += [Answer(status=status)]
            exporter.offer(some(2))
            await exporter.flush(5)
            assert len(double.requests) == 1
            assert counts.now() == {"failed": 2}
            exporter.offer(some(1))
            await exporter.flush(5)
            assert counts.now() == {"failed": 2, "exported": 1}

    asyncio.run(story())


def test_what_the_collector_says_it_left_out_is_counted():
    async def story():
        counts = Counts()
        async with collector() as double, exporting(double.url) as exporter:
            double.answers += [Answer(refuses=2), Answer(refuses=2**40)]
            exporter.offer(some(5))
            await exporter.flush(5)
            assert counts.now() == {"exported": 3, "refused": 2}
            exporter.offer(some(5))
            await exporter.flush(5)
            assert counts.now() == {"exported": 3, "refused": 7}

    asyncio.run(story())


def test_a_collector_that_is_down_costs_bounded_memory_and_nobody_time(monkeypatch):
    monkeypatch.setattr(export, "TRIES", 2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def story():
        counts = Counts()
        async with exporting(f"http://127.0.0.1:{port}", first_wait=0.3) as exporter:
            began = time.perf_counter()
            for number in range(2_000):
                exporter.offer(some(8, first=1 + 8 * number))
            assert time.perf_counter() - began < 10.0  # a wait for the collector each would be minutes
            assert len(exporter._queue) <= export.QUEUE
            await until(lambda: counts.now().get("failed", 0) == export.BATCH, "a batch is given up")
            assert counts.now() == {"failed": export.BATCH, "dropped": 16_000 - export.QUEUE}
            async with collector(port) as double:
                exporter.offer(some(1))  # it is back
                await until(lambda: len(double.spans) > 300, "spans arrive again")

    asyncio.run(story())


def test_a_slow_collector_holds_nobody_up_and_the_end_is_quick(monkeypatch):
    monkeypatch.setattr(export, "TIMEOUT", 0.2)

    async def story():
        counts = Counts()
        async with collector() as double, exporting(double.url) as exporter:
            double.answers += [Answer(wait=3.0)]
            exporter.offer(some(1))
            await until(lambda: len(double.requests) == 2, "the slow one is given up and tried again")
            await exporter.flush(5)
            assert counts.now() == {"exported": 1}
            double.answers += [Answer(wait=30.0)] * 9
            exporter.offer(some(400))
            began = time.monotonic()
            await exporter.flush(0.3)
            assert time.monotonic() - began < 1.0
            assert counts.now()["dropped"] == 400 - export.BATCH

    asyncio.run(story())


def test_settings_name_the_collector_and_the_share():
    assert ratio_of(Settings()) == 0.0
    assert ratio_of(Settings(otlp_endpoint="http://c:4318")) == 0.01
    assert ratio_of(Settings(trace_ratio=0.5)) == 0.5
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigurationError, match="trace_ratio"):
            ratio_of(Settings(trace_ratio=wrong))
    for wrong in ("collector:4318", "ftp://c", "http://", "http://[::1", "http://c:99999"):
        with pytest.raises(ConfigurationError, match="otlp_endpoint"):
            Tracing(Settings(otlp_endpoint=wrong, postgres="postgres://x"), None)


def test_headers_come_from_a_file_whose_values_are_never_shown(tmp_path):
    path = tmp_path / "headers"
    path.write_text("# of the collector\n\nAuthorization: Bearer a b=c\nx-scope=team\n")
    found = read_headers(path)
    assert {name: secret.reveal() for name, secret in found.items()} == {"authorization": "Bearer a b=c", "x-scope": "team"}
    path.write_text("ok: 1\nthis-is-a-secret-without-a-name\n")
    with pytest.raises(ConfigurationError, match="line 2") as caught:
        read_headers(path)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="otlp_headers_file"):
        read_headers(tmp_path / "absent")
