"""A dead worker is replaced within two leases; one that was only paused cannot write when it comes back."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_the_conversations_of_a_dead_worker_go_on_within_two_leases():
    holds("E3")


def test_a_worker_paused_in_its_handlers_writes_nothing_afterwards():
    holds("E4")
