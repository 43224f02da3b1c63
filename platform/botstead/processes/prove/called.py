"""Bots whose handlers call a service that goes wrong, and how often they go on calling it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from botstead.processes.prove.hurt import Case

if TYPE_CHECKING:
    from pathlib import Path

    from botstead.processes.prove.installation import Hook, Installation
    from botstead.processes.prove.stage import Stage

KINDS = ("half-open", "drip", "bomb", "error")
HOST = "127.0.0.1"
SECONDS = 9.0
"""How long it lasts in a small experiment: until the breaker has opened, rested, and probed."""
FAILURES = 10
"""Failures in a row after which a service is left alone."""
REST = 5.0
"""Seconds of the first rest."""
GRACE = 0.3
"""Seconds within which calls that had begun before still arrive, and by which clocks and sockets are late."""
SIZE = 100_000_000
PIECE = 65_536
CALLER = '''
from hashlib import sha256
from pathlib import Path

from botstead import Bot, Conversation, Http, Message
from botstead.core.errors import EgressError

bot = Bot(Path(__file__).parent.name)


@bot.on.message
async def link(message: Message, conversation: Conversation, http: Http) -> str:
    """Call a service, then add a link to the chain of this conversation, whatever the service did."""
    try:
        await http.get("{url}", seconds=1.0)
    except EgressError:
        pass
    state = conversation.state
    state["seq"] = state.get("seq", 0) + 1
    reply = f"{{state['seq']}} {{state.get('chain', '')}} {{message.text}}"
    state["chain"] = sha256(reply.encode()).hexdigest()[:16]
    return f"{{state['seq']}} {{state['chain']}} {{message.text}}"
'''
"""Source of a bot that keeps the chain, and calls."""


class Troubled:
    """A service that answers well until it is told not to."""

    def __init__(self, kind: str) -> None:
        """Begin well.

        Args:
            kind: how it goes wrong, of `KINDS`.
        """
        self.kind = kind
        self.port = 0
        self.bad = False
        self.begun: list[float] = []
        """When calls came while it was bad."""
        self.failed: list[float] = []
        """When those had gone wrong."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection.

        Args:
            reader: what the client asks.
            writer: to answer, or not.
        """
        clock = asyncio.get_running_loop().time
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                if not self.bad:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    continue
                self.begun.append(clock())
                try:
                    await self._misbehave(reader, writer)
                finally:
                    self.failed.append(clock())
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.kind == "error":
            writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            return
        if self.kind != "half-open":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        sent = 0
        while sent < SIZE:
            if self.kind == "bomb":
                writer.write(b"x" * PIECE)
                await writer.drain()
                sent += PIECE
                continue
            if self.kind == "drip":
                writer.write(b"x")
            try:
                async with asyncio.timeout(0.2):
                    if not await reader.read(1):
                        raise ConnectionResetError
            except TimeoutError:
                continue


class Called:
    """A bot and the service that its handler calls."""

    def __init__(self, service: Troubled) -> None:
        """Build it; the installation comes later.

        Args:
            service: that it calls.
        """
        self.case = Case(name=f"calls-{service.kind}", seconds=SECONDS)
        self.hook: Hook
        self._service = service

    def write(self, bots: Path) -> None:
        """Write the bot's folder.

        Args:
            bots: where to.
        """
        folder = bots / self.case.name
        folder.mkdir()
        (folder / "bot.py").write_text(CALLER.format(url=f"http://{HOST}:{self._service.port}/"))
        (folder / "bot.toml").write_text(f'egress = ["{HOST}"]\n')

    def runs(self, running: Installation) -> None:
        """Take the bot's place in an installation.

        Args:
            running: that runs it.
        """
        self.hook = next(hook for hook in running.hooks if hook.bot == self.case.name)
        self._note = running.note

    async def play(self, seconds: float) -> None:
        """Let the service go wrong for a while.

        Args:
            seconds: how long.
        """
        self._note(f"{self.case.name} begins", kind="fault")
        self._service.bad = True
        await asyncio.sleep(seconds)
        self._service.bad = False
        self._note(f"{self.case.name} ends", kind="recovery")

    def check(self, stage: Stage) -> None:
        """Record that it went wrong, that it was left alone then, and how often it was probed.

        Args:
            stage: where.
        """
        name, failed = self.case.name, sorted(self._service.failed)
        stage.at_least("P11", f"calls that went wrong ({name})", len(failed), FAILURES)
        if len(failed) < FAILURES:
            return
        opened = failed[FAILURES - 1]
        later = sorted(begun for begun in self._service.begun if begun > opened + GRACE)
        stage.at_most(
            "P11", f"calls in the rest after {FAILURES} failures ({name})", sum(at < opened + REST - GRACE for at in later), 0
        )
        close = sum(after - before < REST - GRACE for before, after in pairwise(later))
        stage.at_least("P11", f"probes ({name})", len(later), 1)
        stage.at_most("P11", f"probes less than a rest apart ({name})", close, 0)


@asynccontextmanager
async def called(kind: str) -> AsyncIterator[Called]:
    """Run a service on loopback until it is left.

    Args:
        kind: how it will go wrong, of `KINDS`.
    """
    service = Troubled(kind)
    server = await asyncio.start_server(service.serve, HOST, backlog=1_024)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield Called(service)
    finally:
        server.close()
