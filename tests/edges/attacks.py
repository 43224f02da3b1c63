"""What clients do to an edge that mean harm. Each play returns what was wrong, in words; figures go to a `Figures`."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from contextlib import suppress

from botstead.processes.prove import smuggling
from botstead.processes.prove.meanwhile import memory
from botstead.processes.prove.quantile import quantile
from botstead.processes.prove.rawhttp import Line, connect, request
from botstead.processes.prove.slowness import BODY, HEADER
from tests.edges.edges import Site
from tests.edges.load import Figures, load
from tests.edges.upstream import BODY_LIMIT, SERVED

GROWTH_MB = 64.0
FLOOR = 0.25
"""Seconds: below it a wait is no harm."""
HEAD_SECONDS = 10.0
"""Seconds for a head: 5 by the edges' figures, and some to get to it with hundreds."""
TOLERATED = {
    "haproxy": ("tabs in the request line", "two Hosts, alike"),
    "nginx": ("no colon", "brackets in a name"),
}
"""Heads that an edge takes though it need not. What is odd about them is dropped, so an API process gets one reading."""
UNBOUNDED = ("caddy",)
"""Edges that count no requests of a stranger."""
UNKNOWN = (501, 505)
"""What servers say of codings and versions that they do not know, before any rule of ours."""
MARK = b"hidden-mark-0000000"


async def smuggled(site: Site) -> list[str]:
    """Hide a whole delivery in requests that two servers may read differently."""
    template = request("POST", SERVED, body=MARK)
    numbers, wrong = itertools.count(1), []

    async def send(name: str, asked: bytes) -> None:
        if name in TOLERATED.get(site.kind, ()):
            return
        mark = b"hidden-mark-%07d" % next(numbers)
        heard = await site.say(asked.replace(MARK, mark), answers=3, head=asked.startswith(b"HEAD "), seconds=1.5)
        known = all(400 <= status < 500 or status in UNKNOWN for status in heard.statuses)
        if not (known and (heard.statuses or heard.closed)):
            wrong.append(f"{name}: {heard.statuses or repr(heard.rest[:60])}")
        if 400 in heard.statuses and not heard.closed and "body of" not in name:
            wrong.append(f"{name}: refused, and the connection kept")
        if site.notes(mark.decode()):
            wrong.append(f"{name}: what was hidden took effect")

    jobs = list(smuggling.tricks(template))
    for begin in range(0, len(jobs), 60):
        await asyncio.gather(*(send(*job) for job in jobs[begin : begin + 60]))
    plain = await site.deliver("not-hidden-mark")
    return wrong + ([] if plain.status == 200 and site.notes("not-hidden-mark") else ["an ordinary one was not taken"])


async def malformed_chunks(site: Site) -> list[str]:
    """Send bodies in chunks: a good one is taken, broken ones are refused, and none costs an API process its place."""
    head = f"POST {SERVED} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    good = await site.say(head + b"5\r\nchunk\r\n" + smuggling.END)
    wrong = [f"a good one: {good.statuses}"] if good.statuses != [200] else []
    broken = [b"zz\r\nhello\r\n" + smuggling.END, b"5\r\nhelloworld\r\n" + smuggling.END, b"-1\r\nx\r\n" + smuggling.END]
    for heard in await asyncio.gather(*(site.say(head + body, answers=2, seconds=3) for body in broken * 10)):
        wrong += [f"{heard.statuses}, closed: {heard.closed}"] if heard.statuses != [400] or not heard.closed else []
    after = await site.deliver("after-chunks")
    return wrong + ([f"after them: {after.status}"] if after.status != 200 else [])


async def oversized(site: Site, *, many: int = 10) -> list[str]:
    """Send bodies beyond the limit, many at once, and lengths that lie; watch how the edge grows."""
    head, chunk = f"POST {SERVED} HTTP/1.1\r\nHost: localhost\r\n".encode(), b"%x\r\n%b\r\n" % (65_536, bytes(65_536))
    attacks = {
        "3 MB": request("POST", SERVED, body=bytes(3_000_000)),
        "3 MB in chunks": head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 46 + smuggling.END,
        "declared 1 GB": head + b"Content-Length: 1000000000\r\n\r\n{",
        "declared a byte too many": head + b"Content-Length: %d\r\n\r\n{" % (BODY_LIMIT + 1),
        "a head of 100 kB": request("POST", SERVED, headers=[("X-Long", "x" * 100_000)]),
    }
    wrong = []
    async with memory(site.edge, every=0.05) as sizes:
        for name, asked in attacks.items():
            for heard in await asyncio.gather(*(site.say(asked, seconds=15) for _ in range(many))):
                refused = all(400 <= status < 500 for status in heard.statuses) and (heard.statuses or heard.closed)
                wrong += [f"{name}: {heard.statuses}"] if not refused else []
                wrong += [f"{name}: after {heard.seconds:.1f} s"] if name.startswith("declared") and heard.seconds > 2 else []
    wrong += [f"grew by {max(sizes) - sizes[0]:.0f} MB"] if max(sizes) - sizes[0] > GROWTH_MB else []
    most = await site.say(request("POST", SERVED, body=bytes(BODY_LIMIT)))
    return wrong + ([f"the largest that is allowed: {most.statuses}"] if most.statuses != [200] else [])


async def slow_clients(site: Site, figures: Figures, *, many: int, patience: float) -> list[str]:
    """Send heads and bodies a byte a second, and read nothing; others must not wait for it."""
    wrong = []
    usual = quantile((await _beside(site)).waits)
    for name, first in {"head": HEADER, "body": BODY, "reader": b""}.items():
        slow = [_Slow(site, first, patience) for _ in range(many)]
        attack = asyncio.gather(*(each.hold() for each in slow))
        await asyncio.gather(*(each.began.wait() for each in slow))
        own = await _beside(site)
        figures.peak_mb = max(figures.peak_mb, site.edge.memory())
        held = await attack
        waited = quantile(own.waits)
        wrong += [f"others beside a slow {name}: {own.failed[:3]}"] if own.failed else []
        wrong += [f"slow {name}: p99 {waited:.2f} s, usually {usual:.2f}"] if waited > max(3 * usual, FLOOR) else []
        if name == "head" and patience > HEAD_SECONDS:
            wrong += [f"a slow head was kept for {max(held):.0f} s"] if max(held) > HEAD_SECONDS else []
    return wrong


async def _beside(site: Site) -> Figures:
    own = Figures()
    async with load(site, own):
        await asyncio.sleep(1.5)
    return own


class _Slow:
    """A client that sends a byte a second, or asks for much and reads nothing."""

    def __init__(self, site: Site, first: bytes, patience: float) -> None:
        self._site, self._first, self._patience = site, first, patience
        self.began = asyncio.Event()

    async def hold(self) -> float:
        """Hold on; returns the seconds until the edge hung up or answered."""
        try:
            reader, writer = await connect(self._site.ports.https, self._site.tls)
        except OSError:
            return 0.0
        finally:
            self.began.set()
        began = time.monotonic()
        with suppress(OSError, TimeoutError):
            writer.write(self._first or request("GET", "/large"))
            async with asyncio.timeout(self._patience):
                await (self._trickle(reader, writer) if self._first else asyncio.sleep(self._patience))
        writer.transport.abort()
        return time.monotonic() - began

    async def _trickle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await reader.read(65_536)
                    return
            writer.write(b"x")


async def strangers(site: Site) -> list[str]:
    """Ask more than a stranger may: it is refused with 429 for a while, while deliveries are taken."""
    if site.kind in UNBOUNDED:
        return []
    lines = [site.line() for _ in range(20)]

    async def ask(line: Line) -> Counter[int]:
        return Counter([(await line.ask(request("GET", "/told"))).status for _ in range(200)])

    statuses = sum(await asyncio.gather(*map(ask, lines)), Counter())
    taken = await site.deliver("beside strangers")
    for line in lines:
        line.close()
    wrong = [f"answered {statuses}"] if set(statuses) != {200, 429} else []
    return wrong + ([f"a delivery beside: {taken.status}"] if taken.status != 200 else [])
