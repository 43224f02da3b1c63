"""The three configurations as files: their own programs take them, and they bound the same things by the same figures."""

from __future__ import annotations

import math
import re
import shutil
import subprocess

import pytest

from botstead.core.settings import Settings
from botstead.processes import api
from botstead.processes.embedded import edge
from tests.edges import upstream
from tests.edges.edges import CONFIGURATIONS, KINDS, Ports, environment, fitted, prepare, program

PORTS = Ports(20_443, 20_080, 20_100, 20_101, 20_102, (20_001, 20_002, 20_003, 20_004))
CADDY = (CONFIGURATIONS / "caddy" / "Caddyfile").read_text()
HAPROXY = (CONFIGURATIONS / "haproxy" / "haproxy.cfg").read_text()
NGINX = (CONFIGURATIONS / "nginx" / "nginx.conf").read_text()
EDGE_SH = (CONFIGURATIONS / "nginx" / "edge.sh").read_text()

FIGURES = {
    "bytes of a body": (
        Settings().body_limit,
        {
            r"max_size (\d+)": CADDY,
            r"int\([^)]*\) > (\d+)": CADDY,
            r"content-length\) gt (\d+)": HAPROXY,
            r"client_max_body_size (\d+)": NGINX,
        },
    ),
    "bytes kept of a body in chunks": (edge.CHUNKED_BUFFER, {r"import api \S+ \S+ (2\d+)": CADDY}),
    "KiB of a head": (
        edge.MAX_HEADER_BYTES // 1024,
        {r"max_header_size (\d+)KiB": CADDY, r"large_client_header_buffers (\d+ \d+)k": NGINX},
    ),
    "bytes of a head": (edge.MAX_HEADER_BYTES, {r"req.hdrs,length gt (\d+)": HAPROXY}),
    "seconds for a head": (
        5,
        {r"read_header (\d+)s": CADDY, r"timeout http-request (\d+)s": HAPROXY, r"client_header_timeout (\d+)s": NGINX},
    ),
    "seconds for a body": (
        edge.READ_SECONDS,
        {r"read_body (\d+)s": CADDY, r"wait-for-body time (\d+)s": HAPROXY, r"client_body_timeout (\d+)s": NGINX},
    ),
    "seconds that an idle client is kept": (
        60,
        {r"idle (\d+)s": CADDY, r"timeout http-keep-alive (\d+)s": HAPROXY, r"\n    keepalive_timeout (\d+)s": NGINX},
    ),
    "seconds to connect": (
        2,
        {r"dial_timeout (\d+)s": CADDY, r"timeout connect (\d+)s": HAPROXY, r"proxy_connect_timeout (\d+)s": NGINX},
    ),
    "seconds for an answer": (
        60,
        {r"import api \S+ (6\d)s": CADDY, r"    timeout server (6\d)s": HAPROXY, r"proxy_read_timeout (6\d)s": NGINX},
    ),
    "seconds until a delivery is repeated": (
        5,
        {r"import api 8s (\d+)s": CADDY, r"timeout server (5)s": HAPROXY, r"proxy_read_timeout (5)s": NGINX},
    ),
    "seconds between two checks": (1, {r"health_interval (\d+)s": CADDY, r" inter (\d+)s f": HAPROXY, r"every=(\d+)": EDGE_SH}),
    "seconds for a check": (1, {r"health_timeout (\d+)s": CADDY, r"timeout check (\d+)s": HAPROXY}),
    "minutes that a stream outlives a reload": (
        5,
        {r"grace_period (\d+)m": CADDY, r"hard-stop-after (\d+)m": HAPROXY, r"worker_shutdown_timeout (\d+)m": NGINX},
    ),
    "connections of a stranger": (512, {r"sc0_conn_cur gt (\d+)": HAPROXY, r"limit_conn connections (\d+)": NGINX}),
    "requests of a stranger in ten seconds": (2_000, {r"req_rate gt (\d+)": HAPROXY, r"zone=requests burst=(\d+)": NGINX}),
}
"""What it is, its value, and where each configuration has it."""


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_agree(name):
    value, places = FIGURES[name]
    for pattern, text in places.items():
        found = re.findall(pattern, text)
        assert found, f"{pattern} is not in a configuration any more"
        products = {math.prod(map(int, each.split())) for each in found}  # "4 8": so many buffers of so many
        assert products == {value}, pattern


@pytest.mark.parametrize("kind", KINDS)
def test_each_slot_is_asked_whether_it_exists_or_not(kind):
    text = {"caddy": CADDY, "haproxy": HAPROXY, "nginx": EDGE_SH}[kind]
    assert all(f"api-{letter}:8080" in text for letter in "abcd")
    assert "/health/ready" in text


def test_no_check_is_passive():
    """A hostile client that makes requests fail must not put a slot out of use."""
    assert "fail_duration" not in CADDY
    assert "max_fails=0" in EDGE_SH
    assert "server 127.0.0.1:9 max_fails" not in EDGE_SH
    assert not re.search(r"\bobserve\b", HAPROXY)


def test_the_stand_in_for_the_api_is_like_it():
    assert (api.KEEP_ALIVE, Settings().body_limit) == (upstream.KEEP_ALIVE, upstream.BODY_LIMIT)
    assert Settings().drain_seconds > upstream.DRAIN_SECONDS


def check(kind: str, folder, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Let an edge's own program look at its configuration."""
    made = prepare(kind, folder, PORTS)
    if text is not None:
        (folder / kind).write_text(text)
    found = program(kind)
    assert found
    command = {
        "caddy": [found, "validate", "--config", str(folder / kind), "--adapter", "caddyfile"],
        "haproxy": [found, "-c", *made.command[3:]],
        "nginx": [*made.command, "--test"],
    }[kind]
    return subprocess.run(
        command, env=environment(folder, PORTS), cwd=folder, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_program_takes_it(kind, tmp_path):
    if not program(kind):
        pytest.skip(f"{kind} is not installed here: scripts/test installs it on Debian as root")
    checked = check(kind, tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "deprecated" not in checked.stderr
    wrong = check(kind, tmp_path, fitted(kind, tmp_path, PORTS).replace("5s", "5parsecs", 1))
    assert wrong.returncode != 0


def test_the_caddyfile_is_formatted():
    found = program("caddy")
    assert found
    told = subprocess.run([found, "fmt", "-"], input=CADDY, capture_output=True, text=True, check=True, timeout=30)
    assert told.stdout == CADDY


def test_the_script_of_nginx_is_a_good_one():
    bash = shutil.which("bash")
    assert bash
    assert subprocess.run([bash, "-n", str(CONFIGURATIONS / "nginx" / "edge.sh")], check=False, timeout=10).returncode == 0
