"""The servers of an installation under proof: Postgres and Valkey, each on its own data, and what hurts them."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from botstead.processes.embedded import folder as data_folder
from botstead.processes.embedded import postgres, valkey
from botstead.processes.prove.slot import Slot

OPTIONS = ("max_connections=100",)
"""More processes than an appliance has."""


class PostgresServer(Slot):
    """A Postgres. `start` does not wait: `becomes_ready` does. `kill` takes all its processes at once."""

    def __init__(self, data: Path, *, log: Path, options: Sequence[str] = (), wrap: Sequence[str] = ()) -> None:
        """Make its files where there are none.

        Args:
            data: folder that its own folder is in.
            log: where its output goes.
            options: more settings, each as "name=value".
            wrap: command words put in front; they run as the server's account, which is not always ours.
        """
        data.mkdir(exist_ok=True)
        port = data_folder.free_ports(1)[0]
        cluster = postgres.prepare(data, port=port)
        program = cluster.program()
        words = tuple(word for option in (*OPTIONS, *options) for word in ("-c", option))
        front = (shutil.which(wrap[0]) or wrap[0], *wrap[1:]) if wrap else ()
        super().__init__(msgspec.structs.replace(program, command=(*front, *program.command, *words)), log=log, port=port)
        self.dsn = cluster.dsn
        self.data = cluster.folder

    async def stop(self) -> None:
        """Stop it in order (fast shutdown); it stays away until it is started."""
        await self.end()

    async def restart(self, *, kill: bool = False) -> None:
        """Stop it and start it on the same data; returns when it takes connections.

        Args:
            kill: pull the plug; otherwise a fast shutdown, which ends every session.
        """
        if kill:
            self.wanted = False
            self.kill()
        else:
            await self.end(number=signal.SIGINT)
        self.start()
        await self.becomes_ready()


class ValkeyServer(Slot):
    """A Valkey. It keeps nothing, so each start is an empty one."""

    def __init__(self, data: Path, *, log: Path, wrap: Sequence[str] = ()) -> None:
        """Prepare it.

        Args:
            data: folder that its own folder is in.
            log: where its output goes.
            wrap: command words put in front.
        """
        port = data_folder.free_ports(1)[0]
        program, self.url = valkey.prepare(data, port=port)
        super().__init__(program, log=log, wrap=wrap, port=port)

    async def stop(self) -> None:
        """Stop it; it stays away until it is started."""
        await self.end()

    async def restart(self) -> None:
        """Pull the plug and start it anew; returns when it answers."""
        self.wanted = False
        self.kill()
        self.start()
        await self.becomes_ready()
