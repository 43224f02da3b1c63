"""Secrets are planted in every feature; whatever goes wrong, none comes to light."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_no_secret_comes_to_light():
    holds("E30")
