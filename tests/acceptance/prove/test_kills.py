"""Processes and the database are killed at random while people write. Nothing may be lost, done twice, or told out of order."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_kills_and_pauses_lose_nothing_and_do_nothing_twice():
    holds("E1")


def test_a_database_that_dies_under_load_loses_nothing_and_comes_back():
    holds("E2")
