"""Input that was made to hurt is refused, costs little, and hides nothing."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_a_delivery_that_means_nothing_is_refused_at_little_cost():
    holds("E22")


def test_what_is_too_large_is_refused_early_and_costs_no_memory():
    holds("E23")


def test_no_request_hides_in_another_one():
    holds("E25")
