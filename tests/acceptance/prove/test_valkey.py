"""Valkey holds no truth: emptied, killed, paused, locked and filled, nothing is lost, refused or late, and no limit opens."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_valkey_may_be_hurt_in_any_way():
    holds("E5")
