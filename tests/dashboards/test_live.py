"""Every question of every board is put to a Prometheus that watches a working installation, and has to have an answer.

A board whose queries are right in form can still be empty: a label that is called otherwise, two metrics that do not join, a series that
only another process has. `empty_ok` says where nothing is the right answer.
"""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop
from dashboards.boards import BOARDS

from tests.dashboards import coverage, live

SECONDS = 60.0
"""How long what happens may take to be seen; 15 to 20 on a machine with nothing else to do."""
PAUSE = 2.0


async def _asked(folder) -> coverage.Coverage:
    async with live.watched(folder) as watched:
        found = await _until_all_is_seen(watched)
        await _a_point_leads_to_its_message(watched)
        return found


async def _until_all_is_seen(watched: live.Watched) -> coverage.Coverage:
    """Some things take their time: a message is given up after its fifth try, and rates need samples."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = await coverage.of(watched, BOARDS)
        if not found.wrong() or time.monotonic() > deadline:
            return found
        await asyncio.sleep(PAUSE)


async def _a_point_leads_to_its_message(watched) -> None:
    """The trace id of a point on a graph finds the message, as the data source's link does."""
    found = await watched.get(
        "query_exemplars", query="bot_message_duration_seconds_bucket", start=f"{watched.began:.3f}", end=f"{time.time():.3f}"
    )
    traces = [point["labels"]["trace_id"] for series in found for point in series["exemplars"]]
    assert traces
    status, messages = await watched.running.api("GET", f"/v1/messages?trace={traces[-1]}")
    assert (status, bool(messages["items"])) == (200, True), (status, messages)


def test_every_metric_is_looked_at():
    """By a board or by a rule; what nobody looks at costs memory for nothing."""
    assert coverage.unseen() == []


@pytest.mark.skipif(bool(live.missing()), reason=live.missing())
def test_every_panel_has_data(tmp_path):
    found = uvloop.run(_asked(tmp_path))
    print(found.table())
    wrong = found.wrong()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("series", "numbers", "empty_ok", "without", "says"),
    [
        (0, 0, "", "", "no data"),
        (3, 0, "", "", "nothing but NaN"),
        (201, 201, "", "", "201 series"),
        (201, 201, "for a reason", "", "201 series"),
        (2, 2, "", "job", "no column for job"),
        (0, 0, "nothing failed", "", ""),
        (2, 1, "", "", ""),
    ],
)
def test_what_counts_as_wrong(series, numbers, empty_ok, without, says):
    found = coverage.Found("b", "p", 0, "all", series, numbers, empty_ok, without)
    assert found.problem == says
    assert coverage.Coverage([found]).wrong() == ([f"b/p 0 (all): {says}"] if says else [])
