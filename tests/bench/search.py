"""Search and history pages over the API of one process, in a history of millions."""

from __future__ import annotations

import http.client
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote

import click

from botstead.store.search import wanted
from tests.bench.echo import Row
from tests.bench.fill import FIRST_CHAT, fill
from tests.bench.server import Server
from tests.bench.targets import DATABASE, Api, free_port, hook, one_process, own_environment, scratch

SIZES = (1_000_000, 5_000_000)
CHATS = 10_000
ASKED = 40
INDEX_SECONDS = 600.0


def searched(server: Server, *, sizes: Sequence[int] = SIZES, rounds: int, seed: int) -> Iterator[Row]:
    """Fill, let the scheduler index, ask; once a size."""
    api_port = free_port()
    with scratch() as folder, one_process(folder, own_environment(api_port, server)) as (api, _):
        hook(api, "echo", api_port)
        channel = server.run("SELECT max(id) FROM channel", database=DATABASE)
        before = 0
        for rows in sizes:
            fill(server, first=before, rows=rows, chats=CHATS, seed=seed)
            wait_for_indexes(server, rows)
            yield from _asked(api, rows, channel, rounds=rounds, seed=seed)
            before = rows
    server.drop(DATABASE)


def wait_for_indexes(server: Server, rows: int) -> None:
    """Wait until the scheduler has indexed the words of a history of so many rows."""
    newest = rows + 1
    goal = {cover.name for cover in wanted(newest=newest, parts=range(newest // 500_000 + 1))}
    valid = "SELECT c.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indisvalid"
    deadline = time.monotonic() + INDEX_SECONDS
    while not goal <= set(server.run(valid, database=DATABASE).splitlines()):
        if time.monotonic() > deadline:
            raise click.ClickException("The scheduler did not index the history.")
        time.sleep(0.5)
    server.run("CHECKPOINT", database=DATABASE)


def _questions(rows: int, channel: str, chance: random.Random) -> Mapping[str, Callable[[], str]]:
    def words(low: int, high: int, count: int = 1) -> str:
        return "/v1/messages?q=" + quote(" ".join(f"w{chance.randrange(low, high)}" for _ in range(count)))

    def talk(before: str = "") -> str:
        return f"/v1/conversations/{channel}.{FIRST_CHAT + chance.randrange(CHATS)}/messages{before}"

    return {
        "search: a word in every 2nd to 8th text": lambda: words(0, 8),
        "search: a word in every 150th": lambda: words(80, 130),
        "search: a word in every 7,000th": lambda: words(15_000, 20_000),
        "search: two words, each in every 20th": lambda: words(5, 12, 2),
        "search: a word in every 100,000th": lambda: "/v1/messages?q=needle",
        "search: a word that is nowhere": lambda: f"/v1/messages?q=absent{chance.randrange(10**6)}",
        "page: newest 50 of a conversation": talk,
        "page: 50 of a conversation, somewhere": lambda: talk(f"?before={chance.randrange(1, rows)}"),
        "page: the 50 conversations last active": lambda: "/v1/conversations",
        "page: 50 conversations, somewhere": lambda: f"/v1/conversations?before={chance.randrange(1, rows)}",
    }


def _asked(api: Api, rows: int, channel: str, *, rounds: int, seed: int) -> Iterator[Row]:
    took: dict[str, list[list[float]]] = {}
    for number in range(rounds):
        for what, question in _questions(rows, channel, random.Random(seed + number)).items():
            took.setdefault(what, []).append(timed(api, [question() for _ in range(ASKED)]))
    for what, rounds_of in took.items():
        p50 = [statistics.median(times) for times in rounds_of]
        slowest = [max(times) for times in rounds_of]
        yield {"rows": rows, "what": what, **spread("p50_ms", p50), **spread("slowest_ms", slowest)}


def timed(api: Api, addresses: Sequence[str]) -> list[float]:
    """Ask one after the other over one connection; returns milliseconds of each."""
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=120)
    took = []
    for address in addresses:
        began = time.perf_counter()
        connection.request("GET", address, headers={"Authorization": f"Bearer {api.key}"})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise click.ClickException(f"GET {address}: {response.status} {body[:300]!r}")
        took.append((time.perf_counter() - began) * 1e3)
    connection.close()
    return took


def spread(name: str, values: Sequence[float]) -> Row:
    """Return the median, the lowest and the highest of what rounds gave."""
    return {name: statistics.median(values), f"{name}_from": min(values), f"{name}_to": max(values)}
