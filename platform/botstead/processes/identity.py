"""What runs here, as metrics: the version, and a digest of the settings, alike where processes were started alike."""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import version
from typing import Final

import msgspec

from botstead.core.settings import Settings
from botstead.telemetry.catalog import BUILD, CONFIG, register

LEFT_OUT: Final = ("postgres", "valkey", "instance", "api_port", "metrics_port", "metrics_host", "canary_url")
"""Settings that hold a secret, or differ between processes that are alike."""
DIGITS: Final = 12


def digest(settings: Settings) -> str:
    """Return a short digest of the settings.

    Args:
        settings: the effective ones.
    """
    told = {name: value for name, value in msgspec.structs.asdict(settings).items() if name not in LEFT_OUT}
    return hashlib.sha256(msgspec.json.encode(told, enc_hook=str, order="deterministic")).hexdigest()[:DIGITS]


def show(settings: Settings) -> None:
    """Show what runs here on `/metrics`.

    Args:
        settings: the effective ones.
    """
    values = {
        "version": version("botstead"),
        "python": ".".join(map(str, sys.version_info[:3])),
        "digest": digest(settings),
    }
    for label, value in values.items():
        register(label, value)
    BUILD.at(values["version"], values["python"]).set(1)
    CONFIG.at(values["digest"]).set(1)
