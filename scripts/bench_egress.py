#!/usr/bin/env python3
"""CPU of one POST through the egress, against other ways to send one, all in one interleaved run.

Each contender keeps the guarantees it can: a total deadline, a byte cap, a secret put in at the last moment. pyreqwest is only
measured when it is installed. Prints microseconds of this process's CPU a request, the median of the rounds, and the ratio to
the first contender.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec

import aiohttp
import click
import uvloop

from botstead.core.messages import Call
from botstead.core.secret import Secret
from botstead.runtime.egress import EgressClient

BODY = b'{"chat_id":42,"text":"Tomorrow in Oslo: light rain, 7 degrees.","parse_mode":"HTML"}'
ANSWER = b'{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"},"text":"Tomorrow in Oslo"}}'
SECRET = {"token": Secret("123456:test-token-of-the-usual-length-abcdef")}
HEADERS = {"content-type": "application/json"}
LIMIT, SECONDS = 1_048_576, 8.0
PATH = "/bot{secret:token}/sendMessage"

Post = Callable[[], Awaitable[object]]

SERVER = f"""
import asyncio, uvloop
HEAD = b"HTTP/1.1 200 OK\\r\\nServer: x\\r\\nDate: Tue, 24 Nov 2026 00:00:00 GMT\\r\\nContent-Type: application/json\\r\\n"
ANSWER = HEAD + b"Connection: keep-alive\\r\\nContent-Length: {len(ANSWER)}\\r\\n\\r\\n" + {ANSWER!r}
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.buffer = transport, b""
    def data_received(self, data):
        self.buffer += data
        head, end, body = self.buffer.partition(b"\\r\\n\\r\\n")
        if end and len(body) >= {len(BODY)}:
            self.buffer = b""
            self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
uvloop.run(main())
"""


def lean(client: EgressClient, port: int) -> Post:
    """A POST as channels send it."""
    call = Call(method="POST", url=f"http://127.0.0.1:{port}{PATH}", headers=HEADERS, body=BODY, timeout=SECONDS, limit=LIMIT)
    return lambda: client.call(call, SECRET)


def general(client: EgressClient, port: int) -> Post:
    """The same POST over httpx on aiohttp, which a larger limit chooses."""
    call = Call(method="POST", url=f"http://127.0.0.1:{port}{PATH}", headers=HEADERS, body=BODY, timeout=SECONDS, limit=LIMIT + 1)
    return lambda: client.call(call, SECRET)


def plain_aiohttp(session: aiohttp.ClientSession, port: int) -> Post:
    """Use aiohttp itself with deadline, cap and secret."""

    async def post() -> bytes:
        async with asyncio.timeout(SECONDS):
            url = f"http://127.0.0.1:{port}{PATH}".replace("{secret:token}", SECRET["token"].reveal())
            async with session.post(url, data=BODY, headers=HEADERS, allow_redirects=False) as response:
                body = b""
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > LIMIT:
                        raise ValueError
                return body

    return post


def with_pyreqwest(port: int) -> Post:
    """Use pyreqwest with its own deadline; it has neither an address guard nor a byte cap that could be used here."""
    from datetime import timedelta  # noqa: PLC0415  both are only there when pyreqwest is measured

    from pyreqwest.client import ClientBuilder  # noqa: PLC0415

    client = ClientBuilder().no_proxy().http1_only().timeout(timedelta(seconds=SECONDS)).build()

    async def post() -> object:
        url = f"http://127.0.0.1:{port}{PATH}".replace("{secret:token}", SECRET["token"].reveal())
        response = await client.post(url).headers(HEADERS).body_bytes(BODY).build().send()
        return await response.bytes()

    return post


async def cost(post: Post, *, requests: int, concurrency: int) -> float:
    """Microseconds of CPU a request."""

    async def worker() -> None:
        for _ in range(requests // concurrency):
            await post()

    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
    return (time.process_time() - began) / requests * 1e6


async def compare(port: int, *, rounds: int, requests: int, concurrency: int) -> dict[str, list[float]]:
    """Run every contender once a round, in turn."""
    client = EgressClient(allow=[f"127.0.0.1:{port}"])
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        contenders = {
            "egress, lean": lean(client, port),
            "egress, httpx on aiohttp": general(client, port),
            "aiohttp": plain_aiohttp(session, port),
        }
        if find_spec("pyreqwest"):
            contenders["pyreqwest"] = with_pyreqwest(port)
        for post in contenders.values():
            await cost(post, requests=concurrency * 4, concurrency=concurrency)
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, post in contenders.items():
                found[name].append(await cost(post, requests=requests, concurrency=concurrency))
    await client.close()
    return found


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--requests", default=3200, show_default=True, help="Requests a contender and round.")
@click.option("--concurrency", default=32, show_default=True)
def main(rounds: int, requests: int, concurrency: int) -> None:
    """Measure and print."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            found = uvloop.run(compare(port, rounds=rounds, requests=requests, concurrency=concurrency))
        finally:
            server.terminate()
    medians = {name: statistics.median(values) for name, values in found.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        click.echo(f"{name:28} {median:8.1f} µs a POST   {median / first:5.2f} ×")


if __name__ == "__main__":
    main()
