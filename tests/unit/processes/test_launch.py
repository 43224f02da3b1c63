"""What a process does once before it works."""

from __future__ import annotations

import subprocess
import sys

SPARED = """
import gc
from botstead.processes import launch
launch._spare_the_collector()
print(gc.get_freeze_count() > 10_000, gc.get_threshold()[0])
"""


def test_what_was_built_at_start_is_not_collected_again():
    done = subprocess.run([sys.executable, "-c", SPARED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "10000"]
