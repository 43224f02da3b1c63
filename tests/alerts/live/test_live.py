"""A few of the faults, in the suite; all of them: `scripts/faults`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from botstead.operate.alerting.faults import load_faults
from botstead.processes.embedded import distribution
from tests.alerts.live.harm import HARMS
from tests.alerts.live.run import Outcome, chosen, do, line
from tests.alerts.live.world import World
from tests.servers import wait_until

PLAYED = ("All API processes hang", "A receiver refuses")

pytestmark = pytest.mark.skipif(
    bool(distribution.missing()), reason=f"Prometheus or Alertmanager is not installed: {distribution.INSTALL}"
)


@pytest.fixture(scope="module")
def world():
    folder = Path(tempfile.mkdtemp(prefix="botstead-faults-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = World(folder)
    try:
        running.start()
        yield running
    finally:
        running.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("name", PLAYED)
def test_the_named_alert_comes_in_time_alone_and_resolves(world, name):
    (fault,) = chosen([name])
    outcome = do(world, fault)
    print(line(outcome))
    assert not outcome.wrong, line(outcome)


def test_the_outside_hears_that_the_alerting_lives(world):
    before = world.receiver.beats
    wait_until(lambda: world.receiver.beats > before + 1, what="two more heartbeats")


def test_every_way_to_harm_is_known():
    ways = {fault.how for fault in load_faults().faults if fault.how and not fault.by_hand}
    assert ways <= set(HARMS)


def test_what_is_not_as_promised_is_said():
    fine = Outcome(fault="x", alert="A", promised=9, page=1.0, resolve=2.0, others=frozenset())
    assert fine.wrong == ""
    assert line(fine) == "| x | A | 9 | 1.0 | 2.0 | as promised |"
    late = Outcome(fault="x", alert="A", promised=9, page=None, resolve=None, others=frozenset({"B"}))
    assert late.wrong == "no alert in time; also paged: B"
    stays = Outcome(fault="x", alert="A", promised=9, page=1.0, resolve=None, others=frozenset())
    assert stays.wrong == "not resolved in time"
