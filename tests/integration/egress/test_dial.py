"""A dialer connects to what the guard permits, once resolved, within its deadline."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from botstead.core.errors import EgressRefused, EgressUnsent
from botstead.runtime.egress import Dialer


@contextlib.asynccontextmanager
async def greeter():
    """A server that says hello and counts its guests."""
    guests: list[None] = []

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guests.append(None)
        writer.write(b"220 hello\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], guests


def names(*addresses: str):
    """A resolver that knows one answer."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


def test_it_connects_to_what_is_allowed_and_falls_back_to_the_next_address():
    async def main() -> None:
        async with greeter() as (port, guests):
            dialer = Dialer(allow=[f"mail.test:{port}"], resolver=names("127.0.0.9", "127.0.0.1"))
            one = await dialer.dial("mail.test", port, seconds=5)
            reader, writer = await asyncio.open_connection(sock=one)
            assert await reader.readline() == b"220 hello\r\n"
            writer.close()
            assert len(guests) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ()),
        ("2130706433", ()),
        ("0x7f.1", ()),
        ("::1", ()),
        ("::ffff:127.0.0.1", ()),
        ("mail.test", ("127.0.0.1",)),
        ("mail.test", ("8.8.8.8", "127.0.0.1")),
        ("mail.test", ("169.254.169.254",)),
    ],
)
def test_it_connects_nowhere_else(host, addresses):
    async def main() -> None:
        async with greeter() as (port, guests):
            with pytest.raises(EgressRefused):
                await Dialer(allow=[], resolver=names(*addresses)).dial(host, port, seconds=5)
            assert guests == []

    asyncio.run(main())


def test_a_name_that_is_not_answered_costs_no_more_than_the_deadline():
    async def main() -> None:
        async def never(_host: str, _port: int) -> list[str]:
            await asyncio.Event().wait()
            return []

        began = asyncio.get_running_loop().time()
        with pytest.raises(EgressUnsent, match=r"within 0\.1 s"):
            await Dialer(allow=[], resolver=never).dial("mail.test", 25, seconds=0.1)
        assert asyncio.get_running_loop().time() - began < 1

    asyncio.run(main())


def test_a_closed_port_and_an_unknown_name_are_told_without_addresses():
    async def main() -> None:
        async with greeter() as (port, _):
            pass
        with pytest.raises(EgressUnsent, match="nothing was sent") as refused:
            await Dialer(allow=["127.0.0.1"], resolver=names("127.0.0.1")).dial("mail.test", port, seconds=5)
        assert "127.0.0.1" not in refused.value.message

        async def unknown(_host: str, _port: int) -> list[str]:
            raise OSError("no such name")

        with pytest.raises(EgressUnsent, match="does not resolve"):
            await Dialer(allow=[], resolver=unknown).dial("mail.test", 25, seconds=5)

    asyncio.run(main())
