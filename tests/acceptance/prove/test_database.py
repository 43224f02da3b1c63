"""Postgres without a free connection, with rows that others lock, or with a snapshot that others keep open."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_without_connections_or_behind_locks_who_delivers_is_told_to_come_again():
    holds("E8")


def test_a_transaction_left_open_makes_no_reply_slow():
    holds("E9")
