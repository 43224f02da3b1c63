"""Each edge in front of the real API on the real engine: slots are replaced, killed and frozen under a hundred requests a second."""

import subprocess

import httpx
import pytest

from tests.appliance.site import DOMAIN, Site
from tests.appliance.traffic import Traffic
from tests.servers import wait_until

EDGES = ("haproxy", "nginx", "caddy")
CORE = ("postgres", "valkey", "migrate", "api-a", "api-b", "worker", "edge")
BOUND = 8.0
"""Seconds that a delivery may wait for a frozen slot: 5 until it is sent elsewhere, and some on a busy machine."""
UNNOTICED = 4.5
"""Seconds within which an edge notices a frozen slot. Pages that went there until then wait for it: they are not repeated."""
PAGES = 25
"""A second; see `Traffic`."""


@pytest.fixture(scope="module")
def site(image, tmp_path_factory):
    """An appliance without what observes it."""
    made = Site(
        tmp_path_factory.mktemp("edges"), "botstead-edges", image, http=8280, https=8283,
        settings={"COMPOSE_PROFILES": "", "BOTSTEAD_CANARY_SECONDS": "2", "WORKER_ROLES": "worker scheduler"},
    )  # fmt: skip
    made.prepare()
    try:
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module", params=EDGES)
def edge(request, site):
    """The site behind one of the edges, and a channel over it."""
    choose(site, request.param)
    if not site.compose("ps", "-q", "postgres").strip():
        site.compose("up", "-d", "--wait", "--wait-timeout", "120", "--pull", "never", *CORE)
    # Alone: a slot that was frozen is unhealthy until its next check.
    site.compose("up", "-d", "--no-deps", "--wait", "--wait-timeout", "60", "--pull", "never", "edge")
    yield request.param
    print(f"\n{request.param}: {memory(site)} of memory")


@pytest.fixture(scope="module")
def channel(site, edge):
    """A new channel: it is made through the edge, which has to find the API first."""
    wait_until(lambda: ask(site, "/health/ready").status_code == 200, what="an edge that finds the API")
    return site.channel()


def choose(site, name):
    """Write which edge it is into `.env`, the way an operator does."""
    site.run("scripts/init", "--edge", name, "--force")
    lines = [line for line in (site.folder / ".env").read_text().splitlines() if not line.startswith("COMPOSE_PROFILES=")]
    (site.folder / ".env").write_text("\n".join([*lines, "COMPOSE_PROFILES="]) + "\n")


def ask(site, path, host=DOMAIN, **how):
    """Ask the edge over TLS."""
    with httpx.Client(verify=False, timeout=10) as client:
        return client.get(
            f"https://127.0.0.1:{site.https}{path}", headers={"host": host}, extensions={"sni_hostname": host}, **how
        )


def memory(site):
    """Return what the edge's container uses now."""
    name = site.compose("ps", "-q", "edge").strip()
    return site.run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", name).strip()


def signal(site, service, *words):
    """Send a signal to a service's container, or freeze it."""
    subprocess.run(
        ["docker", *words, site.compose("ps", "-q", service).strip()], check=True, timeout=30, stdout=subprocess.DEVNULL
    )


def taken(site, slot):
    """Return how many deliveries a slot has answered."""
    read = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/metrics').read().decode())"
    lines = site.inside(slot, "python", "-I", "-S", "-c", read).splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("channel_ack_duration_seconds_count"))


def test_it_serves_its_own_name_only_and_keeps_what_is_inside(site, edge, channel):
    assert ask(site, "/chat/echo").status_code == 200
    assert ask(site, "/", host="evil.example").status_code == 421
    assert ask(site, "/metrics").status_code == 404
    assert ask(site, "/grafana/").status_code == 401
    password = (site.folder / "secrets" / "operator_password").read_text()
    # Right, but there is no Grafana here.
    assert ask(site, "/grafana/", auth=("operator", password)).status_code in (502, 503)
    with httpx.Client(follow_redirects=False) as client:
        assert client.get(f"http://127.0.0.1:{site.http}/x", headers={"host": DOMAIN}).headers["location"].startswith("https://")


def test_it_can_do_nothing_else(site, edge):
    held = site.inside("edge", "cat", "/proc/1/status")
    allowed = "0000000000000400" if edge == "caddy" else "0000000000000000"  # NET_BIND_SERVICE, for Caddy's file to start
    assert f"CapBnd:\t{allowed}" in held
    assert "NoNewPrivs:\t1" in held
    assert "Uid:\t0" not in held
    assert "Read-only" in site.compose("exec", "-T", "edge", "sh", "-c", "touch /x", check=False)


def test_its_metrics_are_inside(site, edge):
    metrics = site.inside(
        "api-a", "python", "-c", "import urllib.request as u; print(u.urlopen('http://edge:9100/metrics').read().decode())"
    )
    assert {"caddy": "caddy_http_requests_total", "haproxy": "haproxy_server_status", "nginx": "nginx_connections"}[
        edge
    ] in metrics


def test_slots_are_replaced_and_no_request_fails(site, edge, channel, capsys):
    with Traffic(f"https://127.0.0.1:{site.https}", channel, name=DOMAIN) as traffic:
        for slot in ("api-a", "api-b"):
            site.compose("up", "-d", "--no-deps", "--force-recreate", "--wait", "--pull", "never", slot)
    with capsys.disabled():
        print("\n" + traffic.report(f"{edge}, slots replaced"))
    assert not traffic.failed
    assert not traffic.lost(site)


def test_a_frozen_slot_holds_nobody_up_for_long(site, edge, channel, capsys):
    with Traffic(f"https://127.0.0.1:{site.https}", channel, name=DOMAIN) as traffic:
        signal(site, "api-b", "pause")
        try:
            count = len(traffic.seconds)
            wait_until(lambda: len(traffic.seconds) > count + 600, what="requests beside a frozen slot")
        finally:
            signal(site, "api-b", "unpause")
    with capsys.disabled():
        print("\n" + traffic.report(f"{edge}, a slot frozen"))
    assert not traffic.failed
    assert sum(seconds > BOUND for seconds in traffic.seconds) < PAGES * UNNOTICED
    assert not traffic.lost(site)


def test_a_killed_slot_costs_what_was_under_way(site, edge, channel, capsys):
    with Traffic(f"https://127.0.0.1:{site.https}", channel, name=DOMAIN) as traffic:
        # The other one was frozen a moment ago: to kill this one before the edge trusts that one again would be two faults at once.
        before = taken(site, "api-b")
        wait_until(lambda: taken(site, "api-b") > before, what="deliveries at api-b")
        signal(site, "api-a", "kill", "-s", "KILL")
        site.compose("up", "-d", "--no-deps", "--wait", "--pull", "never", "api-a")
    with capsys.disabled():
        print("\n" + traffic.report(f"{edge}, a slot killed"))
    assert traffic.failed.total() <= 3
    assert not traffic.lost(site)
