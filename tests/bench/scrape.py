"""What `/metrics` costs with many bots, and whether the event loop stands still meanwhile."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

from tests.bench.echo import CLOSED, Row
from tests.bench.load import Load
from tests.bench.processes import cpu_seconds
from tests.bench.search import spread, timed
from tests.bench.server import Server
from tests.bench.stall import ACCEPT
from tests.bench.targets import DATABASE, SECRET, Api, free_port, hook, one_process, own_environment, scratch

BOTS = 200
SCRAPES = 40
ASKED = 1_500
CHEAP = "/health/live"


def scraped(server: Server, *, bots: int = BOTS, rounds: int, seed: int) -> list[Row]:
    """Let every bot answer, then scrape while somebody asks the API for its health all the time."""
    api_port, metrics = free_port(), free_port()
    names = [f"echo-{number}" for number in range(bots)]
    environment = own_environment(api_port, server)
    found: dict[tuple[str, str], list[float]] = {}
    with scratch() as folder, one_process(folder, environment, bots=names, metrics=metrics) as (api, process):
        paths = [hook(api, name, api_port) for name in names]
        load = Load(port=int(api.url.rpartition(":")[2]), paths=paths, secret=SECRET, api_port=api_port, seed=seed)
        try:
            load.run(4_000, rate=0, connections=CLOSED)
            for _ in range(rounds):
                for what, unit, value in _round(api, process.pid, metrics):
                    found.setdefault((what, unit), []).append(value)
        finally:
            load.close()
    server.drop(DATABASE)
    command = (sys.executable, "-m", "tests.bench.stall", str(bots))
    for _ in range(rounds):
        stall = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["longest_stall_ms"]
        found.setdefault(("an event loop waits for it at a time, at most", "ms of CPU"), []).append(stall)
    return [{"bots": bots, "what": what, "unit": unit, **spread("value", values)} for (what, unit), values in found.items()]


def _round(api: Api, pid: int, metrics: int) -> list[tuple[str, str, float]]:
    undisturbed = timed(api, [CHEAP] * ASKED)
    before = cpu_seconds(pid)
    sizes, took = zip(*(scrape(metrics) for _ in range(SCRAPES)), strict=True)
    cpu = (cpu_seconds(pid) - before) / SCRAPES * 1e3
    stop = threading.Event()
    scraper = threading.Thread(target=_go_on, args=(metrics, stop))
    scraper.start()
    disturbed = timed(api, [CHEAP] * ASKED)
    stop.set()
    scraper.join()
    return [
        ("size of a scrape", "KB", statistics.median(sizes) / 1024),
        ("a scrape takes", "ms", statistics.median(took)),
        ("CPU of a scrape", "ms", cpu),
        ("a request to the API, p50", "ms", statistics.median(undisturbed)),
        ("a request to the API, slowest", "ms", max(undisturbed)),
        ("the same while scraped 10 times a second, p50", "ms", statistics.median(disturbed)),
        ("the same while scraped 10 times a second, slowest", "ms", max(disturbed)),
    ]


def _go_on(metrics: int, stop: threading.Event) -> None:
    while not stop.wait(0.1):
        scrape(metrics)


def scrape(port: int) -> tuple[int, float]:
    """Return bytes and milliseconds of one scrape."""
    began = time.perf_counter()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": ACCEPT})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        size = len(answer.read())
    return size, (time.perf_counter() - began) * 1e3
