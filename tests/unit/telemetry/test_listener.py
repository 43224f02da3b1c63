"""Whatever the event loop does, metrics and health answer."""

import json
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from botstead.core.errors import ConfigurationError
from botstead.telemetry.listener import PROBE_SECONDS, Listener, Probe
from tests.servers import wait_until


@contextmanager
def listening(probes: Mapping[str, Callable[[], Probe]]) -> Iterator[Listener]:
    listener = Listener("127.0.0.1", 0, probes)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def get(listener: Listener, path: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{listener.port}{path}", timeout=5) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_metrics_are_served_as_text() -> None:
    with listening({}) as listener:
        status, headers, body = get(listener, "/metrics")
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert b"# TYPE job_runs_total counter" in body


def test_a_probe_that_is_not_ok_says_when_to_come_back() -> None:
    probes = {"live": lambda: Probe(ok=True), "ready": lambda: Probe(ok=False, checks={"postgres": "away"}, retry_after=3)}
    with listening(probes) as listener:
        assert get(listener, "/health/live")[0] == 200
        status, headers, body = get(listener, "/health/ready")
        assert (status, headers["Retry-After"]) == (503, "3")
        assert json.loads(body)["checks"] == {"postgres": "away"}
        assert get(listener, "/health/startup")[0] == 404
        assert get(listener, "/")[0] == 404


def test_a_probe_is_asked_at_most_once_a_second() -> None:
    asked: list[float] = []

    def ready() -> Probe:
        asked.append(time.monotonic())
        return Probe(ok=True)

    with listening({"ready": ready}) as listener:
        started = time.monotonic()
        for _ in range(20):
            get(listener, "/health/ready")
        assert len(asked) <= 1 + int((time.monotonic() - started) / PROBE_SECONDS)


def test_a_probe_that_raises_is_not_ok() -> None:
    def ready() -> Probe:
        raise RuntimeError("secret detail")

    with listening({"ready": ready}) as listener:
        status, _, body = get(listener, "/health/ready")
    assert status == 503
    assert b"secret detail" not in body


def test_a_taken_port_is_named() -> None:
    with listening({}) as listener, pytest.raises(ConfigurationError, match=str(listener.port)):
        Listener("127.0.0.1", listener.port, {}).start()


def test_stopping_ends_the_thread_and_may_be_repeated() -> None:
    before = threading.active_count()
    listener = Listener("127.0.0.1", 0, {})
    listener.start()
    get(listener, "/metrics")
    listener.stop()
    listener.stop()
    assert not any(thread.name == "listener" for thread in threading.enumerate())
    assert threading.active_count() <= before + 1  # the thread of the last request may still be saying goodbye


def test_prometheus_gets_the_format_with_exemplars() -> None:
    with listening({}) as listener:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{listener.port}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0;q=0.5"}
        )
        with urllib.request.urlopen(asked, timeout=5) as answer:
            assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
            assert answer.read().endswith(b"# EOF\n")


def test_a_client_that_leaves_before_its_answer_is_nothing_to_write_about(capfd: pytest.CaptureFixture[str]) -> None:
    asked, gone = threading.Event(), threading.Event()

    def slow() -> Probe:
        asked.set()
        assert gone.wait(5)
        return Probe(ok=True, checks={"padding": "x" * 4_000_000})  # more than any buffer on the way takes

    with listening({"ready": slow}) as listener:
        with socket.create_connection(("127.0.0.1", listener.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets
            client.sendall(b"GET /health/ready HTTP/1.0\r\n\r\n")
            assert asked.wait(5)
        gone.set()
        assert get(listener, "/metrics")[0] == 200
        wait_until(lambda: not [one for one in threading.enumerate() if "process_request_thread" in one.name], what="the thread")
    assert capfd.readouterr().err == ""
