"""The disk gets full under the database, under its write-ahead log, and under our logs; then there is space again."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from botstead.processes.embedded.folder import free_ports
from botstead.processes.embedded.postgres import prepare
from botstead.processes.prove.ask import ask
from botstead.processes.prove.asking import Asking, asking
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import judge
from botstead.processes.prove.load import Load
from botstead.processes.prove.meanwhile import meanwhile
from botstead.processes.prove.smalldisk import BLOCK, Disk, disk, missing

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.slot import Slot
    from botstead.processes.prove.stage import Stage

CONVERSATIONS = 100
DATA_MB, WAL_MB, LOG_MB = 256, 96, 1
OPTIONS = ("max_wal_size=48MB", "min_wal_size=32MB", "wal_recycle=off", "autovacuum=off", "restart_after_crash=on")
"""A log that fits on its disk with space to spare, and nothing that frees space while the disk has to be full."""
RECOVER_SECONDS = 30.0
"""Seconds from the first free byte to the next acknowledgement."""
RESTART_SECONDS = 0.5
"""Seconds before a server that ended is started again, as a supervisor does."""
UNDER_WAY = 64
"""Sends that a worker may have under way when it loses its database: each of them may arrive twice."""
COMPLAINT = b"--- Logging error ---"
"""What Python's logging leaves in the log when a line cannot be written; it comes out when there is space again."""
REFUSED_WITHIN = 30.0
LOOK_EVERY = 0.1
NEW_SEGMENT = "SELECT pg_switch_wal()"


@experiment("E7", "The disk gets full", promises=("P1", "P2", "P3", "P4", "P6", "P9"), minutes=4)
async def full_disk(stage: Stage) -> None:
    """Fill the disk of the data, that of the write-ahead log and that of our logs in turn, and free each again."""
    if why := missing():
        stage.skip(why)
    with ExitStack() as stack:
        try:
            small, wal, logs = _mounted(stage, stack)
        except OSError as error:
            stage.skip(f"this machine lets nobody mount a file system, not even root: {error}")
        await _filled(stage, small, wal, logs)


def _mounted(stage: Stage, stack: ExitStack) -> tuple[Disk, Disk, Disk]:
    """Mount three, and make the database's files on the first two.

    Raises:
        OSError: the machine refuses.
    """
    small = stack.enter_context(disk(stage.folder / "small", megabytes=DATA_MB))
    logs = stack.enter_context(disk(stage.folder / "small-logs", megabytes=LOG_MB))
    return small, _split(stack, prepare(small.folder, port=free_ports(1)[0]).folder), logs


def _split(stack: ExitStack, folder: Path) -> Disk:
    """Put the write-ahead log of a database that does not run on a disk of its own."""
    log, aside = folder / "pg_wal", folder / "aside"
    log.rename(aside)
    owner = aside.stat()
    log.mkdir(mode=owner.st_mode & 0o777)
    os.chown(log, owner.st_uid, owner.st_gid)
    made = stack.enter_context(disk(log, megabytes=WAL_MB))
    shutil.copytree(aside, log, dirs_exist_ok=True)
    for path in log.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid)
    shutil.rmtree(aside)
    return made


async def _filled(stage: Stage, small: Disk, wal: Disk, logs: Disk) -> None:
    seconds, rate = (20.0, 200.0) if stage.full else (1.5, 100.0)
    settings = {"lease_seconds": "3" if stage.full else "1.5"}
    async with installation(stage, settings=settings, postgres=OPTIONS, postgres_folder=small.folder) as running:
        for role in ("api", "worker"):
            await _join(running, role, logs)
        load = Load(stage, running, updates=int(rate * seconds * 100), conversations=CONVERSATIONS, rate=rate)
        async with _supervised(running), asking(running, load) as asked, asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await _full(running, load, asked, what="no space for rows", where=small, seconds=seconds)
            await _full(running, load, asked, what="no space for the write-ahead log", where=wal, seconds=seconds)
            await _full_logs(running, load, logs, seconds)
            load.stop()
        stage.none("P6", "answers other than 200 and 503", load.wrong)
        await running.settle(load, seconds=60)
        judge(load, running).check(stage, allowed_again=UNDER_WAY * 3)


async def _join(running: Installation, role: str, logs: Disk) -> None:
    """Start a process whose log is on the small disk."""
    slot = running.add(role, f"{role}-small")
    slot.log = logs.folder / f"{slot.name}.log"
    slot.start()
    await slot.becomes_ready()


@asynccontextmanager
async def _supervised(running: Installation) -> AsyncIterator[None]:
    """Start Postgres again whenever it ended by itself."""

    async def tend() -> None:
        while True:
            await asyncio.sleep(RESTART_SECONDS)
            if running.postgres.wanted and not running.postgres.alive:
                running.note(f"start Postgres again (it ended with {running.postgres.status})")
                running.postgres.start()

    async with meanwhile(tend()):
        yield


async def _full(  # noqa: PLR0913  # each has a name at the call
    running: Installation, load: Load, asked: Asking, *, what: str, where: Disk, seconds: float
) -> None:
    """Fill a disk until updates are refused, stay so, free it, and wait until all goes on."""
    stage, began, refused = running.stage, running.stage.now, asked.refused
    running.note(f"{what}: {where.fill() / 1e6:.0f} MB are taken", kind="fault")
    try:
        deadline = time.monotonic() + REFUSED_WITHIN
        while asked.refused == refused:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: still nothing was refused")
            if where.folder.name == "pg_wal":
                await _switch(running)
            where.fill()
            await asyncio.sleep(LOOK_EVERY)
        running.note(f"{what}: updates are refused")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            where.fill()
            await asyncio.sleep(LOOK_EVERY)
    finally:
        where.free()
    running.note(f"{what}: there is space again", kind="recovery")
    freed, count = time.monotonic(), load.count
    await running.until(lambda: load.count > count, f"taken again ({what})", seconds=RECOVER_SECONDS * 2)
    stage.at_most("P9", f"until updates are taken again ({what})", time.monotonic() - freed, RECOVER_SECONDS, unit="s")
    asked.check(what=what, since=began)


async def _switch(running: Installation) -> None:
    """Let the database need a new file of its log with the next record."""
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await ask(running, NEW_SEGMENT)


async def _full_logs(running: Installation, load: Load, logs: Disk, seconds: float) -> None:
    """Let processes have something to log and no space for it; they have to go on, and to log again afterwards."""
    stage, slots = running.stage, [slot for slot in running.slots.values() if slot.log.parent == logs.folder]
    for slot in slots:
        _pad(slot.log)
    running.note(f"no space for logs: {logs.fill() / 1e3:.0f} kB are taken", kind="fault")
    sizes, starts, count = _sizes(slots), sum(slot.starts for slot in slots), load.count
    try:
        await running.valkey.stop()  # each process says that it is away
        await asyncio.sleep(seconds)
        grown = [slot.name for slot, before, now in zip(slots, sizes, _sizes(slots), strict=True) if now > before]
    finally:
        logs.free()
        running.valkey.start()
    running.note("there is space for logs again", kind="recovery")
    stage.at_least("P1", "acknowledged while there was no space for logs", load.count - count, 1)
    stage.none("P1", "logs that grew without space", grown)
    stage.none("P9", "processes that ended for want of space for logs", ["one"] * (sum(slot.starts for slot in slots) - starts))
    sizes = _sizes(slots)
    ends = {slot.name: (await slot.end())[0] for slot in slots}
    stage.none("P9", "processes that cannot end in order", [f"{name}: {status}" for name, status in ends.items() if status])
    silent = [slot.name for slot, before, now in zip(slots, sizes, _sizes(slots), strict=True) if now == before]
    stage.none("P9", "logs that do not go on when there is space again", silent)
    complaints = sum(slot.log.read_bytes().count(COMPLAINT) for slot in slots)
    stage.at_least("P9", "log lines that found no space", complaints, len(slots))


def _sizes(slots: list[Slot]) -> list[int]:
    return [slot.log.stat().st_size for slot in slots]


def _pad(log: Path) -> None:
    """Fill the file's last block, so that the next byte needs another one."""
    with log.open("ab") as file:
        file.write(b" " * (-file.tell() % BLOCK))
