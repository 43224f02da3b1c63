"""A bot that dies in every way that a message can make it, until it is mended."""

from __future__ import annotations

from pathlib import Path

BODY = '''
import asyncio
import os
import signal
import sys
from pathlib import Path

from botstead import Bot, Message

bot = Bot(Path(__file__).parent.name)
mended = Path({mended!r})


def dig(deep: int) -> int:
    return dig(deep + 1) + 1


@bot.on.message
async def swallow(message: Message) -> str:
    """Do what the message says, unless mended."""
    what = message.text.partition(" ")[0]
    if mended.exists() or what == "harmless":
        return f"well {{message.text}}"
    if what == "abort":
        os.abort()
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        sys.exit(3)
    elif what == "spin":
        while True:
            pass
    elif what == "hoard":
        hoard = [bytearray(b"x" * 64_000_000) for _ in range(32)]
        await asyncio.sleep(len(hoard))
    elif what == "dig":
        dig(0)
    elif what == "shout":
        raise ValueError("x" * 10_000_000)
    return "survived"
'''
OWN = 'own_process = true\nmemory = "256MB"\ndeadline = 2\n'
SHARED = "deadline = 2\n"
EVERY = ("abort", "kill", "exit", "dig", "shout", "spin", "hoard")
"""What a message can say; spinning and hoarding take longest."""
QUICK = ("abort",)


def write(folder: Path, sources: dict[str, str], *, mended: Path) -> None:
    """Write bots: two that swallow poison, one in the worker and one in a process of its own, and others.

    Args:
        folder: of all bots.
        sources: of the others, by name.
        mended: once this file exists, both are well.
    """
    body = BODY.format(mended=str(mended))
    for name, source, limits in (
        ("own", body, OWN),
        ("shared", body, SHARED),
        *((name, source, "") for name, source in sources.items()),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "bot.py").write_text(source)
        (folder / name / "bot.toml").write_text(limits)
