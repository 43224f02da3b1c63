"""Runs one or more roles in this process: starts them, waits for a signal or a failure, drains, ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import uvloop

from botstead.core.errors import ConfigurationError, Unavailable
from botstead.core.settings import Settings
from botstead.processes import api, identity, objectives, scheduler, worker
from botstead.processes.foundation import Foundation
from botstead.runtime.looplag import LoopWatch
from botstead.runtime.tasks import Tasks
from botstead.telemetry import logs
from botstead.telemetry.catalog import METRICS
from botstead.telemetry.listener import Listener, Probe
from botstead.telemetry.logs import event

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIGURATION = 78
"""EX_CONFIG: starting again does not help."""
COLLECT_AFTER = 10_000
"""Allocations after which the collector looks at young objects; the interpreter's own 700 suits short programs."""
STOP_MARGIN = 10.0
"""Seconds beyond `stop_seconds` after which the process ends whatever still runs."""

logger = logging.getLogger(__name__)


class Role(Protocol):
    """One part of the platform, as a process runs it."""

    async def start(self) -> None:
        """Get ready to work; returns when it does."""
        ...

    async def drain(self) -> None:
        """Take no more, end what runs, leave nothing half done."""
        ...

    @property
    def ready(self) -> bool:
        """Whether it works."""
        ...


ROLES: Mapping[str, Callable[[Foundation], Role]] = {"api": api.Api, "worker": worker.BotWorker, "scheduler": scheduler.Scheduler}


def launch(settings: Settings, roles: Sequence[str]) -> int:
    """Run roles until asked to stop; returns the exit status.

    Args:
        settings: of this process.
        roles: api, worker, scheduler; one process may hold several.
    """
    try:
        _configure_logs(settings, roles)
        logs.take_uncaught()
        status = uvloop.run(_serve(settings, roles))
    except* ConfigurationError as group:
        sys.stderr.write(f"{_first(group)}\n")
        status = EXIT_CONFIGURATION
    except* Unavailable as group:
        sys.stderr.write(f"{_first(group)}\n")
        status = EXIT_FAILED
    sys.stderr.flush()
    # A thread of a handler that never ends would hold up the interpreter's own exit.
    os._exit(status)


def _configure_logs(settings: Settings, roles: Sequence[str]) -> None:
    logs.configure(settings.log_level, sys.stderr, role="+".join(roles), instance=settings.instance, folder=settings.log_folder)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


async def _serve(settings: Settings, roles: Sequence[str]) -> int:
    stop = asyncio.Event()
    failures: list[BaseException] = []

    def failed(name: str, error: BaseException) -> None:
        event(logger, "task_failed", level=logging.ERROR, exception=error, task=name)
        failures.append(error)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = Tasks(failed)
    METRICS.run_as(roles)
    identity.show(settings)
    async with Foundation(settings, tasks) as foundation:
        parts = [ROLES[role](foundation) for role in roles]
        _pace(parts)
        _configure_logs(settings, roles)  # again: building the web application takes the handlers away
        state = {"ready": False}
        listener = Listener(settings.metrics_host, settings.metrics_port, _probes(parts, state))
        listener.start()
        if not any(isinstance(part, worker.BotWorker) for part in parts):  # a worker's lease watches its loop
            tasks.start("loop", LoopWatch().run())
        ledger = objectives.ledger(foundation)
        tasks.start("ledger", ledger.run())
        for part in parts:
            await part.start()
        _spare_the_collector()
        state["ready"] = True
        event(logger, "process_ready", roles=list(roles), metrics_port=listener.port)
        await stop.wait()
        event(logger, "process_draining")
        _bound_the_end(settings)
        state["ready"] = False
        for part in parts:
            await part.drain()
        await ledger.stop()
        await tasks.stop(0)
        listener.stop()
    event(logger, "process_stopped")
    return EXIT_FAILED if failures else EXIT_OK


def _spare_the_collector() -> None:
    """Take what was built at start, and stays, out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


def _pace(parts: Sequence[Role]) -> None:
    """Where one process both takes and handles messages, let taking wait for handling."""
    for taking in parts:
        for handling in parts:
            if isinstance(taking, api.Api) and isinstance(handling, worker.BotWorker):
                taking.inbox.pace(handling.worker.room)


def _bound_the_end(settings: Settings) -> None:
    """End the process from a thread if draining hangs: whatever is undone is taken over by the others."""
    timer = threading.Timer(settings.drain_seconds + settings.stop_seconds + STOP_MARGIN, os._exit, (EXIT_FAILED,))
    timer.daemon = True
    timer.start()


def _probes(parts: Sequence[Role], state: Mapping[str, bool]) -> dict[str, Callable[[], Probe]]:
    return {
        "live": lambda: Probe(ok=True),
        "startup": lambda: Probe(ok=all(part.ready for part in parts)),
        "ready": lambda: Probe(ok=state["ready"] and all(part.ready for part in parts)),
    }
