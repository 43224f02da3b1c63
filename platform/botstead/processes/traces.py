"""Where traces go: into the database, and to a collector when one is named."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from botstead.core.errors import ConfigurationError, Unavailable
from botstead.core.secret import Secret
from botstead.core.settings import Settings
from botstead.pipeline.traces import Traces
from botstead.runtime.egress import EgressClient
from botstead.runtime.tasks import Tasks
from botstead.store.hops import Hops
from botstead.store.journeys import Journeys
from botstead.store.postgres import Postgres
from botstead.telemetry.export import Exporter

USUAL_RATIO = 0.01
"""The share of ordinary messages that a collector gets, besides all that are slow or failed, when nothing else is set."""
LAST_SECONDS = 2.0
"""For what is still to be sent when the process ends."""
PORTS = {"http": 80, "https": 443}
_HEADER = re.compile(r"(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*[:=]\s*(?P<value>\S.*)")


class Tracing:
    """Traces of one worker process, and their way to a collector."""

    def __init__(self, settings: Settings, postgres: Postgres) -> None:
        """Build it; nothing is sent yet.

        Args:
            settings: of this process.
            postgres: to read roads back from.

        Raises:
            ConfigurationError: a setting is wrong; the message names it.
        """
        self._egress: EgressClient | None = None
        self.exporter: Exporter | None = None
        if settings.otlp_endpoint:
            self._egress = EgressClient(allow=(_place(settings.otlp_endpoint),))
            self.exporter = Exporter(
                self._egress,
                settings.otlp_endpoint,
                resource={"service.name": "botstead", "service.version": _VERSION, "service.instance.id": settings.instance},
                version=_VERSION,
                headers=read_headers(settings.otlp_headers_file) if settings.otlp_headers_file else {},
            )
        self.traces = Traces(
            Hops(settings.postgres, application=settings.instance),
            ratio=ratio_of(settings),
            journeys=Journeys(postgres),
            offer=self.exporter.offer if self.exporter else None,
        )

    def start(self, tasks: Tasks) -> None:
        """Begin to send.

        Args:
            tasks: owns the sending.
        """
        if self.exporter is not None:
            tasks.start("otlp", self.exporter.run())

    async def drain(self) -> None:
        """Keep what is noted and send what is queued, but do not wait for long."""
        with suppress(Unavailable):
            await self.traces.flush()
        if self.exporter is not None and self._egress is not None:
            await self.exporter.flush(LAST_SECONDS)
            await self._egress.close()


def ratio_of(settings: Settings) -> float:
    """Return the share of ordinary messages that is kept.

    Args:
        settings: of this process.

    Raises:
        ConfigurationError: it is no share.
    """
    if settings.trace_ratio is None:
        return USUAL_RATIO if settings.otlp_endpoint else 0.0
    if not 0.0 <= settings.trace_ratio <= 1.0:
        raise ConfigurationError("Setting trace_ratio is a share, from 0 to 1.")
    return settings.trace_ratio


def read_headers(path: Path) -> dict[str, Secret]:
    """Read the headers for a collector: one `name: value` a line; empty lines and those that begin with # are left out.

    Args:
        path: the file.

    Raises:
        ConfigurationError: it cannot be read, or a line is no header; the line's number is named, never what stands in it.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file of setting otlp_headers_file, {path}, cannot be read as text.") from error
    found: dict[str, Secret] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        header = _HEADER.fullmatch(text)
        if header is None:
            raise ConfigurationError(f"{path}, line {number}: a header is written `name: value`.")
        found[header["name"].lower()] = Secret(header["value"])
    return found


def _place(endpoint: str) -> str:
    """Return `host:port` of an endpoint, which the operator trusts wherever it is."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        port = 0
        parts = urlsplit("")
    if not port or not parts.hostname:
        raise ConfigurationError("Setting otlp_endpoint is the base URL of a collector, such as http://127.0.0.1:4318.")
    return f"[{parts.hostname}]:{port}" if ":" in parts.hostname else f"{parts.hostname}:{port}"


_VERSION = version("botstead")
