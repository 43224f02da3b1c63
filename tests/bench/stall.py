"""How long a scrape holds up an event loop in the same process: `python -m tests.bench.stall 200`.

Another program that takes the core would count as a stall too, so what is measured is CPU time: how much of it the scraping thread
used between two turns of the loop. While it did, it held the interpreter, and the loop waited.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable

import uvloop
from prometheus_client.openmetrics.exposition import generate_latest

from botstead.telemetry.catalog import EXPOSITION, METRICS
from botstead.telemetry.instruments import Histogram
from botstead.telemetry.metrics import OTHER

ACCEPT = "application/openmetrics-text;version=1.0.0"
KINDS = ("telegram", "webhook", "webchat")
SCRAPES = 60
PAUSE = 0.02


def fill(bots: int) -> int:
    """Give every metric of the catalogue values, as with so many bots of one channel each; returns how many series there are."""
    names = [f"echo-{number}" for number in range(bots)]
    many = {"bot": names, "channel": KINDS, "http_route": [f"/v1/things/{number}" for number in range(40)]}
    for label, values in many.items():
        for value in values:
            METRICS.register(label, value)
    for family in METRICS.families.values():
        for value in next((many[label] for label in family.labels if label in many), [OTHER]):
            at = [value if label in many else (closed or (OTHER,))[0] for label, closed in family.labels.items()]
            if "bot" in family.labels and "channel" in family.labels:
                at[list(family.labels).index("channel")] = KINDS[0]
            child = family.at(*at)
            if isinstance(child, Histogram):
                child.observe(0.1)
            else:
                child.inc(0.1)
    return EXPOSITION.page(ACCEPT).body.count(b"\n")


def stalls() -> list[float]:
    """Scrape while a loop turns; returns the milliseconds of each scrape that the loop waited longest for."""
    longest: list[float] = []
    stop = threading.Event()

    def scrape() -> None:
        for _ in range(SCRAPES):
            longest.append(0.0)
            EXPOSITION.page(ACCEPT)
            time.sleep(PAUSE)
        stop.set()

    async def turn() -> None:
        thread = threading.Thread(target=scrape)
        thread.start()
        assert thread.ident is not None
        clock = time.pthread_getcpuclockid(thread.ident)
        used = time.clock_gettime(clock)
        while not stop.is_set():
            now = time.clock_gettime(clock)
            if longest:
                longest[-1] = max(longest[-1], (now - used) * 1e3)
            used = now
            await asyncio.sleep(0)
        thread.join()

    uvloop.run(turn())
    return sorted(longest)


def timed(render: Callable[[], object]) -> float:
    """The CPU time of one rendering, in milliseconds."""
    began = time.thread_time()
    render()
    return (time.thread_time() - began) * 1e3


def main() -> None:
    """Print what was found, as JSON."""
    series = fill(int(sys.argv[1]))
    found = stalls()
    print(
        json.dumps(
            {
                "series": series,
                "ours_ms": min(timed(lambda: EXPOSITION.page(ACCEPT)) for _ in range(5)),
                "stock_ms": min(timed(lambda: generate_latest(METRICS.registry)) for _ in range(3)),  # type: ignore[no-untyped-call]
                "stall_ms": found[len(found) // 2],
                "longest_stall_ms": found[-1],
            }
        )
    )


if __name__ == "__main__":
    main()
