"""Slots and edges that come and go under load. Each play returns what was wrong, in words; figures go to a `Figures`."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from botstead.processes.prove.rawhttp import Line, connect, request
from tests.edges.edges import SLOTS, Site
from tests.edges.load import Figures, load
from tests.edges.upstream import SERVED

NOTICE = 2.2
"""Seconds within which an edge notices that a slot is not ready, or ready again: it asks each second."""
SILENCE = 4.5
"""Seconds within which it notices one that says nothing: it waits a second for an answer, and HAProxy and nginx ask twice."""
HOOK_SECONDS = 5.0
"""Seconds after which a delivery is sent to another slot."""
HANGS_UP = ("caddy",)
"""Edges that reset connections which come in just while they are reloaded; see compose/edge/README.md."""


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
    figures.add(own)
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
    figures.add(own)
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
    figures.add(own)
    wrong = [f"failed: {own.failed[:5]}"] if own.failed else []
    wrong += [f"failed after it was noticed: {late.failed[:5]}"] if late.failed else []
    wrong += [f"waited {max(late.waits):.1f} s after it was noticed"] if max(late.waits) > 1.0 else []
    return wrong + await _fatal(site, SERVED, "freeze once", expected=200, tries=2)


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
