"""The process of `botstead dev` that holds one version of the bot. A new version is a new process.

Started as `python -m botstead.processes.cli.dev_child FOLDER`. One JSON document a line. It reads the bot's secrets first, by
name, and writes `Ready` or `Broken`, then one `Said` for each `Heard`. The conversation itself lives with the parent, so that it
outlives each version.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from botstead.bots.runner import PythonBot
from botstead.bots.testing import Rehearsal
from botstead.core.errors import BotsteadError, HandlerFailed
from botstead.core.messages import Action, Event, Kind, Person
from botstead.core.money import Payment
from botstead.core.purse import Purse, purse
from botstead.processes import bot_host, environment
from botstead.processes.services import ToldSecrets

VISITOR = Person("you")
UNMETERED = 10**15
"""What the bot's language model may take while its author looks on: no day is kept here."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The bot is loaded."""

    name: str


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The bot cannot be loaded; the process ends."""

    why: str


class Heard(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was written, pressed or paid.

    Args:
        number: never the same twice in one conversation.
        state: the conversation's state.
        text: what was written.
        button: the value of the button that was pressed.
        message_id: the message with the button.
        payment: what became of a payment, instead of anything that was written.
    """

    number: int
    state: str
    text: str = ""
    button: str = ""
    message_id: str = ""
    payment: Payment | None = None


class Said(msgspec.Struct, frozen=True, tag="said"):
    """What the bot did, or why it failed.

    Args:
        state: the conversation's state from now on.
        actions: what is sent, in order.
        failure: why nothing was done, with the author's own lines.
    """

    state: str
    actions: tuple[Action, ...] = ()
    failure: str = ""


def main(folder: Path, values: Mapping[str, str]) -> None:
    """Serve until the parent closes the connection.

    Args:
        folder: the bot's.
        values: environment variables.
    """
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what the author prints goes to the terminal, not into the conversation
    try:
        secrets = ToldSecrets()
        secrets.take(sys.stdin.buffer.readline() or b"{}")
        providers, outside = bot_host.build(environment.effective(values), folder, secrets=secrets)
        room = Rehearsal(
            lambda: PythonBot.load(folder, providers=providers, outside=outside), person=VISITOR, group=False, channel="dev"
        )
    except BotsteadError as error:
        _write(channel, Broken(error.message))
        return
    _write(channel, Ready(room.name))
    purse.set(Purse(UNMETERED))
    asyncio.run(_serve(room, channel))


async def _serve(room: Rehearsal, channel: IO[bytes]) -> None:
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        _write(channel, await _answer(room, msgspec.json.decode(line, type=Heard)))


async def _answer(room: Rehearsal, heard: Heard) -> Said:
    room.resume(heard.state.encode())
    kind = Kind.PAYMENT if heard.payment else Kind.BUTTON if heard.button else Kind.MESSAGE
    event = Event(
        kind,
        "dev",
        f"dev-{heard.number}",
        text=heard.text,
        author=VISITOR,
        message_id=heard.message_id or f"in-{heard.number}",
        button=heard.button,
        press=f"press-{heard.number}" if heard.button else "",
        payment=heard.payment,
    )
    try:
        reply = await room.deliver(event)
    except HandlerFailed as error:
        return Said(heard.state, failure=_explained(error))
    return Said(room.keep().decode(), reply.actions)


def _explained(error: HandlerFailed) -> str:
    """Show the cause as Python does: here, unlike in production, the author is the one who reads it."""
    cause = error.__cause__
    shown = "".join(traceback.format_exception(cause, chain=False)) if cause is not None else ""
    return f"{shown}{error.message}"


def _write(channel: IO[bytes], document: Ready | Broken | Said) -> None:
    channel.write(msgspec.json.encode(document) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), environment.variables())
