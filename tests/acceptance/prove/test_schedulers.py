"""What schedulers are due to do is done, whichever of them is killed."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_upkeep_is_done_though_each_leader_is_killed():
    holds("E14")
