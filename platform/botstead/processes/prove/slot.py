"""One process under a stable name, a child of ours: started, killed, paused, asked to end, and started again.

Processes are started from the main thread only: the kernel ends a tied child when the thread that started it ends (prctl(2)).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from botstead.processes.embedded import tether
from botstead.processes.embedded.account import Account
from botstead.processes.embedded.child import Program

GONE_SECONDS = 10.0
"""Seconds for a killed process and its children to be gone."""
POLL = 0.02


class Slot:
    """One process, over all its runs."""

    def __init__(  # noqa: PLR0913  # each has a default, and a name at the call
        self, program: Program, *, log: Path, wrap: Sequence[str] = (), port: int = 0, metrics_port: int = 0, said: str = ""
    ) -> None:
        """Start nothing yet.

        Args:
            program: what to run.
            log: where its output goes, over all its runs.
            wrap: command words put in front, such as `faketime`; they have to become the program (exec), not start it.
            port: loopback port that it serves, 0 for none.
            metrics_port: loopback port of its metrics, 0 for none.
            said: it is ready when its log says so; without, the program is asked.
        """
        self.program, self.log, self.port, self.metrics_port = program, log, port, metrics_port
        self.wrap = tuple(wrap)
        self.wanted = False
        self.starts = 0
        self.started = 0.0
        """When the current or last run began, in Unix seconds."""
        self._said = said.encode()
        self._began = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Stable name, such as "worker-a"."""
        return self.program.instance

    @property
    def role(self) -> str:
        """What it is: api, worker, scheduler, postgres, valkey, edge, provider."""
        return self.program.role

    @property
    def pid(self) -> int:
        """Process id of the current or last run."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs; also while it is paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status of the last run, negative for a signal; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def ready(self) -> bool:
        """Whether the current run has said that it works. For a program that says nothing, whether it runs."""
        return self.alive and self._said in self.output()

    def output(self) -> bytes:
        """What the current run has printed."""
        with self.log.open("rb") as log:
            log.seek(self._began)
            return log.read()

    def start(self) -> None:
        """Start a run, and want one from now on. Does not wait; see `ready` and `becomes_ready`."""
        self.wanted = True
        self.starts += 1
        self.started = time.time()
        self._began = self.log.stat().st_size if self.log.exists() else 0
        account = self.program.account or Account(tether.KEEP, tether.KEEP)
        numbers = (int(self.program.death_signal), os.getpid(), account.user, account.group)
        command = [*self.wrap, sys.executable, "-I", "-S", tether.__file__, *map(str, numbers), *self.program.command]
        command[0] = shutil.which(command[0]) or command[0]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.program.folder,
                env=dict(self.program.environment),
                process_group=0,
            )

    async def becomes_ready(self, *, seconds: float = 30.0) -> None:
        """Wait until the current run works.

        Args:
            seconds: how long at most.

        Raises:
            TimeoutError: it did not in time, or ended.
        """
        deadline = time.monotonic() + seconds
        while not (self.ready and (self.program.ready is None or await self.program.ready(self.pid))):
            if time.monotonic() > deadline or not self.alive:
                last = self.output()[-2_000:].decode(errors="replace")
                raise TimeoutError(f"{self.name} is not ready (status {self.status}):\n{last}")
            await asyncio.sleep(POLL)

    def kill(self) -> None:
        """Pull the plug: SIGKILL to it and its children at once; returns when they are gone. It is started again if wanted."""
        if not self.alive:
            return
        self._signal(signal.SIGSTOP, self.pid)  # so that it starts no more while we look
        family = self.family()
        for pid in family:
            self._signal(signal.SIGKILL, pid)
        assert self._process is not None
        self._process.wait(GONE_SECONDS)
        _wait(lambda: not any(_running(pid) for pid in family), f"children of {self.name} gone")

    def pause(self) -> None:
        """Stop it and its children where they stand (SIGSTOP)."""
        for pid in self.family():
            self._signal(signal.SIGSTOP, pid)

    def resume(self) -> None:
        """Let it and its children go on (SIGCONT)."""
        for pid in self.family():
            self._signal(signal.SIGCONT, pid)

    async def end(self, *, number: int | None = None, seconds: float = 60.0) -> tuple[int, float]:
        """Ask it to end and wait; it is not wanted any more.

        Args:
            number: signal that asks; by default the program's own (SIGTERM, for Postgres SIGINT: fast shutdown).
            seconds: after so many it is killed.

        Returns:
            Exit status (negative for a signal) and the seconds that it took.
        """
        self.wanted = False
        began = time.monotonic()
        if self.alive:
            self._signal(number or self.program.stop_signal, self.pid)
        while self.alive and time.monotonic() - began < seconds:  # noqa: ASYNC110  # a process that is no task of ours
            await asyncio.sleep(POLL)
        took = time.monotonic() - began
        self.kill()
        return self.status or 0, took

    def family(self) -> list[int]:
        """Return its process id and those of its children and theirs, where the system tells (Linux)."""
        if not self.alive:
            return []
        parents = _parents()
        family = [self.pid]
        for pid in family:
            family += [child for child, parent in parents.items() if parent == pid and child not in family]
        return family

    def memory(self) -> float:
        """Return the resident memory of it and its children, in MB; 0 where the system does not tell."""
        return sum(map(_resident, self.family())) / 1e6

    def cpu(self) -> float:
        """Return the seconds of CPU that its current run has used, in steps of the kernel's clock; 0 where nobody tells."""
        with suppress(OSError, IndexError, ValueError):
            words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    @staticmethod
    def _signal(number: int, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _parents() -> dict[int, int]:
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return found


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)
