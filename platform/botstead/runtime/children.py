"""A child process that takes calls: it may crash, hang or eat memory without harm to the process that uses it.

The child runs in a process group of its own, dies with its parent, and speaks frames over a socket pair. Its standard
output and error end in a pipe of which the last lines are kept, to say why it died.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from botstead.core.errors import BotsteadError
from botstead.runtime import frames

GRACE = 1.0
"""Seconds that a child may take beyond a deadline, or to exit by itself, before it is killed."""

TAIL = 4_096
"""Bytes of the child's output that are kept."""

OUTPUT_RATE = 4_000_000
"""Bytes a second that are read of the child's output. A child that prints more waits; its parent does not work for it."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class ChildDied(BotsteadError):
    """A child process ended while it was needed. Its last output says more."""

    code = "child_died"

    def __init__(self, how: str, *, output: str = "", alone: bool = True) -> None:
        """Build the error.

        Args:
            how: how it ended, as a phrase: "exit status 3", "signal SIGABRT".
            output: the last lines that the child printed.
            alone: whether the call that this is raised for was the only one that ran.
        """
        super().__init__(f"The process ended: {how}.")
        self.how = how
        self.alone = alone
        if output:
            self.add_note(f"The end of its output:\n{output}")


class ChildBroken(BotsteadError):
    """A child process could not begin its work. Fix what its message names."""

    code = "child_broken"


class CallFailed(BotsteadError):
    """The child is well and says that this call failed."""

    code = "call_failed"

    def __init__(self, message: str, *, trace: str = "", after: float | None = None, attached: bytes = b"") -> None:
        """Build the error.

        Args:
            message: what happened.
            trace: the traceback within the child, as text.
            after: seconds after which a retry makes sense.
            attached: what the child's program sent with it.
        """
        super().__init__(message, after=after)
        self.attached = attached
        if trace:
            self.add_note(f"Within the process:\n{trace}")


class Child:
    """One running child. Make it with `Child.start`, end it with `stop` or `kill`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        output: _Output,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Take over a process that was just started; `start` is the way to get here."""
        self._process = process
        self._output = output
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._partly: dict[int, Callable[[bytes], None]] = {}
        self._cause = ""
        self._told = b""
        self._ended = False
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(), name=f"child-{process.pid}")

    @classmethod
    async def start(cls, command: Sequence[str], *, environment: Mapping[str, str], seconds: float) -> Child:
        """Start a program and wait until it says that it is ready.

        Args:
            command: the program and its arguments. `--socket FD --parent PID` is appended: where it finds its end of
                the socket pair, and whose life it must not outlast.
            environment: all of the child's environment.
            seconds: how long it may take to become ready.

        Raises:
            ChildBroken: it says that it cannot work.
            ChildDied: it ended, or was not ready in time.
        """
        child = await cls._spawn(command, environment)
        await child.become_ready(seconds)
        return child

    @classmethod
    async def _spawn(cls, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        async with contextlib.AsyncExitStack() as undo:
            output, pipe = await _Output.open()
            undo.push_async_callback(output.close)
            with contextlib.ExitStack() as given:
                given.callback(os.close, pipe)
                ours, theirs = socket.socketpair()
                given.callback(theirs.close)
                reader, writer = await asyncio.open_connection(sock=ours)
                undo.callback(writer.close)
                process = await asyncio.create_subprocess_exec(
                    *[*command, "--socket", str(theirs.fileno()), "--parent", str(os.getpid())],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=pipe,
                    stderr=pipe,
                    pass_fds=(theirs.fileno(),),
                    env=dict(environment),
                    start_new_session=True,
                )
            undo.pop_all()
        return cls(process, output, reader, writer)

    @property
    def pid(self) -> int:
        """The process id, which is also the number of its group."""
        return self._process.pid

    @property
    def running(self) -> int:
        """How many calls the child has not answered, those that nobody waits for any longer included."""
        return len(self._answers)

    @property
    def alive(self) -> bool:
        """Whether it can take a call."""
        return not self._ended and not self._cause

    @property
    def how(self) -> str:
        """How it ended, as a phrase, or "still running"."""
        return self._cause or _how(self._process.returncode)

    async def become_ready(self, seconds: float) -> None:
        """Wait until the child says that it is ready; end it when it does not.

        Args:
            seconds: how long it may take.

        Raises:
            ChildBroken: it says that it cannot work.
            ChildDied: it ended, or was not ready in time.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._ready
        except TimeoutError:
            await self.kill(f"killed: not ready after {seconds:g} s")
            raise self._died(alone=False) from None
        except BaseException:
            await self.kill("stopped before it was ready")
            raise

    async def call(self, body: bytes, *, seconds: float, partly: Callable[[bytes], None] | None = None) -> bytes:
        """Let the child do something and return what it answers.

        A child that gives no sign within `seconds` and a moment more is killed, and with it every other call it has.

        Args:
            body: the question.
            seconds: the deadline, which the child knows and should keep itself.
            partly: takes what the child tells before it answers.

        Raises:
            CallFailed: the child says so, or the question does not fit into a frame.
            ChildDied: the child ended before it answered.
        """
        if self._ended or self._writer.is_closing():
            raise self._died(alone=False)
        number = next(self._numbers)
        try:
            self._writer.write(frames.encode(frames.Request(number, seconds, body)))
        except frames.FrameTooLarge as error:
            raise CallFailed(f"This is too large for another process: {error}.") from error
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        if partly is not None:
            self._partly[number] = partly
        try:
            async with asyncio.timeout(seconds + GRACE):
                return await answer
        except TimeoutError:
            died = self._died(f"killed: no sign for {seconds:g} s", alone=self.running == 1)
            await self.kill(died.how)
            raise died from None
        except asyncio.CancelledError:
            if self.alive:
                self._writer.write(frames.encode(frames.Cancel(number)))
            raise
        finally:
            self._partly.pop(number, None)

    def tell(self, body: bytes) -> None:
        """Let the child know something before the calls that follow. What it was told last is not told again.

        Args:
            body: takes the place of what was told before; at first the child knows b"".
        """
        if body != self._told and not self._writer.is_closing():
            self._told = body
            self._writer.write(frames.encode(frames.Told(body)))

    def resident(self) -> int:
        """Return how many bytes of memory the child holds; 0 once it has ended.

        Source: proc_pid_statm(5), https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html
        """
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1]) * _PAGE
        except (OSError, IndexError):
            return 0

    async def ended(self, *, seconds: float | None = None) -> bool:
        """Wait until the child and its group are gone.

        Args:
            seconds: how long to wait; None waits as long as it takes.

        Returns:
            Whether they are.
        """
        await asyncio.wait([self._reading], timeout=seconds)
        return self._ended

    async def finish(self, *, seconds: float) -> None:
        """Wait for the calls that run, then stop. Give the child no new ones.

        Args:
            seconds: how long the calls may take.
        """
        waiting = [answer for answer in self._answers.values() if not answer.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)
        await self.stop()

    async def stop(self) -> None:
        """Close the connection, by which the child knows to exit; what is left of its group soon after is killed."""
        self._cause = self._cause or "stopped"
        self._writer.close()
        await self.ended()

    async def kill(self, why: str) -> None:
        """End the child and its whole group at once. Every call that waits fails with `ChildDied`.

        Args:
            why: how the error will say it ended, unless it had ended before.
        """
        if not self._ended and self._process.returncode is None:
            self._cause = self._cause or why
            self._kill_group()
        await self.stop()

    async def _read(self) -> None:
        """Hand results to those who wait, until the child is gone; then tell them all."""
        try:
            while (frame := await frames.read(self._reader)) is not None:
                self._settle(frame)
        except frames.BrokenFrame as error:
            self._cause = self._cause or f"killed: it broke our connection: {error}"
        finally:
            await self._bury()

    def _settle(self, frame: frames.Frame) -> None:
        if isinstance(frame, frames.Result | frames.Failure):
            answer = self._answers.pop(frame.number, None)
            if answer is None or answer.done():
                return
            if isinstance(frame, frames.Result):
                answer.set_result(frame.body)
            else:
                answer.set_exception(CallFailed(frame.message, trace=frame.trace, after=frame.after, attached=frame.attached))
        elif isinstance(frame, frames.Partial):
            if (partly := self._partly.get(frame.number)) is not None:
                partly(frame.body)
        elif isinstance(frame, frames.Ready) and not self._ready.done():
            self._ready.set_result(None)
        elif isinstance(frame, frames.Broken) and not self._ready.done():
            self._ready.set_exception(ChildBroken(frame.message))
        else:
            raise frames.BrokenFrame(f"unexpected {type(frame).__name__}")

    async def _bury(self) -> None:
        self._writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await self._process.wait()
        self._kill_group()
        await self._process.wait()
        await self._output.close()
        self._ended = True
        waiting: list[asyncio.Future[Any]] = [self._ready, *self._answers.values()]
        died = self._died(alone=self.running == 1)
        for answer in waiting:
            if not answer.done():
                answer.set_exception(died)
        self._answers.clear()

    def _kill_group(self) -> None:
        # Right after the child, so that its number cannot have been given to a stranger yet; grandchildren keep it taken.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _died(self, how: str = "", *, alone: bool) -> ChildDied:
        return ChildDied(how or self.how, output=self._output.tail(), alone=alone)


class _Output:
    """The end of what a child prints, read no faster than `OUTPUT_RATE`."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.BaseTransport) -> None:
        self._reader = reader
        self._transport = transport
        self._kept = b""
        self._task = asyncio.create_task(self._drain(), name="child-output")

    @classmethod
    async def open(cls) -> tuple[_Output, int]:
        """Make a pipe; return its reader, and the descriptor that the child writes to."""
        read_end, write_end = os.pipe()
        reader = asyncio.StreamReader(limit=65_536)
        try:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
            )
        except BaseException:
            os.close(write_end)
            raise
        return cls(reader, transport), write_end

    def tail(self) -> str:
        """Return the last lines."""
        return self._kept.decode(errors="replace")

    async def close(self) -> None:
        """Read what is still in the pipe, for a moment, then close it."""
        await asyncio.wait([self._task], timeout=GRACE)
        self._task.cancel()
        self._transport.close()

    async def _drain(self) -> None:
        while chunk := await self._reader.read(65_536):
            self._kept = (self._kept + chunk)[-TAIL:]
            await asyncio.sleep(len(chunk) / OUTPUT_RATE)


def _how(status: int | None) -> str:
    if status is None:
        return "still running"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
