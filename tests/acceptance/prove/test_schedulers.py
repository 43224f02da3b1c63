"""What schedulers are due to do is done, whichever of them is killed."""

from __future__ import annotations

import pytest

from tests.acceptance.prove.plays import holds


# Seen twice in ten runs on a busy machine: after a death nobody leads within the time that the experiment waits.
@pytest.mark.xfail(strict=False, reason="now and then no scheduler leads for half a minute; the cause is not known")
def test_upkeep_is_done_though_each_leader_is_killed():
    holds("E14")
