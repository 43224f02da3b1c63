"""What is written: where data lies, and that logs end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from botstead.processes.composed.lint.model import Composed, Rule

WRITES = {
    "postgres": ("/var/lib/postgresql",),
    "valkey": ("/data",),
    "caddy": ("/data", "/config"),
    "prometheus": ("/prometheus",),
    "alertmanager": ("/alertmanager",),
    "grafana": ("/var/lib/grafana",),
    "loki": ("/loki",),
    "tempo": ("/var/tempo",),
}
"""Image to the folders that it declares as volumes, or writes to. Without a mount each container has an anonymous one."""
MUST_KEEP = {"postgres": ("/var/lib/postgresql",), "prometheus": ("/prometheus",)}
"""Folders of them that must outlive the container: messages, metrics."""
CERTIFICATES = "EDGE_DATA"
"""Variable with the folder in which Caddy keeps certificates; there are new ones five times a week, and then none."""
ROTATED = ("json-file", "local")
UNGUARDED = re.compile(r"(?<!\$)\$(?:\{(\w+)\}|(\w+))")


def kept(composed: Composed) -> Iterator[tuple[str, str]]:
    """Data lies in volumes with a name, in the folder that the image really uses."""
    for name, service in composed.services.items():
        for folder in WRITES.get(service.short, ()):
            lies = service.covered(folder)
            keeps = folder in MUST_KEEP.get(service.short, ())
            if lies in ("", "anonymous") or (keeps and lies != "volume"):
                yield name, f"{folder} is lost with the container. Mount a named volume there."
        if service.short == "caddy" and service.covered(service.environment.get(CERTIFICATES) or "/data") != "volume":
            yield name, "Its certificates are lost with the container. Keep them in a named volume."
        if service.short == "postgres" and any(mount.target == "/var/lib/postgresql/data" for mount in service.volumes):
            yield name, "From 18 on the image refuses a volume at …/data. Mount it at /var/lib/postgresql."


def forgetful(composed: Composed) -> Iterator[tuple[str, str]]:
    """Valkey holds no truth, so it keeps nothing: an old dump cannot stop a newer one, nor a newer one an old."""
    for name, service in composed.services.items():
        if service.short == "valkey":
            words = service.command or []
            if ("--save", "") not in pairwise(words) and not any('--save ""' in word for word in words):
                yield name, 'It writes dumps. Add `--save ""`.'
            if ("--appendonly", "yes") in pairwise(words) or service.covered("/data") == "volume":
                yield name, "It keeps data, and an older or newer release may refuse to read it. Mount a tmpfs at /data."


def rotated(composed: Composed) -> Iterator[tuple[str, str]]:
    """Logs have an end, or they fill the disk."""
    for name, service in composed.services.items():
        options = service.logging.options
        if service.logging.driver not in ROTATED or not {"max-size", "max-file"} <= options.keys():
            yield name, "Its log grows for ever. Set `logging` with the driver local, max-size and max-file."


def unguarded(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Find variables in compose files that are silently empty when nobody sets them. Pure.

    Args:
        texts: file to its text.

    Yields:
        File, and a sentence.
    """
    for name, text in texts.items():
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        for found in UNGUARDED.finditer("\n".join(lines)):
            yield name, f"{found[0]} is empty when unset. Write ${{{found[1] or found[2]}:?run scripts/init first}} or a default."


RULES = (Rule("data-kept", (1, 21, 23), kept), Rule("valkey-forgets", (26,), forgetful), Rule("log-rotated", (19,), rotated))
