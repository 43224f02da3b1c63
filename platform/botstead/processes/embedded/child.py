"""One program that we keep: how it is started, how one run of it goes, how it is ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from botstead.processes.embedded import tether
from botstead.processes.embedded.account import Account
from botstead.processes.embedded.logs import ChildLog
from botstead.processes.embedded.probes import Ready

CHUNK = 65_536
PROBE_INTERVAL = 0.05
"""Seconds between two questions whether a run is ready."""
KILL_SECONDS = 6.0
"""Seconds for a killed process to be gone. Postgres gives its own children 5."""
LAST_WORDS_SECONDS = 1.0
"""Seconds to read what a process printed before it ended; a grandchild may hold the pipe open for longer."""
CONFIGURATION_STATUS = 78
"""Exit status of a process that cannot run as it is configured (EX_CONFIG of sysexits.h)."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, and how to treat it.

    Args:
        role: postgres, valkey, migrate, api, worker, scheduler, edge, prometheus, alertmanager.
        instance: stable name among all of them, kept over restarts.
        command: the program's path and its arguments.
        environment: its whole environment.
        folder: where it runs.
        ready: whether a run is ready; None for a program that runs once and ends.
        account: run as this user; None stays who we are.
        stop_signal: asks it to end.
        stop_seconds: seconds it may take to end before it is killed.
        death_signal: what the kernel sends it when we die.
        metrics: URL of its metrics, or "".
        essential: whether the appliance ends when this cannot be kept running; else it is started again for ever.
    """

    role: str
    instance: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    ready: Ready | None = None
    account: Account | None = None
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 30.0
    death_signal: int = signal.SIGKILL
    metrics: str = ""
    essential: bool = True


class Child:
    """One run of a program: from its start to its end."""

    def __init__(self, program: Program, process: Process, log: ChildLog) -> None:
        """Wrap a started process.

        Args:
            program: what it is.
            process: the process.
            log: where its output goes.
        """
        self.program = program
        self.pid = process.pid
        self.was_ready = False
        self._process = process
        self._reading = asyncio.create_task(_read(process, log))

    @classmethod
    async def start(cls, program: Program, log: ChildLog) -> Child:
        """Start a run, tied to our life, in a process group of its own so that Ctrl-C reaches only us.

        Args:
            program: what to run.
            log: where its output goes.
        """
        account = program.account or Account(tether.KEEP, tether.KEEP)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", tether.__file__),
            *(str(int(number)) for number in (program.death_signal, os.getpid(), account.user, account.group)),
            *program.command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            cwd=program.folder,
            env=program.environment,
            process_group=0,
        )
        return cls(program, process, log)

    async def ended(self) -> int:
        """Wait for the end and return the exit status, negative for a signal."""
        status = await self._process.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._reading, LAST_WORDS_SECONDS)
        self._signal_group(signal.SIGKILL)
        return status

    async def becomes_ready(self) -> None:
        """Ask until it is ready. Its end does not end the waiting."""
        assert self.program.ready is not None
        while not await self.program.ready(self.pid):  # noqa: ASYNC110  # what we ask is another process
            await asyncio.sleep(PROBE_INTERVAL)
        self.was_ready = True

    async def stop(self) -> None:
        """Ask it to end and wait; kill it when it takes too long."""
        with suppress(ProcessLookupError):
            self._process.send_signal(self.program.stop_signal)
        if await self._gone_within(self.program.stop_seconds):
            return
        self.kill()
        if await self._gone_within(KILL_SECONDS):
            return
        self._signal_group(signal.SIGKILL)
        await self._gone_within(KILL_SECONDS)

    def kill(self) -> None:
        """End it at once, the way it stands best, with all that it started."""
        if self._process.returncode is None:
            self._signal_group(self.program.death_signal)

    async def _gone_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def _read(process: Process, log: ChildLog) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(CHUNK):
        log.feed(data)
    log.flush()


def describe(status: int) -> str:
    """Say an exit status in words.

    Args:
        status: as `Child.ended` returns it.
    """
    if status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name
    return f"killed by {name}, perhaps for want of memory" if -status == signal.SIGKILL else f"ended by {name}"
