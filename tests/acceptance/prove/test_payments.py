"""Money is asked for, paid and given back while everything goes wrong. Nobody may be charged twice, nothing paid may be lost."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_nobody_is_charged_twice_and_nothing_that_was_paid_is_lost():
    holds("E41")
