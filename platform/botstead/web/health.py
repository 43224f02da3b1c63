"""Health: what a process cannot do without makes it not ready, what merely helps degrades it, third parties never count.

Any number of balancers may ask at once: one look at a time, kept for a second, at most a second long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from botstead.core.clock import Clock, SystemClock
from botstead.core.errors import BotsteadError
from botstead.core.messages import Health

FRESH = 1.0
"""Seconds for which an answer is kept."""
PATIENCE = 1.0
"""Seconds that one look may take, all checks together."""

Probe = Callable[[], Awaitable[Health | None]]
"""Returns a health, or None for ok; raises when the thing is away."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found. `seconds` is how long it took."""

    status: str
    detail: str = ""
    seconds: float = 0.0
    facts: Mapping[str, Any] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The health of this process: ok, degraded, failing, draining or starting. Detail only for key holders."""

    status: str
    version: str = ""
    instance: str = ""
    age: float | None = None
    checks: Mapping[str, Finding] = {}

    @property
    def ready(self) -> bool:
        """Whether requests should come here."""
        return self.status in {"ok", "degraded"}


class Probes:
    """The checks of one process."""

    def __init__(
        self,
        needed: Mapping[str, Probe],
        *,
        helpful: Mapping[str, Probe] | None = None,
        version: str = "",
        instance: str = "",
        clock: Clock | None = None,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            needed: without these the process is not ready.
            helpful: without these it is degraded.
            version: of this build.
            instance: stable name of this process.
            clock: for ages.
        """
        self._probes = {**needed, **(helpful or {})}
        self._needed = frozenset(needed)
        self._version, self._instance = version, instance
        self._clock = clock or SystemClock()
        self._lock = asyncio.Lock()
        self._findings: dict[str, Finding] = {}
        self._read_at: float | None = None
        self._started = False
        self._draining = False

    @property
    def started(self) -> bool:
        """Whether warm-up is done."""
        return self._started

    def start_done(self) -> None:
        """Say that warm-up is done; until then the process is not ready."""
        self._started = True

    def drain(self) -> None:
        """Say that the process goes away: not ready from now on, whatever the checks find."""
        self._draining = True

    async def report(self) -> Report:
        """Look, unless the last look is fresh, and sum up. Whoever asks meanwhile waits for the same look."""
        async with self._lock:
            now = self._clock.monotonic()
            if self._read_at is None or now - self._read_at >= FRESH:
                self._findings = await self._look()
                self._read_at = now = self._clock.monotonic()
        return Report(
            status=self._status(),
            version=self._version,
            instance=self._instance,
            age=round(now - self._read_at, 3),
            checks=self._findings,
        )

    def _status(self) -> str:
        if self._draining:
            return "draining"
        if not self._started:
            return "starting"
        bad = {name for name, finding in self._findings.items() if finding.status != "ok"}
        if bad & self._needed:
            return "failing"
        return "degraded" if bad else "ok"

    async def _look(self) -> dict[str, Finding]:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        return {name: await self._ask(probe, deadline) for name, probe in self._probes.items()}

    async def _ask(self, probe: Probe, deadline: float) -> Finding:
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout_at(deadline):
                health = await probe() or Health(status="ok")
        except TimeoutError:
            health = Health(status="failing", detail="It did not answer in time.")
        except BotsteadError as error:
            health = Health(status="failing", detail=error.message)
        except Exception as error:  # noqa: BLE001  # whatever a check raises is what it found
            health = Health(status="failing", detail=type(error).__name__)
        seconds = round(self._clock.monotonic() - began, 4)
        return Finding(status=health.status, detail=health.detail, seconds=seconds, facts=health.facts)
