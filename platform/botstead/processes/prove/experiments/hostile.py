"""Input that was made to hurt: bodies that mean nothing, bodies that are too large, and requests hidden in others."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from botstead.processes.prove import deliveries, smuggling
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.experiments.edge import Visitors
from botstead.processes.prove.installation import BODY_LIMIT, installation
from botstead.processes.prove.malformed import malformed
from botstead.processes.prove.meanwhile import memory
from botstead.processes.prove.rawhttp import Heard, request, say

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.stage import Stage

TOGETHER = 120
LISTEN_SECONDS = 1.5
OURS = ("Host", "no Host")
"""Tricks with Host are refused by the edge alone: to the API a Host means nothing (platform/README.md, Decisions)."""
UNKNOWN = (501, 505)
"""What Go says itself, before any rule of ours, of a transfer coding and of a version that it does not know."""
CPU_SECONDS = 0.05
GROWTH = 64.0
LARGE = 10_000_000
LOOK_EVERY = 0.05
EARLY_SECONDS = 2.0


def _doors(running: Installation) -> dict[str, int]:
    return {"edge": running.edge_port, "api": running.ports()[0]}


@experiment("E25", "No request hides in another one", promises=("P17",), minutes=1)
async def smuggled(stage: Stage) -> None:
    """Hide a whole delivery where one server might find it and another not, at the edge and at the API; others keep asking."""
    rounds = 10 if stage.full else 1
    async with installation(stage, api=1, worker=1, edge=True) as running:
        smuggler = _Smuggler(running)
        visitors = Visitors(running, running.hooks[0], clients=5)
        async with visitors.at_work():
            for _ in range(rounds):
                await smuggler.play()
        for door, port in _doors(running).items():
            plain = deliveries.message(running.hooks[0], smuggler.next(), 900, f"plain-{door}")
            await say(port, plain)
            await running.until(lambda door=door: deliveries.times(running, f"plain-{door}") == 1, "a plain one answered")  # type: ignore[misc]
        said = {word for sent in running.provider.sent() for word in sent.text.split()}
        stage.none("P17", "hidden requests that took effect", [name for word, name in smuggler.hidden.items() if word in said])
        stage.none("P17", "answers other than 4xx", smuggler.wrong)
        stage.none("P17", "refused, and the connection kept", smuggler.kept)
        stage.none("P17", "other clients' answers that were not theirs", [*_not_taken(visitors), *visitors.broken])
        stage.at_least("P17", "requests with something hidden", len(smuggler.hidden), 150 * rounds)


def _not_taken(visitors: Visitors) -> list[str]:
    return [f"{status}: {count}" for status, count in visitors.statuses.items() if status != 200]


class _Smuggler:
    """Sends each trick to each door."""

    def __init__(self, running: Installation) -> None:
        self._running = running
        self._numbers = itertools.count(5_000_001)
        self.hidden: dict[str, str] = {}
        """Word of the hidden delivery to what it was hidden in."""
        self.wrong: list[str] = []
        self.kept: list[str] = []

    def next(self) -> int:
        """Return a number for an update that nobody has used."""
        return next(self._numbers)

    async def play(self) -> None:
        """Send them all once."""
        jobs = [job for door, port in _doors(self._running).items() for job in self._jobs(door, port)]
        for begin in range(0, len(jobs), TOGETHER):
            await asyncio.gather(*(self._send(*job) for job in jobs[begin : begin + TOGETHER]))

    def _jobs(self, door: str, port: int) -> Iterator[tuple[str, int, str, bytes]]:
        mark = b"hidden-mark-0000000"
        template = deliveries.message(self._running.hooks[0], 9_999_999, 9_999_999, mark.decode())
        for name, asked in smuggling.tricks(template):
            if door == "api" and any(word in name for word in OURS) and "hop" not in name:
                continue
            number = self.next()
            word = f"hidden-mark-{number}"
            self.hidden[word] = f"{name} at the {door}"
            yield door, port, name, asked.replace(mark, word.encode()).replace(b"9999999", str(number).encode())

    async def _send(self, door: str, port: int, name: str, asked: bytes) -> None:
        heard = await say(port, asked, answers=3, head=asked.startswith(b"HEAD "), seconds=LISTEN_SECONDS)
        story = f"{name} at the {door}: {heard.statuses or repr(heard.rest[:60])}"
        self.wrong += [story] if not _refused(heard) else []
        self.kept += [story] if {400, *UNKNOWN} & set(heard.statuses) and not heard.closed and "body of" not in name else []


def _refused(heard: Heard) -> bool:
    """Whether each answer is a refusal, and there is one, or the connection was closed without."""
    known = all(400 <= status < 500 or status in UNKNOWN for status in heard.statuses)
    return known and bool(heard.statuses or heard.closed)


@experiment("E22", "A delivery that means nothing is refused, at little cost", promises=("P17",), minutes=1)
async def meaningless(stage: Stage) -> None:
    """Send bodies that are no update, or a strange one, to each kind of hook at both doors; then the usual."""
    times = 10 if stage.full else 1
    async with installation(stage, api=1, worker=1, edge=True) as running:
        hook, api = running.hooks[0], running.slots["api-a"]
        signed = await deliveries.signed_channel(running, hook.bot)
        numbers = itertools.count(1)
        broken, accepted, dear, sent = [], [], [], 0
        for name, body, valid in malformed(stage.chance, many=200 if stage.full else 20):
            for door, port in _doors(running).items():
                for kind in ("telegram", "webhook"):
                    before = api.cpu()
                    for _ in range(times):
                        key = f"malformed-{next(numbers)}"
                        whole = (
                            deliveries.telegram(hook, body) if kind == "telegram" else deliveries.webhook(signed, body, id=key)
                        )
                        heard = await say(port, whole, seconds=10)
                        sent += 1
                    story = f"{name} to {kind} at the {door}: {heard.statuses}"
                    broken += [story] if not heard.statuses or heard.statuses[0] >= 500 else []
                    accepted += [story] if 200 in heard.statuses and not valid else []
                    spent = (api.cpu() - before) / times
                    dear += [f"{story} {spent * 1e3:.0f} ms"] if spent > CPU_SECONDS else []
        stage.none("P17", "answers that say that we broke, or none", broken)
        stage.none("P17", "accepted though it is no JSON", accepted)
        if stage.full:  # a clock of 10 ms says nothing of one request
            stage.none("P17", "bodies that cost more than 50 ms", dear)
        stage.at_least("P17", "bodies sent", sent, 100)
        await say(running.edge_port, deliveries.message(hook, 7_000_000, 1, "usual"))
        await running.until(lambda: deliveries.times(running, "usual") == 1, "a usual message answered")
        stage.none("P17", "processes that ended", [slot.name for slot in running.slots.values() if slot.starts > 1])


@experiment("E23", "What is too large is refused early, and costs no memory", promises=("P17",), minutes=1)
async def oversized(stage: Stage) -> None:
    """Send bodies beyond the limit, many at once, and lengths that lie; watch how the edge and the API grow."""
    many = 200 if stage.full else 40
    async with installation(stage, api=1, worker=1, edge=True) as running:
        assert running.edge is not None
        hook, wrong, early = running.hooks[0], [], []
        await say(running.edge_port, deliveries.message(hook, 1, 1, "warm"))
        attacks = dict(_oversized(hook.path))
        for door, slot in {"edge": running.edge, "api": running.slots["api-a"]}.items():
            async with memory(slot, every=LOOK_EVERY) as sizes:
                for name, asked in attacks.items():
                    stage.note(f"{many} at once: {name} at the {door}", kind="fault")
                    heard = await asyncio.gather(*(say(slot.port, asked, seconds=15) for _ in range(many)))
                    wrong += [f"{name} at the {door}: {each.statuses}" for each in heard if not _too_large(each)]
                    if name.startswith("declared"):
                        early += [f"{name} at the {door}: {each.seconds:.1f} s" for each in heard if each.seconds > EARLY_SECONDS]
            stage.at_most("P17", f"growth of the {door}", max(sizes) - sizes[0], GROWTH, unit="MB")
        stage.none("P17", "answers other than a refusal", wrong)
        stage.none("P17", "declared too large, and not refused early", early)
        await say(running.edge_port, deliveries.message(hook, 2, 1, "usual"))
        await running.until(lambda: deliveries.times(running, "usual") == 1, "a usual message answered")
        stage.none("P17", "processes that ended", [slot.name for slot in running.slots.values() if slot.starts > 1])


def _too_large(heard: Heard) -> bool:
    """Whether it was refused. A server may hang up on who goes on sending, so that the answer is lost."""
    hung_up = not heard.statuses and heard.closed
    return hung_up or (bool(heard.statuses) and all(400 <= status < 500 for status in heard.statuses))


def _oversized(path: str) -> Iterator[tuple[str, bytes]]:
    """Return requests whose body is too large, or says so."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
    chunk = b"%x\r\n%b\r\n" % (65_536, bytes(65_536))
    yield "10 MB", request("POST", path, body=bytes(LARGE))
    yield "10 MB in chunks", head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * (LARGE // 65_536) + smuggling.END
    yield "declared 1 GB", head + b"Content-Length: 1000000000\r\n\r\n{"
    yield "declared a byte too many", head + b"Content-Length: %d\r\n\r\n{" % (BODY_LIMIT + 1)
    yield "longer than it says", head + b"Content-Length: 2\r\n\r\n" + bytes(100_000)
    yield "compressed", request("POST", path, headers=[("Content-Encoding", "gzip")], body=bytes(1_000))
