"""What a process says of itself: alike where it was started alike, and nothing secret."""

from __future__ import annotations

import sys

import pytest

from botstead.core.settings import load
from botstead.processes import identity
from botstead.telemetry.catalog import BUILD, CONFIG


def digest(**settings: str) -> str:
    return identity.digest(load({f"BOTSTEAD_{name.upper()}": text for name, text in settings.items()}))


@pytest.mark.parametrize("change", [{"log_level": "debug"}, {"lease_seconds": "3"}, {"bots": "/elsewhere"}, {"samples": "no"}])
def test_other_settings_have_another_digest(change):
    assert digest(**change) != digest()
    assert digest(**change) == digest(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"postgres": "postgres://me:secret@db/x"},
        {"valkey": "valkey://:secret@cache/0"},
        {"instance": "api-b", "api_port": "1", "metrics_port": "2"},
    ],
)
def test_secrets_and_places_do_not_matter(change):
    assert digest(**change) == digest()


def test_it_is_shown():
    settings = load({})
    identity.show(settings)
    shown = [labels for labels, gauge in BUILD.sets() if gauge.value == 1]
    assert [python for _, python in shown] == [".".join(map(str, sys.version_info[:3]))]
    assert CONFIG.at(identity.digest(settings)).value == 1
