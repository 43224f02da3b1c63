"""What the bench takes out really counts nothing, so that the difference is the cost of telemetry."""

from __future__ import annotations

import json
import subprocess
import sys

STORY = """
import json
from tests.bench.mute import mute
from botstead.pipeline import measures
from botstead.telemetry.catalog import JOB_RUNS, LOOP_LAG, METRICS
mute()
METRICS.register("channel", "telegram")
measures.again("inbox", "telegram")
measures.handled("telegram", 1.0)
LOOP_LAG.at().observe(1.0)
JOB_RUNS.at("inbox", "done").inc()
print(json.dumps([sum(child.count if hasattr(child, "count") else child.read() for _, child in family.sets())
    for family in METRICS.families.values() if family.kind != "gauge"]))
"""


def test_nothing_is_counted_any_more():
    found = subprocess.run((sys.executable, "-c", STORY), check=True, capture_output=True, timeout=30)
    assert set(json.loads(found.stdout)) == {0}
