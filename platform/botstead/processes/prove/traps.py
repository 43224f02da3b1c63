"""Listeners that nobody should reach, and a door: the one address that is listed, which tries to send its visitors to a trap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import unquote

import msgspec

from botstead.processes.embedded.folder import free_ports
from botstead.processes.prove.lures import LISTED

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # in a network of its own, which has no way out
LOOPBACK = ("127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "::1")
WEB = 80
SECONDS = 5.0
FOUND = "/found"
"""Path of the door that answers as a geocoding server does (https://open-meteo.com/en/docs/geocoding-api)."""
PLACE = msgspec.json.encode({"results": [{"name": "Oslo", "latitude": 59.9, "longitude": 10.7}]})


class Traps:
    """What they caught."""

    def __init__(self, trap: int, door: int) -> None:
        """Begin with nothing.

        Args:
            trap: port of the traps; they also listen at the door's, on every other address.
            door: port of the door.
        """
        self.trap, self.door = trap, door
        self.caught: list[str] = []
        """Addresses that somebody connected to, each time."""
        self.arrived: list[str] = []
        """Paths asked for at the door."""
        self.listening = 0
        """How many addresses and ports are listened on."""

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection.

        Args:
            reader: what it says.
            writer: to answer.
        """
        address, port = writer.get_extra_info("sockname")[:2]
        at_door = (address, port) == (LISTED, self.door)
        if not at_door:
            self.caught.append(address)
        try:
            async with asyncio.timeout(SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head.split(b" ", 2)[1].decode("latin-1"), at_door=at_door))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError):
            pass  # whoever came has been counted
        finally:
            writer.close()

    def _answer(self, path: str, *, at_door: bool) -> bytes:
        status, location, body = 200, "", b"{}"
        if at_door:
            self.arrived.append(path)
            words = path.split("/")
            if path.startswith(FOUND):
                body = PLACE
            elif len(words) > 2 and words[1].isdecimal():
                status, location = int(words[1]), f"Location: {unquote(words[2])}\r\n"
        head = f"HTTP/1.1 {status} Trap\r\n{location}Content-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@asynccontextmanager
async def traps(*, everywhere: bool) -> AsyncIterator[Traps]:
    """Listen until it is left.

    Args:
        everywhere: on every address, and at port 80 too; only in a network of its own. Otherwise on loopback.

    Raises:
        OSError: nothing can be listened on.
    """
    made = Traps(*free_ports(2))
    async with AsyncExitStack() as stack:
        for host in EVERYWHERE if everywhere else LOOPBACK:
            for port in (made.trap, made.door, WEB) if everywhere else (made.trap, made.door):
                with suppress(OSError):  # some systems have but one address of loopback, or no IPv6
                    await stack.enter_async_context(await asyncio.start_server(made.meet, host, port))
                    made.listening += 1
        if not made.listening:
            raise OSError("no trap could be set")
        yield made
