"""A hundred requests a second through the edge, whatever happens behind it: signed deliveries, and pages.

Each begins at its time whether or not those before have ended, so that a pause of the appliance shows as waiting and not as less
traffic. A request has failed when its answer is not the one of a working day.
"""

import asyncio
import json
import ssl
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from botstead.processes.prove.deliveries import Signed, event, signature

PATIENCE = 30.0
"""Seconds for one answer."""


@dataclass
class Traffic:
    """Runs in a thread of its own between `start` and `stop`.

    Args:
        url: of the edge.
        channel: for signed deliveries.
        rate: requests a second; every fourth is a page, the others are deliveries.
        name: which host the edge takes it for; by default that of the URL.
        begin: what its thread does first.
    """

    url: str
    channel: Signed
    rate: float = 100.0
    name: str = ""
    begin: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)
    failed: Counter = field(default_factory=Counter)
    delivered: set[str] = field(default_factory=set)

    def __enter__(self):
        self._over = threading.Event()
        self._flows = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        assert self._flows.wait(PATIENCE), f"no traffic: {self.failed}"
        return self

    def __exit__(self, *_error):
        self._over.set()
        self._thread.join(PATIENCE * 2)
        assert not self._thread.is_alive()

    def _main(self):
        self.begin()
        asyncio.run(self._run())

    async def _run(self):
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        async with httpx.AsyncClient(verify=trust, limits=limits, timeout=PATIENCE) as client, asyncio.TaskGroup() as group:
            began, number = time.monotonic(), 0
            while not self._over.is_set():
                await asyncio.sleep(began + number / self.rate - time.monotonic())
                group.create_task(self._ask(client, number))
                number += 1

    async def _ask(self, client, number):
        started = time.monotonic()
        try:
            status = await (self._page(client) if (is_page := number % 4 == 0) else self._deliver(client, number))
        except httpx.HTTPError as error:
            status = type(error).__name__
        self.seconds.append(time.monotonic() - started)
        if status == 200:
            self._flows.set()
        else:
            self.failed[f"page {status}" if is_page else status] += 1

    def _request(self, client, method, path, **more):
        headers = more.pop("headers", {}) | ({"Host": self.name} if self.name else {})
        extensions = {"sni_hostname": self.name} if self.name else {}
        return client.build_request(method, self.url + path, headers=headers, extensions=extensions, **more)

    async def _page(self, client):
        return (await client.send(self._request(client, "GET", "/chat/echo"))).status_code

    async def _deliver(self, client, number):
        body, name = event(f"talk-{number % 50}", f"hello {number}"), f"msg_{uuid.uuid4().hex}"
        headers = signature(self.channel, body, id=name, at=time.time()) | {"content-type": "application/json"}
        answer = await client.send(self._request(client, "POST", self.channel.path, content=body, headers=headers))
        if answer.status_code == 200:
            self.delivered.add(name)
        return answer.status_code

    def under_way(self):
        """Take out pages that a killed process had in hand, three at most: the edge sends nothing twice but deliveries."""
        pages = self.failed.pop("page 502", 0)
        assert pages <= 3, f"{pages} pages were lost"

    def lost(self, place):
        """Return acknowledged deliveries that are not in the database of a place."""
        return self.delivered - set(place.query("SELECT key FROM seen").split())

    @contextmanager
    def told(self, what, capsys):
        """Count anew, and print a line with what happened until the end of the block."""
        self.seconds.clear()
        self.failed.clear()
        yield
        with capsys.disabled():
            print("\n" + self.report(what))

    def report(self, what):
        """Return a line with what happened so far."""
        cuts = statistics.quantiles(self.seconds, n=100)
        told = {
            "requests": len(self.seconds),
            "failed": dict(self.failed),
            "p50_ms": round(cuts[49] * 1000),
            "p99_ms": round(cuts[98] * 1000),
        }
        return f"{what}: {json.dumps(told | {'max_ms': round(max(self.seconds) * 1000)})}"


def until(true, *, seconds, said):
    """Wait for a condition."""
    last = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < last, f"after {seconds} s: {said()}"
        time.sleep(0.5)
