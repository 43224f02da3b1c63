"""Calls that are given up leave nothing behind, and none can be led where it was not meant to go."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_calls_after_thousands_that_were_given_up_get_their_own_answers():
    holds("E11")


def test_no_call_is_lured_to_an_internal_address():
    holds("E28")
