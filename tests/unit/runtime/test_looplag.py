"""A loop that hangs is named with the place where it hangs; one that hangs for good ends its process."""

from __future__ import annotations

import json
import subprocess
import sys

STORY = """
import asyncio, sys, time
from botstead.runtime.looplag import LoopWatch
from botstead.telemetry import logs
from botstead.telemetry.catalog import LOOP_LAG

def hang(seconds):
    time.sleep(seconds)

async def main():
    logs.configure("info", sys.stderr, role="api", instance="api-a")
    watching = asyncio.create_task(LoopWatch(end_after=float(sys.argv[2])).run())
    await asyncio.sleep(0.3)
    hang(float(sys.argv[1]))
    await asyncio.sleep(0.3)
    watching.cancel()
    print("went on")

asyncio.run(main())
"""


def run(blocked: float, end_after: float) -> tuple[int, str, list[dict]]:
    done = subprocess.run(
        [sys.executable, "-c", STORY, str(blocked), str(end_after)], capture_output=True, text=True, timeout=20, check=False
    )
    return done.returncode, done.stdout, [json.loads(line) for line in done.stderr.splitlines()]


def test_where_it_hangs_is_said_once_and_it_goes_on():
    status, said, events = run(1.8, 30)
    assert (status, said, [found["event"] for found in events]) == (0, "went on\n", ["loop_blocked"])
    assert events[0]["stack"][-1].endswith(" hang")


def test_one_that_hangs_for_good_ends():
    status, said, events = run(10, 1.5)
    assert (status, said, [found["event"] for found in events]) == (70, "", ["loop_blocked", "loop_hangs"])
