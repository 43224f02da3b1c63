"""`botstead prove` as an operator runs it: what it says, how it ends, and that nothing stays behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import wait_until

COMMAND = [sys.executable, "-m", "botstead", "prove", "--only"]


def _offspring(folder: str) -> list[int]:
    """Processes that work in, or were given, a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = (entry / "environ").read_text(errors="replace"), (entry / "cmdline").read_text(), (entry / "cwd").readlink()
            if any(folder in str(text) for text in known):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _kept() -> set[Path]:
    return set(Path("/var/tmp").glob("botstead-prove-E3-*"))


def test_a_proof_is_written_in_three_forms_and_leaves_no_folder(tmp_path):
    before = set(Path("/var/tmp").glob("botstead-prove-E4-*"))
    done = subprocess.run(
        [*COMMAND, "e4", "--json", "--seed", "3", "--report", tmp_path / "made" / "here"],
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["holds"], said["seed"], said["promises"]["P8"]) == (True, 3, "holds")
    assert said["versions"]["postgres"][0].isdecimal()
    assert said["versions"]["valkey"][0].isdecimal()
    assert {path.name for path in (tmp_path / "made" / "here").iterdir()} == {"report.txt", "report.json", "report.html"}
    assert json.loads((tmp_path / "made" / "here" / "report.json").read_text()) == said
    assert set(Path("/var/tmp").glob("botstead-prove-E4-*")) <= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whoever_stops_it_leaves_no_process_behind(number):
    before = _kept()
    running = subprocess.Popen([*COMMAND, "E3,E4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: len(_kept() - before) == 1, seconds=30, what="the scratch folder")
        folder = (_kept() - before).pop()
        wait_until((folder / "logs" / "worker-a.log").exists, seconds=30, what="a worker")
        assert len(_offspring(str(folder))) > 3
        began = time.monotonic()
        running.send_signal(number)
        said, _ = running.communicate(timeout=20)
        wait_until(lambda: not _offspring(str(folder)), what="every process gone")
        assert time.monotonic() - began < 15
    finally:
        running.kill()
        running.communicate()
    if number == signal.SIGINT:
        assert running.returncode == 1
        assert "E3" in said
        assert "stopped by hand" in said
        assert "E4 " not in said
        assert not folder.exists()
    else:
        subprocess.run(["rm", "-rf", folder], check=True)
