"""Plays a part of an experiment in a network of its own, in which every address there is leads to this machine.

So whoever connects anywhere, be it to a cloud's metadata or to a private network, is seen, and nothing leaves. Linux, as root: a
network namespace with one route that calls every address local, ip-netns(8), ip-route(8).
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from botstead.processes.prove.experiment import Figure, Moment, Run, Scale
from botstead.processes.prove.severed import missing, run
from botstead.processes.prove.stage import Stage

if TYPE_CHECKING:
    from typing import Any

__all__ = ["missing", "play"]

SECONDS = 180.0
ROUTES = ("route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo")


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the process there says, one a line: something that happened, or something that was measured."""

    moment: Moment | None = None
    figure: Figure | None = None


@contextmanager
def _network() -> Iterator[str]:
    name = f"bselse{os.getpid() % 16_384}"
    if Path(f"/run/netns/{name}").exists():
        run(f"ip netns del {name}")
    run(f"ip netns add {name}")
    try:
        run(f"ip -n {name} link set lo up")
        for route in ROUTES:
            run(f"ip -n {name} {route}")
        yield name
    finally:
        run(f"ip netns del {name}")


async def play(stage: Stage, what: Run) -> None:
    """Play it there, in a process of its own; what it finds is found here.

    Args:
        stage: gives seed, scale and folder.
        what: a function of a module.

    Raises:
        OSError: the machine refuses the network.
        RuntimeError: it could not be finished; the text is what it said last.
    """
    with _network() as name:
        command = ["ip", "netns", "exec", name, sys.executable, "-m", __name__]
        told = (what.__module__, what.__qualname__, str(stage.folder), str(stage.seed), stage.scale)
        process = await asyncio.create_subprocess_exec(
            *command,
            *told,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(SECONDS):
                _, complaint = await asyncio.gather(_follow(stage, process.stdout), _rest(process.stderr))
                status = await process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if status:
        raise RuntimeError(f"{what.__qualname__} ended with {status}: {complaint[-2_000:]}")


async def _follow(stage: Stage, said: Any) -> None:
    async for line in said:
        heard = msgspec.json.decode(line, type=Line)
        if heard.moment is not None:
            stage.note(heard.moment.what, kind=heard.moment.kind)
        if heard.figure is not None:
            stage.figures.append(heard.figure)


async def _rest(said: Any) -> str:
    return (await said.read()).decode(errors="replace").strip()  # type: ignore[no-any-return]


def _say(line: Line) -> None:
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """Play it here.

    Args:
        arguments: module, function, folder, seed and scale.
    """
    module, name, folder, seed, scale = arguments
    what = getattr(importlib.import_module(module), name)
    stage = Stage(
        Path(folder), seed=int(seed), scale=msgspec.convert(scale, Scale), report=lambda moment: _say(Line(moment=moment))
    )
    uvloop.run(what(stage))
    for figure in stage.figures:
        _say(Line(figure=figure))


if __name__ == "__main__":
    main(sys.argv[1:])
