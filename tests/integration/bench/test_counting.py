"""Counting must stay cheap: at saturation a message takes some 230 microseconds of CPU, and telemetry may have 15 % of them."""

from __future__ import annotations

import json
import subprocess
import sys


def test_the_telemetry_of_a_message_takes_less_than_a_tenth_of_it():
    command = (sys.executable, "-m", "tests.bench.counting")
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert 0.5 < found["microseconds"] < 23
