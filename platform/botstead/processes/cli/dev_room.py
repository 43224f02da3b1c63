"""`botstead dev`: a conversation in the terminal with a bot that is being written.

The bot runs in a child process. When a file in its folder changes, a new child is started; only when that one has loaded
the bot, it takes the place of the old one. The conversation's state stays here, so it goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from botstead.core.messages import Action, AnswerButton, Button, Delete, Edit, Pay, Refund, Send
from botstead.core.money import Payment
from botstead.processes.cli.dev_child import Broken, Heard, Ready, Said
from botstead.processes.cli.dev_till import CHOICES, DevTill

LOOK = 0.3
"""Seconds between two looks at the folder."""
START = 30.0
"""Seconds that loading a bot may take."""
ANSWER = 600.0
"""Seconds after which a version that does not answer is given up; its own deadline normally comes first."""
STOP = 2.0
_LINE = 16 * 1024 * 1024
_QUIT = frozenset({"/quit", "/exit"})

Snapshot = dict[Path, tuple[int, int]]
_answers: msgspec.json.Decoder[Ready | Broken | Said] = msgspec.json.Decoder(Ready | Broken | Said)


class Gone(Exception):
    """A version's process ended or does not answer."""


class Version:
    """One process with one version of the bot."""

    def __init__(self, process: Process, name: str) -> None:
        """Wrap a process that said it is ready.

        Args:
            process: the child.
            name: of the bot.
        """
        self.name = name
        self._process = process

    @classmethod
    async def start(cls, folder: Path, secrets: Mapping[str, str]) -> Version | str:
        """Start a process; returns why it cannot run if it cannot.

        Args:
            folder: the bot's.
            secrets: what the bot calls services with; they go over the pipe.
        """
        command = (sys.executable, "-P", "-m", "botstead.processes.cli.dev_child", str(folder))
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_LINE, start_new_session=True)
        version = cls(process, "")
        try:
            await version._give(secrets)
            first = await version._read(START)
        except Gone:
            await version.stop()
            return "The bot's process ended while it was loaded."
        except BaseException:
            await version.stop()
            raise
        if isinstance(first, Ready):
            version.name = first.name
            return version
        await version.stop()
        return first.why if isinstance(first, Broken) else "The bot's process spoke out of turn."

    async def _give(self, secrets: Mapping[str, str]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(secrets) + b"\n")
        with contextlib.suppress(ConnectionError):  # the read that follows says that it is gone
            await self._process.stdin.drain()

    async def tell(self, heard: Heard) -> Said:
        """Let the bot handle something.

        Args:
            heard: what was written or pressed.

        Raises:
            Gone: the process ended or does not answer.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(heard) + b"\n")
        said = await self._read(ANSWER)
        if not isinstance(said, Said):
            raise Gone
        return said

    async def stop(self) -> None:
        """Close the connection, which ends the process; kill it if it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP)
        except (TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _read(self, seconds: float) -> Ready | Broken | Said:
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        except (TimeoutError, ValueError) as error:
            raise Gone from error
        if not line.endswith(b"\n"):
            raise Gone
        return _answers.decode(line)


class DevRoom:
    """The terminal's side: reads lines, watches the folder, swaps versions, shows what is said."""

    def __init__(self, folder: Path, secrets: Mapping[str, str]) -> None:
        """Build it.

        Args:
            folder: the bot's.
            secrets: what the bot calls services with, by name.
        """
        self._folder = folder
        self._secrets = secrets
        self._events: asyncio.Queue[str | Snapshot | None] = asyncio.Queue(8)
        self._version: Version | None = None
        self._state = "{}"
        self._number = 0
        self._buttons: list[tuple[Button, str]] = []
        self._till = DevTill()

    async def run(self) -> None:
        """Talk until the input ends or somebody writes /quit."""
        click.secho("Write to the bot. #1 presses a button, /quit ends. The bot is reloaded when a file changes.", dim=True)
        seen = snapshot(self._folder)
        await self._swap()
        watching = asyncio.create_task(self._watch(seen), name="dev-watch")
        threading.Thread(target=self._read_lines, args=(asyncio.get_running_loop(),), daemon=True, name="dev-input").start()
        try:
            while (event := await self._events.get()) is not None:
                if isinstance(event, dict):
                    await self._swap()
                elif event in _QUIT:
                    break
                elif event:
                    await self._hear(event)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            if self._version is not None:
                await self._version.stop()

    def _read_lines(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read the terminal in a thread. Unbuffered: a thread that ends with the process must hold no lock of `sys.stdin`."""
        with io.FileIO(0, closefd=False) as terminal, contextlib.suppress(RuntimeError):
            while line := terminal.readline():
                asyncio.run_coroutine_threadsafe(self._events.put(line.decode("utf-8", "replace").strip()), loop).result()
            asyncio.run_coroutine_threadsafe(self._events.put(None), loop).result()

    async def _watch(self, seen: Snapshot) -> None:
        while True:
            await asyncio.sleep(LOOK)
            now = snapshot(self._folder)
            if now != seen:
                seen = now
                await self._events.put(now)

    async def _swap(self) -> None:
        """Start a new version, and let it take over if it can be loaded."""
        started = await Version.start(self._folder, self._secrets)
        if isinstance(started, str):
            stays = " The earlier version goes on." if self._version is not None else ""
            click.secho(f"{started}{stays}", fg="red")
            return
        old, self._version = self._version, started
        if old is not None:
            await old.stop()
        click.secho(f"{started.name} is {'reloaded' if old is not None else 'ready'}.", fg="green")

    async def _hear(self, line: str) -> None:
        if self._version is None:
            click.secho("The bot cannot be loaded yet. Fix the file named above.", fg="red")
            return
        if line in CHOICES:
            payment = self._till.choose(line)
            if payment is None:
                click.secho("The bot asks for no payment.", fg="red")
                return
            await self._tell(Heard(self._next(), self._state, payment=payment))
            return
        heard = Heard(self._next(), self._state, text=line)
        if line.startswith("#") and line[1:].isdecimal():
            number = int(line[1:])
            if not 1 <= number <= len(self._buttons):
                click.secho(f"There is no button {line}.", fg="red")
                return
            button, message_id = self._buttons[number - 1]
            heard = Heard(self._number, self._state, text=button.label, button=button.token, message_id=message_id)
        await self._tell(heard)

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _tell(self, heard: Heard) -> None:
        """Let the bot handle something and show what it does; then what becomes of payments through it."""
        if self._version is None:
            return
        try:
            said = await self._version.tell(heard)
        except Gone:
            await self._replace_gone()
            return
        self._state = said.state
        for payment in self._show(said):
            await self._tell(Heard(self._next(), self._state, payment=payment))

    async def _replace_gone(self) -> None:
        assert self._version is not None
        gone, self._version = self._version, None
        await gone.stop()
        click.secho("The bot's process ended; nothing of this message took effect.", fg="red")
        await self._swap()

    def _show(self, said: Said) -> list[Payment]:
        """Print what the bot does; returns the payments that it gave back."""
        assert self._version is not None
        gone: list[Payment] = []
        for index, action in enumerate(said.actions):
            if isinstance(action, Pay):
                click.echo(f"{self._version.name}: {self._till.ask(action)}")
            if isinstance(action, Refund):
                payment = self._till.give_back(action)
                gone.extend([payment] if payment is not None else [])
                click.echo(f"{self._version.name}: {'(gave money back)' if payment else '(there is no such money to give back)'}")
            for line in shown(action):
                click.echo(f"{self._version.name}: {line}")
            if isinstance(action, Send | Edit) and action.buttons:
                target = action.target if isinstance(action, Edit) else f"out-{self._number}-{index}"
                self._buttons = [(button, target) for row in action.buttons for button in row if not button.url]
                click.echo("  " + "   ".join(f"#{number} {item.label}" for number, (item, _) in enumerate(self._buttons, 1)))
        if said.failure:
            click.secho(said.failure, fg="red")
        return gone


def shown(action: Action) -> Iterator[str]:
    """Say an action in the lines of a terminal.

    Args:
        action: what the bot did.
    """
    if isinstance(action, Send | Edit):
        mark = "(edited) " if isinstance(action, Edit) else ""
        yield from (f"{mark}{line}" for line in action.text.splitlines())
    if isinstance(action, Send):
        yield from (f"[{item.kind}] {item.url or item.reference} {item.caption}".rstrip() for item in action.attachments)
    if isinstance(action, Delete):
        yield "(deleted a message)"
    if isinstance(action, AnswerButton) and action.text:
        yield f"({action.text})"


def snapshot(folder: Path) -> Snapshot:
    """Note size and time of every file in a folder, without hidden ones and compiled ones.

    Args:
        folder: the bot's.
    """
    found: Snapshot = {}
    for path in folder.rglob("*"):
        inner = path.relative_to(folder).parts
        if any(part.startswith((".", "__pycache__")) for part in inner):
            continue
        with contextlib.suppress(OSError):  # gone between listing and looking: the next look sees that
            status = path.stat()
            if path.is_file():
                found[path] = (status.st_mtime_ns, status.st_size)
    return found
