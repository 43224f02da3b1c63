"""The real edge in front of a stand-in for the API."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from botstead.processes.embedded import edge
from botstead.processes.embedded.folder import free_ports
from tests.acceptance.appliance.conftest import ROLES, get
from tests.servers import answers, wait_until


class Site:
    """A running edge, its port, and what the API behind it noted."""

    def __init__(self, folder) -> None:
        self.port, metrics, api, api_metrics = free_ports(4)
        self.notes_file = folder / "notes"
        self.notes_file.touch()
        self.api_port = api
        variables = {"PYTHONPATH": str(ROLES), "ROLES_NOTES": str(self.notes_file), "ROLES_EVENT_SECONDS": "3"}
        ports = {"BOTSTEAD_API_PORT": str(api), "BOTSTEAD_METRICS_PORT": str(api_metrics)}
        self.environment = {**os.environ, **variables, **ports}
        self.start_api()
        site = edge.Site(host="127.0.0.1", port=self.port, metrics_port=metrics, api_ports=(api,), body_limit=1_048_576)
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
    status, _, body = get(site.port, "/hooks/x", method="POST", body=b"x" * 1_048_577)
    assert (status, body) == (413, '{"type":"about:blank","title":"Content Too Large","status":413,"code":"too_large"}')


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
