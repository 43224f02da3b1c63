"""The program of a bot's process whose bot does what the event's text says, most of it bad."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from botstead.core.errors import BotBroken, HandlerFailed
from botstead.core.messages import Send
from botstead.core.ports import Effects, Incoming, Limits
from botstead.pipeline.answering import answering
from botstead.runtime import hosting


class Rogue:
    """Implements `core.ports.Handler`."""

    name = "rogue"
    limits = Limits()

    def __init__(self) -> None:
        self.kept: list[bytearray] = []
        self.handled = 0

    async def handle(self, incoming: Incoming) -> Effects:
        self.handled += 1
        word, _, rest = incoming.event.text.partition(" ")
        answer = getattr(self, f"do_{word}")(rest)
        return await answer if asyncio.iscoroutine(answer) else answer

    def do_say(self, text: str) -> Effects:
        return Effects(actions=(Send(text),), state=b'{"said":true}')

    def do_pid(self, _: str) -> Effects:
        return self.do_say(str(os.getpid()))

    async def do_wait(self, seconds: str) -> Effects:
        await asyncio.sleep(float(seconds))
        return self.do_say("waited")

    async def do_stubborn(self, _: str) -> Effects:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    async def do_until(self, path: str) -> Effects:
        while not os.access(path, os.F_OK):  # noqa: ASYNC110  the test's only line into this process is a file
            await asyncio.sleep(0.01)
        return self.do_say("done")

    def do_exit(self, status: str) -> Effects:
        os._exit(int(status))

    def do_die_if_used(self, _: str) -> Effects:
        """Die of what another event has left behind."""
        if self.handled > 1:
            os._exit(4)
        return self.do_say("fresh")

    def do_quit(self, status: str) -> Effects:
        sys.exit(int(status))

    def do_abort(self, _: str) -> Effects:
        print("about to abort", flush=True)
        os.abort()

    def do_spin(self, _: str) -> Effects:
        while True:
            pass

    def do_recurse(self, text: str) -> Effects:
        return self.do_recurse(text)

    def do_eat(self, megabytes: str) -> Effects:
        self.kept.append(bytearray(int(megabytes) << 20))
        return self.do_say("ate")

    def do_nonsense(self, _: str) -> object:
        return object()

    def do_large(self, megabytes: str) -> Effects:
        return self.do_say("x" * (int(megabytes) << 20))

    def do_fail(self, size: str) -> Effects:
        raise ValueError("y" * int(size))

    def do_later(self, seconds: str) -> Effects:
        raise HandlerFailed("not now", after=float(seconds))

    def do_flood(self, megabytes: str) -> Effects:
        for _ in range(int(megabytes)):
            print("z" * (1 << 20), flush=True)
        return self.do_say("flooded")

    def do_scribble(self, _: str) -> Effects:
        """Write nonsense into every socket this process holds."""
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b"\xff" * 8)
            except OSError:
                continue
        return self.do_say("scribbled")

    def do_fork(self, _: str) -> Effects:
        """Leave a grandchild behind."""
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.DEVNULL)
        return self.do_say(str(process.pid))

    def do_descriptors(self, _: str) -> Effects:
        """Say which inherited sockets a grandchild would see."""
        code = "import os; print(sum(os.readlink(f'/proc/self/fd/{n}').startswith('socket') for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')))"
        return self.do_say(
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True, close_fds=False
            ).stdout.strip()
        )

    def do_environment(self, name: str) -> Effects:
        return self.do_say(repr(os.environb.get(name.encode())))


def make(folder: Path) -> hosting.Answer:
    """Build the bot, or fail as the folder's name says."""
    if folder.name == "broken":
        raise BotBroken("bot.py:3: no such word")
    if folder.name == "dying":
        print("dying at import", flush=True)
        os._exit(7)
    if folder.name == "slow":
        time.sleep(60)
    if folder.name == "babbling":
        socket.socket(fileno=int(sys.argv[sys.argv.index("--socket") + 1])).sendall(b"GET / HTTP/1.1\r\n\r\n")
        time.sleep(60)
    return answering(Rogue())


hosting.main(make)
