"""Wrong clocks lose nothing, do nothing twice, and take no work from the living for ever."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_clocks_that_are_wrong_or_set_lose_nothing():
    holds("E13")
