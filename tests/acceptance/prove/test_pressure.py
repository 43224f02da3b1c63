"""More comes in than can be handled: it is refused in time, and what was taken is handled."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_beyond_the_limit_deliveries_are_refused_and_what_was_taken_is_handled():
    holds("E19")
