"""The process of one bot: loads its folder, runs the events that the worker sends, and dies with the worker.

Started by `pipeline.hosted.HostedBot` as `python -m botstead.processes.bot_host`.
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
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from botstead.core.errors import ConfigurationError, HandlerFailed
from botstead.core.ports import Handler, Incoming
from botstead.runtime import frames

PR_SET_PDEATHSIG = 1
"""prctl(2), https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html"""

LONGEST_TEXT = 4_000
"""Characters of an error message, and of a traceback, that travel to the worker; the end is what is kept."""

FIRST_TO_GO = "1000"
"""Where memory runs out for the whole machine, a bot's process is killed before any other of ours."""


def main(make: Callable[[Path], Handler], arguments: Sequence[str] | None = None) -> None:
    """Run the process until the worker closes the connection.

    Args:
        make: builds the handler of a bot's folder.
        arguments: command line; by default that of this process.
    """
    options = _parser().parse_args(arguments)
    connection = socket.socket(fileno=options.socket)
    connection.set_inheritable(False)
    confine(parent=options.parent, memory=options.memory)
    sys.path.insert(0, str(options.folder))
    asyncio.run(serve(connection, lambda: make(options.folder)))


def confine(*, parent: int, memory: int) -> None:
    """Bind this process to its parent's life and limit what it may take.

    Args:
        parent: process id of the worker. If it is gone already, this process ends here.
        memory: bytes the bot is meant to stay below, 0 for no limit. The worker replaces a process that uses more; one
            that takes twice as much before the worker sees it is refused by the kernel, which Python shows as MemoryError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the worker is gone")
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
        most = pages * resource.getpagesize() + 2 * memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


async def serve(connection: socket.socket, make: Callable[[], Handler]) -> None:
    """Answer requests until the other side closes the connection.

    Args:
        connection: one end of a socket pair.
        make: builds the handler.
    """
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        handler = make()
    except ConfigurationError as error:
        writer.write(frames.encode(frames.Broken(error.message[-LONGEST_TEXT:])))
        await writer.drain()
        return
    writer.write(frames.encode(frames.Ready()))
    running: dict[int, asyncio.Task[None]] = {}
    while (frame := await frames.read(reader)) is not None:
        if isinstance(frame, frames.Request):
            task = asyncio.create_task(_answer(handler, frame, writer), name=f"event-{frame.number}")
            running[frame.number] = task
            task.add_done_callback(functools.partial(_forget, running, frame.number))
        elif isinstance(frame, frames.Cancel) and frame.number in running:
            running[frame.number].cancel()


def _forget(running: dict[int, asyncio.Task[None]], number: int, _task: asyncio.Task[None]) -> None:
    del running[number]


async def _answer(handler: Handler, request: frames.Request, writer: asyncio.StreamWriter) -> None:
    try:
        answer = frames.encode(await _handled(handler, request))
    except frames.FrameTooLarge as error:
        answer = frames.encode(frames.Failure(request.number, f"The bot's answer is too large: {error}."))
    except asyncio.CancelledError:
        writer.write(frames.encode(frames.Failure(request.number, "The event was taken back.")))
        raise
    writer.write(answer)
    with contextlib.suppress(ConnectionError):
        await writer.drain()


async def _handled(handler: Handler, request: frames.Request) -> frames.Result | frames.Failure:
    try:
        async with asyncio.timeout(request.seconds):
            effects = await handler.handle(msgspec.json.decode(request.body, type=Incoming))
        return frames.Result(request.number, msgspec.json.encode(effects))
    except TimeoutError:
        return frames.Failure(request.number, f"The handler ran longer than {request.seconds:g} s.")
    except HandlerFailed as error:
        return _failure(request.number, error.message, error, after=error.after)
    except Exception as error:  # noqa: BLE001  whatever a bot does must be answered, or the worker waits for its deadline
        return _failure(request.number, f"{type(error).__name__}: {error}", error)


def _failure(number: int, message: str, error: Exception, *, after: float | None = None) -> frames.Failure:
    trace = "".join(traceback.format_exception(error))
    return frames.Failure(number, message[:LONGEST_TEXT], trace[-LONGEST_TEXT:], after)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="botstead.processes.bot_host", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the bot's folder")
    parser.add_argument("--memory", type=int, default=0, help="bytes it is meant to stay below; 0 is no limit")
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the connection to the worker")
    parser.add_argument("--parent", type=int, required=True, help="process id of the worker")
    return parser
