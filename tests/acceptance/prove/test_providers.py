"""A provider that goes wrong hurts its own bot only, and that one recovers."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_a_bad_provider_hurts_only_its_own_traffic():
    holds("E10")
