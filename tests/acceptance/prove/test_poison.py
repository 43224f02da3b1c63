"""Messages that kill or hang what handles them hurt nobody else, and can be run again."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_poison_ends_in_the_dead_letters_alone_and_can_be_replayed():
    holds("E20")
