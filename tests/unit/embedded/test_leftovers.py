"""What a killed appliance leaves behind, and programs that must not outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from botstead.core.errors import ConfigurationError
from botstead.processes.embedded import postgres, tether
from tests.acceptance.appliance.conftest import is_gone
from tests.servers import wait_until

TETHER = [sys.executable, "-I", "-S", tether.__file__]
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_pid_file_that_names_a_stranger_is_forgotten(tmp_path):
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n")
    postgres._settle_leftovers(tmp_path)
    assert not (tmp_path / "postmaster.pid").exists()


def test_a_pid_file_of_nobody_is_left_to_postgres(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(10)
    (tmp_path / "postmaster.pid").write_text(f"{gone.pid}\n")
    postgres._settle_leftovers(tmp_path)
    assert (tmp_path / "postmaster.pid").exists()


def test_a_server_that_still_ends_is_waited_for(tmp_path, monkeypatch):
    with subprocess.Popen(SLEEP, cwd=tmp_path) as server:
        (tmp_path / "postmaster.pid").write_text(f"{server.pid}\n")
        monkeypatch.setattr(postgres, "LEFTOVER_SECONDS", 0.2)
        with pytest.raises(ConfigurationError, match=rf"\(process {server.pid}\) still uses"):
            postgres._settle_leftovers(tmp_path)
        server.kill()
    before = time.monotonic()
    postgres._settle_leftovers(tmp_path)
    assert time.monotonic() - before < 1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_tethered_program_ends_with_its_parent(tmp_path):
    code = f"import subprocess, os, time; p = subprocess.Popen({TETHER!r} + ['9', str(os.getpid()), '-1', '-1'] + {SLEEP!r}); "
    parent = subprocess.Popen([sys.executable, "-c", code + "print(p.pid, flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate(timeout=10)
    wait_until(lambda: is_gone(child), seconds=5, what="the end of the child")


def test_a_tether_to_a_dead_parent_starts_nothing():
    ended = subprocess.run([*TETHER, "9", "1", "-1", "-1", *SLEEP], timeout=20, check=False)
    assert ended.returncode == tether.NOT_STARTED


def test_a_program_that_is_not_there_is_named():
    arguments = [str(int(signal.SIGKILL)), str(os.getpid()), "-1", "-1", "/nowhere/postgres"]
    ended = subprocess.run([*TETHER, *arguments], capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stderr) == (126, "/nowhere/postgres cannot be started: No such file or directory.\n")
