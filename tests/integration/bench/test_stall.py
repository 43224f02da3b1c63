"""A scrape of a process with 200 bots must not hold up its event loop."""

from __future__ import annotations

import json
import subprocess
import sys


def test_a_scrape_with_two_hundred_bots_blocks_the_loop_for_less_than_ten_milliseconds():
    command = (sys.executable, "-m", "tests.bench.stall", "200")
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert found["series"] > 4_000
    assert found["longest_stall_ms"] <= 10
    assert found["ours_ms"] * 3 < found["stock_ms"], "what our own renderer is for"
