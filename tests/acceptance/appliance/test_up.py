"""The whole appliance with real servers: start, serve, survive, stop."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import asyncpg
import pytest

from botstead.processes.embedded.folder import free_ports
from tests.acceptance.appliance.conftest import LAUNCHER, ROLES, get, is_gone
from tests.servers import wait_until


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run `botstead` to its end."""
    return subprocess.run(
        [sys.executable, "-c", LAUNCHER, str(ROLES), *arguments],
        capture_output=True, text=True, timeout=60, env={**os.environ, **variables}, check=False,
    )  # fmt: skip


async def ask(dsn: str, *questions: str) -> list:
    """Ask Postgres for single values."""
    connection = await asyncpg.connect(dsn)
    try:
        return [await connection.fetchval(question) for question in questions]
    finally:
        await connection.close()


@pytest.fixture
def loop_runner():
    import asyncio

    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def existing(postgres_server, valkey_url):
    """Servers that run already, given to the appliance."""
    return {"BOTSTEAD_POSTGRES": postgres_server.dsn, "BOTSTEAD_VALKEY": valkey_url}


def test_starts_serves_and_stops_in_order(up, folder, loop_runner):
    appliance = up()
    appliance.wait_ready()
    assert appliance.said.splitlines()[-1] == f"ready http://127.0.0.1:{appliance.port}"
    assert f"http://127.0.0.1:{appliance.port}/chat/echo" in appliance.said
    assert str(appliance.data / "admin.key") in appliance.said
    assert get(appliance.port, "/anything")[0] == 200
    check_description(appliance)
    settings = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums", "shared_buffers"]
    dsn = appliance.description["postgres"]
    assert loop_runner(ask(dsn, *(f"SHOW {name}" for name in settings))) == ["on", "on", "on", "on", "64MB"]
    assert loop_runner(ask(dsn, "SELECT datlocale FROM pg_database LIMIT 1")) == ["C.UTF-8"]
    check_second_start_is_refused(appliance, folder)

    assert appliance.end() == 0
    assert appliance.notes[0] == "start migrate"
    assert sorted(appliance.notes[1:4]) == ["start api", "start scheduler", "start worker"]
    assert appliance.notes[4] == "stop api"
    assert sorted(appliance.notes[5:]) == ["stop scheduler", "stop worker"]
    assert not (appliance.data / "appliance.json").exists()
    assert "database system is shut down" in (appliance.data / "logs/postgres.log").read_text()

    (appliance.data / "postgres" / "PG_VERSION").write_text("19\n")
    newer = up()
    assert newer.process.wait(20) != 0
    assert "is of Postgres 19 and this botstead brings 18: start it with the newer" in newer.said.splitlines()[-1]


def check_description(appliance):
    described = appliance.description
    assert stat.S_IMODE((appliance.data / "appliance.json").stat().st_mode) == 0o600
    assert {entry["instance"] for entry in described["processes"]} == {"api-a", "worker-a", "scheduler-a", "edge"}
    for entry in described["processes"]:
        with urllib.request.urlopen(entry["metrics"], timeout=5) as answer:
            assert answer.status == 200


def check_second_start_is_refused(appliance, folder):
    again = run("up", "--data", str(appliance.data), "--port", str(free_ports(1)[0]))
    assert again.returncode != 0
    assert again.stderr.count("\n") == 1
    assert f"already runs on {appliance.data} (process {appliance.process.pid})" in again.stderr
    elsewhere = run("up", "--data", str(folder / "other"), "--port", str(appliance.port))
    assert elsewhere.returncode != 0
    assert elsewhere.stderr == f"Error: Port {appliance.port} is taken by another program: give another one with --port.\n"


def test_survives_the_death_of_each_part_and_of_its_keeper(up, loop_runner):
    first = up()
    first.wait_ready()
    before = first.pids()
    loop_runner(ask(first.description["postgres"], "CREATE TABLE kept AS SELECT 42 AS answer"))
    for instance, pid in before.items():
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda name=instance, old=pid: first.pids().get(name, old) != old, seconds=20, what=f"new {instance}")
    wait_until(lambda: get(first.port, "/anything")[0] == 200, what="the edge serves again")
    assert first.process.poll() is None

    pids = first.pids()
    children = Path(f"/proc/{pids['postgres']}/task/{pids['postgres']}/children").read_text().split()
    first.process.kill()
    for pid in [*pids.values(), *map(int, children)]:
        wait_until(lambda pid=pid: is_gone(pid), seconds=5, what=f"end of {pid}")
    second = up()
    second.wait_ready()
    assert loop_runner(ask(second.description["postgres"], "SELECT answer FROM kept")) == [42]


def test_stops_and_says_why_when_a_role_is_misconfigured(up, existing):
    appliance = up(**existing, ROLES_FAIL="worker:78:The key ring of another appliance is here: take the right one.")
    assert appliance.process.wait(30) != 0
    assert appliance.said.splitlines()[-1] == "Error: The key ring of another appliance is here: take the right one."
    assert appliance.notes.count("start worker") == 0


def test_stops_and_says_why_when_a_role_crashes_again_and_again(up, existing):
    appliance = up(**existing, ROLES_FAIL="scheduler:3:ZeroDivisionError: nothing to divide")
    assert appliance.process.wait(40) != 0
    assert "scheduler-a ended 5 times within 60 s, the last time with exit status 3" in appliance.said
    assert "ZeroDivisionError: nothing to divide" in appliance.said
    assert "stop api" in appliance.notes


def test_stops_when_the_migration_fails(up, existing):
    appliance = up(**existing, ROLES_FAIL="migrate:78:The database is newer than this version: start the newer one.")
    assert appliance.process.wait(30) != 0
    assert appliance.said.splitlines()[-1] == "Error: The database is newer than this version: start the newer one."
    assert appliance.notes == []


def test_detached_it_returns_when_ready_and_down_stops_it(folder):
    data, port = folder / "data", free_ports(1)[0]
    started = run("up", "--detach", "--data", str(data), "--port", str(port), ROLES_NOTES=str(folder / "notes"))
    try:
        assert started.returncode == 0, started.stderr
        assert started.stdout.splitlines()[-1] == f"ready http://127.0.0.1:{port}"
        assert get(port, "/anything")[0] == 200
    finally:
        stopped = run("down", "--data", str(data))
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    assert run("down", "--data", str(data)).stdout == f"Nothing runs on {data}.\n"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_detached_it_shows_why_it_cannot_start(folder, existing):
    failed = run(
        "up", "--detach", "--data", str(folder / "data"), "--port", str(free_ports(1)[0]),
        ROLES_NOTES=str(folder / "notes"), ROLES_FAIL="migrate:78:No.", **existing,
    )  # fmt: skip
    assert failed.returncode != 0
    assert failed.stdout.splitlines()[-1] == "Error: No."


def test_uses_servers_that_exist(up, existing):
    appliance = up(**existing)
    appliance.wait_ready()
    assert {"postgres", "valkey"}.isdisjoint(appliance.pids())
    assert appliance.description["postgres"] == existing["BOTSTEAD_POSTGRES"]
    assert not (appliance.data / "postgres").exists()
