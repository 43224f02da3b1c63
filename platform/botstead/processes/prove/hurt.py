"""Ways in which a provider goes wrong, each on a bot of its own, and what the platform does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from botstead.processes.prove.fault import Fault
from botstead.processes.prove.impostor import Impostor, impostor
from botstead.processes.prove.provider import Entry
from botstead.processes.prove.toxic import Toxic
from botstead.processes.prove.toxic_proxy import Proxy, proxy

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Hook, Installation
    from botstead.processes.prove.stage import Stage

TELEGRAM_SECONDS = 8.0
"""Deadline of a call to Telegram."""
OVER = 1.0
"""Seconds by which a deadline may be missed."""
EARLY = 0.02
"""Seconds that may pass between the moments that the provider logs and those at which it answers."""
ALWAYS = -1


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One way to go wrong.

    Args:
        name: of the bot that it hits.
        fault: that the provider makes; none of them lets a request take effect.
        toxics: on the line to the provider.
        certificate: "valid" or "expired", signed by itself; "" without TLS.
        ends: whether it is the deadline that ends a call.
        seconds: how long it lasts in a small experiment.
    """

    name: str
    fault: Fault | None = None
    toxics: tuple[Toxic, ...] = ()
    certificate: str = ""
    ends: bool = False
    seconds: float = 2.0


def cases(trap: int, *, retry_after: int) -> list[Case]:
    """Return all of them.

    Args:
        trap: port that a redirect leads to.
        retry_after: seconds that a throttled bot has to wait.
    """
    long = TELEGRAM_SECONDS + OVER

    def faulty(**more: Any) -> Fault:
        return Fault(times=ALWAYS, applied=False, **more)

    return [
        Case(name="slow", fault=faulty(kind="slow", seconds=30), ends=True, seconds=long),
        Case(name="half-open", fault=faulty(kind="half_open", seconds=600), ends=True, seconds=long),
        Case(name="drip", fault=faulty(kind="drip", seconds=600), ends=True, seconds=long),
        Case(name="error-500", fault=faulty(status=500)),
        Case(name="throttled", fault=faulty(status=429, description="Too Many Requests", retry_after=retry_after)),
        Case(name="reset", toxics=(Toxic(kind="timeout", toward="server"), Toxic(kind="reset_peer", seconds=0.05))),
        Case(name="huge", fault=faulty(kind="bomb", size=100_000_000)),
        Case(name="gzip-bomb", fault=faulty(kind="gzip", size=100_000_000)),
        Case(name="redirect", fault=faulty(kind="redirect", location=f"http://127.0.0.1:{trap}/")),
        Case(name="self-signed", certificate="valid"),
        Case(name="expired", certificate="expired"),
    ]


class Hurt:
    """A bot, the line to its provider, and how that goes wrong."""

    def __init__(self, running: Installation, case: Case, line: Proxy, fake: tuple[Impostor, Proxy] | None) -> None:
        """Use `prepared()`.

        Args:
            running: the installation.
            case: how it goes wrong.
            line: to the provider.
            fake: a server with a bad certificate, and the line to it.
        """
        self.case, self._line, self._fake = case, line, fake
        self._running = running
        self.hook: Hook = next(hook for hook in running.hooks if hook.bot == case.name)
        self._began = 0.0

    @classmethod
    async def prepared(cls, running: Installation, case: Case, stack: AsyncExitStack) -> Hurt:
        """Let a bot reach its provider over a line that can go wrong.

        Args:
            running: the installation.
            case: how it goes wrong; its bot has that name.
            stack: ends the line.
        """
        seed = running.stage.seed
        line = await stack.enter_async_context(proxy(to=running.provider.port, seed=seed))
        fake = None
        if case.certificate:
            server = await stack.enter_async_context(impostor(running.folder, expired=case.certificate == "expired"))
            fake = server, await stack.enter_async_context(proxy(to=server.port, seed=seed))
        made = cls(running, case, line, fake)
        await made._move(f"http://127.0.0.1:{line.port}")
        return made

    async def play(self, seconds: float) -> None:
        """Let it go wrong for a while.

        Args:
            seconds: how long.
        """
        running, case = self._running, self.case
        self._began = asyncio.get_running_loop().time()
        running.note(f"{case.name} begins", kind="fault")
        if case.fault is not None:
            await running.provider.faults(self.hook.token, [case.fault])
        if self._fake is not None:
            await self._move(f"https://127.0.0.1:{self._fake[1].port}")
        await self._line.set(*case.toxics)
        await asyncio.sleep(seconds)
        await running.provider.faults(self.hook.token, [])
        if self._fake is not None:
            await self._move(f"http://127.0.0.1:{self._line.port}")
        await self._line.set(Toxic(kind="down"))  # it is started again, so nothing of it is left
        await self._line.set()
        running.note(f"{case.name} ends", kind="recovery")

    async def _move(self, base: str) -> None:
        channel = self.hook.path.rpartition("/")[2]
        status, found = await self._running.api("PATCH", f"/v1/channels/{channel}", {"settings": {"api_base": base}})
        if status != 200:
            raise RuntimeError(f"{self.case.name} cannot be moved to {base}: {status} {found}")

    def check(self, stage: Stage) -> None:
        """Record that it did go wrong, and that the platform did as it should.

        Args:
            stage: where.
        """
        name = self.case.name
        if self.case.ends:
            held = list(self._held())
            stage.at_least("P11", f"calls that their deadline ended ({name})", len(held), 1)
            stage.at_most("P11", f"the longest of them ({name})", max(held, default=0.0), TELEGRAM_SECONDS + OVER, unit="s")
        elif self._fake is not None:
            server, line = self._fake
            stage.at_least("P11", f"connections to an impostor ({name})", len(line.visits), 1)
            stage.at_most("P11", f"bytes said to an impostor ({name})", len(server.heard), 0)
        elif self.case.toxics:
            cut = [visit for visit in self._line.visits if visit.by == "toxic" and visit.heard is not None]
            stage.at_least("P11", f"calls that were cut off ({name})", len(cut), 1)
        else:
            struck = [entry for entry in self._attempts() if entry.answered != "ok"]
            stage.at_least("P11", f"calls that went wrong ({name})", len(struck), 1)
        if self.case.fault is not None and self.case.fault.retry_after:
            stage.none("P11", f"calls before Retry-After was over ({name})", list(self._hasty(self.case.fault.retry_after)))

    def _held(self) -> Iterator[float]:
        """How long calls took that the client ended while it waited."""
        for visit in self._line.visits:
            if visit.by == "client" and visit.heard is not None and visit.ended is not None and visit.heard >= self._began:
                yield visit.ended - visit.heard

    def _attempts(self) -> list[Entry]:
        sends = [entry for entry in self._running.provider.attempts() if entry.token == self.hook.token]
        return [entry for entry in sends if entry.method == "sendMessage"]

    def _hasty(self, seconds: float) -> Iterator[str]:
        refused: dict[str, float] = {}
        for entry in self._attempts():
            waited = entry.at - refused.pop(entry.chat, 0.0)
            if waited < seconds - EARLY:
                yield f"chat {entry.chat} after {waited:.2f} s"
            if entry.answered != "ok":
                refused[entry.chat] = entry.at
