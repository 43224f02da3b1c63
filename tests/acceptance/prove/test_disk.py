"""The disk gets full: what was acknowledged is kept, and everything goes on alone once there is space."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_a_full_disk_loses_nothing_and_is_got_over_alone():
    holds("E7")
