"""The real edge in front of a stand-in for the API."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from botstead.processes.embedded import edge
from botstead.processes.embedded.folder import free_ports
from tests.acceptance.appliance.conftest import ROLES, get
from tests.servers import answers, wait_until

CHUNKED = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE_CHUNK = b"%x\r\n%b\r\n" % (400_000, bytes(400_000))


class Site:
    """A running edge, its port, and what the API behind it noted."""

    def __init__(self, folder, *, event_seconds: float = 3, **more) -> None:
        self.port, metrics, api, api_metrics = free_ports(4)
        self.notes_file = folder / "notes"
        self.notes_file.touch()
        self.api_port = api
        variables = {"PYTHONPATH": str(ROLES), "ROLES_NOTES": str(self.notes_file), "ROLES_EVENT_SECONDS": str(event_seconds)}
        ports = {"BOTSTEAD_API_PORT": str(api), "BOTSTEAD_METRICS_PORT": str(api_metrics)}
        self.environment = {**os.environ, **variables, **ports}
        self.start_api()
        ports = {"port": self.port, "metrics_port": metrics, "api_ports": (api,)}
        site = edge.Site(host="127.0.0.1", body_limit=1_048_576, **ports, **more)
        program = edge.prepare(folder, site)
        self.edge = subprocess.Popen(program.command, env=program.environment, cwd=folder, stderr=subprocess.DEVNULL)
        wait_until(lambda: answers(self.port), what="edge")

    def start_api(self) -> None:
        self.api = subprocess.Popen([sys.executable, "-m", "botstead", "run", "api"], env=self.environment)
        wait_until(lambda: answers(self.api_port), what="API")

    @property
    def notes(self) -> list[str]:
        return self.notes_file.read_text().splitlines()

    def stop(self) -> None:
        for process in (self.edge, self.api):
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    running = Site(tmp_path_factory.mktemp("edge"))
    yield running
    running.stop()


def test_metrics_are_not_for_the_world(site):
    for path in ("/metrics", "/metrics/", "/METRICS", "/x/../metrics", "//metrics"):
        status, headers, body = get(site.port, path)
        assert (path, status, headers["Content-Type"]) == (path, 404, "application/problem+json")
        assert '"code":"not_found"' in body


def test_a_client_cannot_say_who_it_is(site):
    lies = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Forwarded-Proto": "https"}
    status, _, body = get(site.port, "/v1/anything", method="POST", body=b"{}", headers=lies)
    assert status == 200
    assert "6.6.6.6" not in body
    assert "x-forwarded-for: 127.0.0.1" in body
    assert "x-forwarded-proto: http" in body.splitlines()


def test_bodies_have_a_limit(site):
    assert get(site.port, "/hooks/x", method="POST", body=b"x" * 1_048_576)[0] == 200
    answer, _ = said(site.port, b"POST /hooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n" + bytes(1_048_577))
    assert answer.startswith(b"HTTP/1.1 413")
    assert answer.endswith(b'{"type":"about:blank","title":"Content Too Large","status":413,"code":"too_large"}')


def said(port, sent):
    """What the edge says to raw bytes until it hangs up, and how many seconds that took."""
    began, answer = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client, contextlib.suppress(ConnectionResetError):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may hang up before all is sent
            client.sendall(sent)
        while more := client.recv(65_536):
            answer += more
    return answer, time.monotonic() - began


def test_a_body_declared_too_large_is_refused_before_it_comes(site):
    answer, seconds = said(site.port, b"POST /hooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"\r\nConnection: close\r\n" in answer
    assert seconds < 5


def test_a_body_in_chunks_that_grows_too_large_ends_the_connection(site):
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    answer, _ = said(site.port, CHUNKED % b"/hooks/x" + chunk * 17 + b"0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", [b"/hooks/x", b"/v1/x"])
@pytest.mark.parametrize(
    "chunks",
    [b"0x1\r\nx\r\n", b"3\r\nabc\r\nzz\r\n", b"-1\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\nabc\n", b"F" * 17 + b"\r\n",
     b"0\r\n: x\r\n\r\n", b"1;" + b"x" * 10_000 + b"\r\n"],
)  # fmt: skip
def test_chunks_that_are_none_are_the_clients_fault(site, path, chunks):
    answer, seconds = said(site.port, CHUNKED % path + chunks)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code":"bad_request"' in answer
    assert seconds < 3  # what the client broke is not tried again


def test_a_body_in_chunks_is_taken(site):
    answer, _ = said(site.port, CHUNKED % b"/hooks/chunks" + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert "POST /hooks/chunks 5" in site.notes


def test_a_large_body_in_chunks_is_not_kept_whole_and_arrives_whole(site):
    answer, _ = said(site.port, CHUNKED % b"/hooks/large" + LARGE_CHUNK + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert "POST /hooks/large 400000" in site.notes


def test_a_large_body_in_chunks_that_breaks_is_the_clients_fault(site):
    answer, seconds = said(site.port, CHUNKED % b"/hooks/broken" + LARGE_CHUNK + b"-1\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert seconds < 3


def test_a_large_delivery_that_broke_under_way_is_sent_again_whole(site):
    assert get(site.port, "/hooks/large/crash", method="POST", body=b"x" * 900_000)[0] == 200
    assert [note for note in site.notes if "large/crash" in note] == ["POST /hooks/large/crash 900000"] * 2


def test_what_stands_behind_a_body_with_two_lengths_is_no_request(site):
    hidden = b"POST /hooks/hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    both = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n")
    answer, _ = said(site.port, both % (b"/hooks/outer", len(hidden) + 5) + b"0\r\n\r\n" + hidden)
    assert answer.count(b"HTTP/1.1") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert site.notes[-1] == "POST /hooks/outer 0"


def test_a_client_that_takes_too_long_is_hung_up_on(tmp_path):
    site = Site(tmp_path, read_seconds=1, event_seconds=1)
    try:
        events = urllib.request.urlopen(f"http://127.0.0.1:{site.port}/chat/echo/events", timeout=5)
        for first in (
            b"POST /hooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc",
            CHUNKED % b"/v1/x" + b"9\r\nabc",
        ):
            answer, seconds = said(site.port, first)
            assert answer.startswith(b"HTTP/1.1 499")
            assert seconds < 3
        assert not any("POST" in note for note in site.notes)
        answer, seconds = said(site.port, CHUNKED % b"/hooks/x" + LARGE_CHUNK + b"9\r\nabc")  # the API has some of it by then
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 499"))
        assert seconds < 3
        with events:  # which takes longer than a request may
            assert [line for line in events if line != b"\n"] == [b"data: 0\n", b"data: 1\n", b"data: 2\n"]
    finally:
        site.stop()


def test_headers_have_a_limit(site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 40_000 + b"\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 431"


def test_a_call_that_broke_under_way_is_not_sent_again(site):
    status, headers, _ = get(site.port, "/v1/crash", method="POST", body=b"{}")
    assert (status, headers.get("Retry-After")) == (502, None)
    assert site.notes.count("POST /v1/crash 2") == 1


def test_a_delivery_that_broke_under_way_is_sent_again_whole(site):
    assert get(site.port, "/hooks/crash", method="POST", body=b"x" * 100_000)[0] == 200
    assert site.notes.count("POST /hooks/crash 100000") == 2


def test_half_a_body_never_reaches_the_api(site):
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        client.sendall(b"POST /hooks/half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert get(site.port, "/anything")[0] == 200
    assert not any("/hooks/half" in note for note in site.notes)


def test_events_come_as_they_happen(site):
    with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/chat/echo/events", timeout=2) as events:
        assert events.readline() == b"data: 0\n"  # the second one is three seconds away


def test_a_request_waits_for_an_api_that_restarts(site):
    site.api.kill()
    site.api.wait(10)
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(get, site.port, "/anything"), pool.submit(get, site.port, "/hooks/x", method="POST", body=b"{}")]
        site.start_api()
        assert [each.result(15)[0] for each in waiting] == [200, 200]
