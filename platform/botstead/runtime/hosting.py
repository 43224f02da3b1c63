"""The child's side of `children`: a process that answers calls, and is bound to the life of the process that asks.

hosting.main(lambda folder: answer)      # answer: async, from the bytes of a call to the bytes of its result
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import functools
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Final, TypeAlias

from botstead.core.errors import BotsteadError, ConfigurationError
from botstead.runtime import frames

PR_SET_PDEATHSIG = 1
"""prctl(2), https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html"""

LONGEST_TEXT = 4_000
"""Characters of an error message, and of a traceback (its end), that travel to the parent."""

LONGEST_ATTACHED = 65_536
"""Bytes that may go with a failure."""

FIRST_TO_GO = "1000"
"""Where memory runs out for the whole machine, the kernel kills this process before any other of ours."""

Answer: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""Does what a call asks for. An error of ours tells its message and `after`; any other, its type and text."""


class AnswerFailed(BotsteadError):
    """The call failed, and something goes to the parent with it."""

    code = "answer_failed"

    def __init__(self, message: str, *, after: float | None = None, attached: bytes = b"") -> None:
        """Build the error.

        Args:
            message: what happened.
            after: seconds after which a retry makes sense.
            attached: what the parent finds as `CallFailed.attached`.
        """
        super().__init__(message, after=after)
        self.attached = attached


def main(
    make: Callable[[Path], Answer], arguments: Sequence[str] | None = None, *, told: Callable[[bytes], object] | None = None
) -> None:
    """Run the process until its parent closes the connection.

    Args:
        make: prepares what is in a folder, on the running loop.
        told: takes what the parent tells besides calls.
        arguments: command line; by default that of this process.
    """
    options = _parser().parse_args(arguments)
    connection = socket.socket(fileno=options.socket)
    connection.set_inheritable(False)
    confine(parent=options.parent, memory=options.memory)
    asyncio.run(serve(connection, lambda: make(options.folder), told=told))


def confine(*, parent: int, memory: int) -> None:
    """Bind this process to its parent's life and limit what it may take.

    The kernel's limit is on addresses, above what the interpreter has mapped already, and twice what is meant to be used:
    the parent replaces a process before that. Beyond it Python raises MemoryError.

    Args:
        parent: process id of the parent. If it is gone already, this process ends here.
        memory: bytes this process is meant to stay below, 0 for no limit.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the parent is gone")
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory and sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
        most = pages * resource.getpagesize() + 2 * memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


async def serve(connection: socket.socket, make: Callable[[], Answer], *, told: Callable[[bytes], object] | None = None) -> None:
    """Answer requests until the other side closes the connection.

    Args:
        connection: one end of a socket pair.
        make: prepares the work; its `ConfigurationError` is told to the parent.
        told: takes what the parent tells besides calls.
    """
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        answer = make()
    except ConfigurationError as error:
        writer.write(frames.encode(frames.Broken(error.message[:LONGEST_TEXT])))
        await writer.drain()
        return
    writer.write(frames.encode(frames.Ready()))
    running: dict[int, asyncio.Task[None]] = {}
    while (frame := await frames.read(reader)) is not None:
        if isinstance(frame, frames.Request):
            task = asyncio.create_task(_answer(answer, frame, writer), name=f"call-{frame.number}")
            running[frame.number] = task
            task.add_done_callback(functools.partial(_forget, running, frame.number))
        elif isinstance(frame, frames.Cancel) and frame.number in running:
            running[frame.number].cancel()
        elif isinstance(frame, frames.Told) and told is not None:
            told(frame.body)


def _forget(running: dict[int, asyncio.Task[None]], number: int, _task: asyncio.Task[None]) -> None:
    del running[number]


partly: Final[ContextVar[Callable[[bytes], None] | None]] = ContextVar("partly", default=None)
"""Sends to whoever waits for the running call how far it has come. Never waits; a parent that does not read is sent nothing."""

_UNREAD = 262_144
"""Bytes that the parent has not read yet, above which it is sent nothing in between."""


def _partly(number: int, writer: asyncio.StreamWriter) -> Callable[[bytes], None]:
    def send(body: bytes) -> None:
        if not writer.is_closing() and writer.transport.get_write_buffer_size() < _UNREAD:
            writer.write(frames.encode(frames.Partial(number, body)))

    return send


async def _answer(answer: Answer, request: frames.Request, writer: asyncio.StreamWriter) -> None:
    partly.set(_partly(request.number, writer))
    try:
        encoded = frames.encode(await _result(answer, request))
    except frames.FrameTooLarge as error:
        encoded = frames.encode(frames.Failure(request.number, f"The answer is too large: {error}."))
    except asyncio.CancelledError:
        writer.write(frames.encode(frames.Failure(request.number, "The call was taken back.")))
        raise
    writer.write(encoded)
    with contextlib.suppress(ConnectionError):
        await writer.drain()


async def _result(answer: Answer, request: frames.Request) -> frames.Result | frames.Failure:
    try:
        async with asyncio.timeout(request.seconds) as deadline:
            return frames.Result(request.number, await answer(request.body))
    except BotsteadError as error:
        attached = error.attached if isinstance(error, AnswerFailed) else b""
        return _failure(request.number, error.message, error, after=error.after, attached=attached)
    except Exception as error:  # noqa: BLE001  whatever happens must be answered, or the parent waits for its deadline
        if deadline.expired():
            return frames.Failure(request.number, f"It ran longer than {request.seconds:g} s.")
        return _failure(request.number, f"{type(error).__name__}: {error}", error)


def _failure(number: int, message: str, error: Exception, *, after: float | None = None, attached: bytes = b"") -> frames.Failure:
    trace = "".join(traceback.format_exception(error))
    return frames.Failure(number, message[:LONGEST_TEXT], trace[-LONGEST_TEXT:], after, attached[:LONGEST_ATTACHED])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Answers the calls of the process that started it.")
    parser.add_argument("--folder", type=Path, required=True, help="the folder with what it runs")
    parser.add_argument("--memory", type=int, default=0, help="bytes it is meant to stay below; 0 is no limit")
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the connection to the parent")
    parser.add_argument("--parent", type=int, required=True, help="process id of the parent")
    return parser
