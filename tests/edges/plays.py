"""What is done to an edge. Each play returns what was wrong, in words; figures go to a `Figures`."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from botstead.processes.prove import smuggling
from botstead.processes.prove.meanwhile import memory
from botstead.processes.prove.quantile import quantile
from botstead.processes.prove.rawhttp import Heard, Line, connect, request, say
from botstead.processes.prove.slowness import BODY, HEADER
from tests.edges.edges import PASSWORD, SLOTS, Site
from tests.edges.upstream import BODY_LIMIT, SERVED

CLIENTS = 10
PAUSE = 0.02
NOTICE = 2.2
"""Seconds within which an edge notices that a slot is not ready, or ready again: it asks each second."""
SILENCE = 4.5
"""Seconds within which it notices one that says nothing: it waits a second for an answer, and HAProxy and nginx ask twice."""
HOOK_SECONDS = 5.0
"""Seconds after which a delivery is sent to another slot."""
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
HANGS_UP = ("caddy",)
"""Edges that reset connections which come in just while they are reloaded; see compose/edge/README.md."""
UNBOUNDED = ("caddy",)
"""Edges that count no requests of a stranger."""
UNKNOWN = (501, 505)
"""What servers say of codings and versions that they do not know, before any rule of ours."""
MARK = b"hidden-mark-0000000"


class Figures(msgspec.Struct):
    """What was measured under load.

    Args:
        statuses: how often each was answered.
        broken: connections that broke, in words.
        waits: seconds of each answer.
        idle_mb: resident memory before anything was asked.
        peak_mb: the largest resident memory.
    """

    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    broken: list[str] = msgspec.field(default_factory=list)
    waits: list[float] = msgspec.field(default_factory=list)
    idle_mb: float = 0.0
    peak_mb: float = 0.0

    @property
    def failures(self) -> int:
        """How many were not answered 200."""
        return sum(count for status, count in self.statuses.items() if status != 200) + len(self.broken)

    @property
    def failed(self) -> list[str]:
        """What was not answered 200, in words."""
        return [f"{status}: {count}" for status, count in self.statuses.items() if status != 200] + self.broken


@asynccontextmanager
async def load(site: Site, figures: Figures, *, clients: int = CLIENTS, keep: bool = True) -> AsyncIterator[None]:
    """Let clients deliver and order until the end of the block, each on a kept connection, or with a new one each time."""
    ending, numbers = asyncio.Event(), itertools.count(1)

    async def visit(path: str) -> None:
        line = site.line()
        while not ending.is_set():
            began = time.monotonic()
            try:
                answer = await line.ask(request("POST", path, body=f"{next(numbers)}".encode()))
                figures.statuses[answer.status] += 1
                figures.waits.append(time.monotonic() - began)
            except (OSError, TimeoutError) as error:
                figures.broken.append(f"{path}: {error!r}")
            if not keep:
                line.close()
            await asyncio.sleep(PAUSE)
        line.close()

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(visit(SERVED if number % 5 else "/v1/orders"))
        try:
            yield
        finally:
            ending.set()


async def unknown_names(site: Site) -> list[str]:
    """Ask for hosts that are not ours, over TLS and without."""
    wrong = []
    for host in ("evil.example", "127.0.0.1", "localhost.evil.example"):
        for heard in (await site.say(request("GET", "/told", host=host)), await _plainly(site, host)):
            wrong += [f"{host}: {heard.statuses}"] if heard.statuses != [421] or not heard.answers[0].body else []
    heard = await _plainly(site, "localhost")
    wrong += [f"no redirection: {heard.statuses}"] if heard.statuses != [308] else []
    return wrong


async def _plainly(site: Site, host: str) -> Heard:
    return await say(site.ports.plain, request("GET", "/told?a=b", host=host))


async def told(site: Site, path: str = "/told", headers: tuple[tuple[str, str], ...] = ()) -> list[tuple[str, str]]:
    """Return the headers that an API process gets of a request."""
    heard = await site.say(request("GET", path, headers=headers))
    assert heard.statuses == [200], heard
    return msgspec.json.decode(heard.answers[0].body, type=list[tuple[str, str]])


async def forged_addresses(site: Site) -> list[str]:
    """Claim to be somebody else in each header that could say so."""
    names = (
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-WEBAUTH-USER",
        "x-webauth-user",
    )
    got = await told(site, headers=(*((name, "6.6.6.6") for name in names), ("X-Forwarded-For", "7.7.7.7")))
    wrong = [f"{name}: {value}" for name, value in got if "6.6.6.6" in value or "7.7.7.7" in value]
    expected = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https", "x-forwarded-host": "localhost"}
    return wrong + [f"{name} is {dict(got).get(name)}" for name, value in expected.items() if dict(got).get(name) != value]


async def grafana(site: Site) -> list[str]:
    """Ask for the boards without the login, with a wrong one, and with the right one and a forged name."""
    wrong = []
    for login in (None, "operator:wrong", "admin:" + PASSWORD, "operator:"):
        headers = [_basic(login)] if login else []
        heard = await site.say(request("GET", "/grafana/told", headers=headers))
        wrong += [f"{login}: {heard.statuses}"] if heard.statuses != [401] else []
        kept = heard.answers[0].headers.get("www-authenticate", "") if heard.answers else ""
        wrong += [f"{login}: it is not asked for"] if not kept.startswith("Basic ") else []
    headers = (_basic(f"operator:{PASSWORD}"), ("X-WEBAUTH-USER", "admin"), ("X-WEBAUTH-USER", "root"))
    got = await site.say(request("GET", "/grafana/told", headers=headers))
    if got.statuses != [200]:
        return [*wrong, f"refused: {got.statuses}"]
    names = [value for name, value in msgspec.json.decode(got.answers[0].body) if name == "x-webauth-user"]
    lower = {name for name, _ in msgspec.json.decode(got.answers[0].body)}
    return (
        wrong
        + ([f"names: {names}"] if names != ["operator"] else [])
        + (["the password went on"] if "authorization" in lower else [])
    )


def _basic(login: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(login.encode()).decode()


async def metrics(site: Site) -> list[str]:
    """Read the edge's metrics on its inner port; through the edge nobody's can be read."""
    inner = await say(site.ports.metrics, request("GET", "/metrics"))
    wrong = [f"inner: {inner.statuses}"] if inner.statuses != [200] or b"# TYPE" not in inner.answers[0].body else []
    health = await say(site.ports.metrics, request("GET", "/health"))
    wrong += [f"health: {health.statuses}"] if health.statuses != [200] else []
    for path in ("/metrics", "/metrics/", "/metrics/x", "//metrics", "/%6detrics", "/x/../metrics"):
        heard = await site.say(request("GET", path))
        wrong += [f"{path}: {heard.statuses}"] if any(status < 400 for status in heard.statuses) else []
    return wrong


async def door(site: Site) -> list[str]:
    """Deliver by the inner door, as the canary does; nothing else comes in there."""
    taken = await say(site.ports.door, request("POST", SERVED, body=b"canary", host="edge"))
    wrong = [f"a delivery: {taken.statuses}"] if taken.statuses != [200] else []
    for path in ("/", "/told", "/v1/orders", "/grafana/told", "/metrics"):
        heard = await say(site.ports.door, request("GET", path, host="edge"))
        wrong += [f"{path}: {heard.statuses}"] if heard.statuses != [404] else []
    return wrong


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


class Streams:
    """Event streams and a long poll that were open before something happened."""

    def __init__(self, site: Site, slot: str) -> None:
        self.site, self.slot, self.events, self.ended = site, slot, 0, ""
        self._task = asyncio.create_task(self._listen())
        self.poll = asyncio.create_task(self._poll())

    async def _listen(self) -> None:
        """Open streams until one is at the wanted slot, and count its events."""
        while not self.events:
            reader, writer = await connect(self.site.ports.https, self.site.tls)
            writer.write(request("GET", "/chat/echo/events"))
            try:
                while line := await reader.readline():
                    if line.strip().endswith(self.slot.encode()):
                        self.events += 1
                    elif line.startswith(b"data: ") and not self.events:
                        break
            except OSError as error:
                self.ended = repr(error)
            finally:
                writer.transport.abort()
        self.ended = self.ended or "it ended"

    async def _poll(self) -> int:
        line = self.site.line()
        try:
            return (await line.ask(request("GET", "/wait?seconds=3"))).status
        except (OSError, TimeoutError):
            return 0
        finally:
            line.close()

    async def flowing(self, what: str) -> list[str]:
        """Wait for two more events; returns what is wrong."""
        wanted = self.events + 2
        try:
            async with asyncio.timeout(5):
                while self.events < wanted and not self.ended:  # noqa: ASYNC110  # the stream is read by another task
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return [f"no events for 5 s after {what}"]
        return [f"the stream broke at {what}: {self.ended}"] if self.ended else []

    async def close(self) -> list[str]:
        """Hang up; returns what is wrong with the long poll."""
        self._task.cancel()
        status = await self.poll
        return [f"the long poll got {status}"] if status != 200 else []


async def reloaded(site: Site) -> list[str]:
    """Reload the edge while clients come and go: none fails, and streams live on. Connections that rest may be hung up on."""
    own = Figures()
    streams = Streams(site, "api-a")
    wrong = await streams.flowing("opening it")
    async with load(site, own, clients=5, keep=False):
        await asyncio.to_thread(site.reload)
        wrong += await streams.flowing("the reload")
        await asyncio.sleep(0.5)
    failed = own.failed if site.kind not in HANGS_UP else [f"{status}" for status in own.statuses if status != 200]
    return wrong + await streams.close() + ([f"failed: {failed[:5]}"] if failed else [])


async def rolling_restart(site: Site, figures: Figures, *, slots: tuple[str, ...] = SLOTS) -> list[str]:
    """Restart each slot under load; streams at another slot live on, and no request fails."""
    wrong: list[str] = []
    own = Figures()
    async with load(site, own):
        for slot in slots:
            streams = Streams(site, *(name for name in SLOTS if name != slot))
            wrong += await streams.flowing("opening it")
            await _restart(site, slot)
            wrong += await streams.flowing(f"the restart of {slot}")
            wrong += await streams.close()
    _add(figures, own)
    figures.peak_mb = max(figures.peak_mb, site.edge.memory())
    return wrong + ([f"failed: {own.failed[:5]}"] if own.failed else [])


async def _restart(site: Site, name: str) -> None:
    slot = site.slots[name]
    await slot.end()
    slot.start()
    await site.listens(slot)
    await asyncio.sleep(NOTICE)


async def killed(site: Site, figures: Figures) -> list[str]:
    """Kill a slot under load, and let deliveries and orders kill theirs: a delivery is repeated, an order is not."""
    own, slot = Figures(), site.slots["api-a"]
    async with load(site, own):
        await asyncio.sleep(0.3)
        slot.kill()
        await asyncio.sleep(NOTICE)
        slot.start()
        await site.listens(slot)
        await asyncio.sleep(NOTICE)
    _add(figures, own)
    # Two of ten clients order: what was under way there may fail.
    return [f"failed: {own.failed[:5]}"] if own.failures > 2 else []


async def fatal_requests(site: Site) -> list[str]:
    """Let a delivery and an order end the slot that takes them: the delivery is repeated, the order is not."""
    wrong = await _fatal(site, SERVED, "die once", expected=200, tries=2)
    return wrong + await _fatal(site, "/v1/orders", "die once", expected=502, tries=1)


async def _fatal(site: Site, path: str, text: str, *, expected: int, tries: int) -> list[str]:
    """Send what ends or stops the slot that takes it; bring that back."""
    text = f"{text} {path}"
    line: Line = site.line()
    began = time.monotonic()
    answer = await line.ask(request("POST", path, body=text.encode()), seconds=70)
    seconds = time.monotonic() - began
    line.close()
    taken = site.notes(repr(text))
    for slot in site.slots.values():
        slot.resume()
        if not slot.alive:
            slot.start()
            await site.listens(slot)
    await asyncio.sleep(NOTICE)
    wrong = [f"{text}: answered {answer.status}"] if answer.status != expected else []
    wrong += [f"{text}: taken by {taken}"] if len(taken) != tries or len(set(taken)) != tries else []
    return wrong + ([f"{text}: {seconds:.1f} s"] if seconds > HOOK_SECONDS + NOTICE else [])


async def stopped(site: Site, figures: Figures) -> list[str]:
    """Stop a slot under load (SIGSTOP) and let it go on: nothing fails, and once it is noticed nobody waits."""
    own, late, slot = Figures(), Figures(), site.slots["api-b"]
    async with load(site, own):
        await asyncio.sleep(0.3)
        slot.pause()
        await asyncio.sleep(SILENCE)
        async with load(site, late):
            await asyncio.sleep(1.0)
        slot.resume()
        await asyncio.sleep(NOTICE)
    _add(figures, own)
    wrong = [f"failed: {own.failed[:5]}"] if own.failed else []
    wrong += [f"failed after it was noticed: {late.failed[:5]}"] if late.failed else []
    wrong += [f"waited {max(late.waits):.1f} s after it was noticed"] if max(late.waits) > 1.0 else []
    return wrong + await _fatal(site, SERVED, "freeze once", expected=200, tries=2)


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


async def unready(site: Site) -> list[str]:
    """Let a slot say that it is not ready: nothing is sent to it, although it serves. Hostile requests put none in that state."""
    slot = site.slots["api-b"]
    os.kill(slot.pid, signal.SIGUSR1)
    await asyncio.sleep(NOTICE)
    answers = {(await site.deliver("unready")).body for _ in range(10)}
    os.kill(slot.pid, signal.SIGUSR1)
    await asyncio.sleep(NOTICE)
    back = {(await site.deliver("ready again")).body for _ in range(10)}
    wrong = [f"sent to who is not ready: {answers}"] if answers != {b"api-a"} else []
    return wrong + ([f"not sent to who is ready again: {back}"] if b"api-b" not in back else [])


def _add(figures: Figures, own: Figures) -> None:
    figures.statuses += own.statuses
    figures.broken += own.broken
    figures.waits += own.waits
