"""The verdict, from two logs only: what clients had acknowledged, and what reached the provider.

Each bot keeps a chain of hashes for each conversation: reply n names n, a hash over all that came before, and the update. So
an update that was done twice, lost or taken out of order shows in every reply after it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

from botstead.processes.prove.replies import Sent

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.load import Load
    from botstead.processes.prove.stage import Stage

Place = tuple[str, str]
"""A conversation: token of the bot, and chat."""
Span = tuple[float, float]
"""From and to, in Unix seconds."""
Acked = Mapping[Place, Sequence[int]]

CHAIN = '''
from hashlib import sha256
from pathlib import Path

from botstead import Bot, Conversation, Message

bot = Bot(Path(__file__).parent.name)


@bot.on.message
async def link(message: Message, conversation: Conversation) -> str:
    """Add a link to the chain of this conversation, and show it."""
    state = conversation.state
    state["seq"] = state.get("seq", 0) + 1
    reply = f"{state['seq']} {state.get('chain', '')} {message.text}"
    state["chain"] = sha256(reply.encode()).hexdigest()[:16]
    return f"{state['seq']} {state['chain']} {message.text}"
'''
"""Source of a bot that keeps the chain."""


@dataclass
class Verdict:
    """What went wrong, if anything."""

    acked: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    """For each sending beyond the first, when the first one arrived, in Unix seconds."""

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, done twice, out of order, or said by nobody."""
        return not (self.lost or self.doubled or self.disordered or self.strange)

    def check(self, stage: Stage, *, allowed_again: int = 0, faults: Sequence[Span] | None = None) -> None:
        """Record the figures.

        Args:
            stage: where.
            allowed_again: how many replies may arrive twice: what may have been under way at the faults.
            faults: when something was dead or paused; whatever was sent twice must have been under way then.
        """
        stage.at_least("P1", "updates acknowledged", self.acked, 1)
        stage.none("P1", "updates lost", self.lost)
        stage.none("P2", "effects done twice", self.doubled)
        stage.none("P3", "replies out of order", self.disordered)
        stage.none("P4", "replies that nobody asked for", self.strange)
        stage.at_most("P4", "replies sent another time", len(self.again), allowed_again)
        if faults is not None:
            blameless = [at for at in self.again if not any(begin <= at <= end for begin, end in faults)]
            stage.none("P4", "replies sent another time though nothing had died", [f"first sent at {at:.3f}" for at in blameless])


def unanswered(acked: Acked, sent: Iterable[Sent]) -> int:
    """Count acknowledged updates without a reply.

    Args:
        acked: for each conversation, the updates acknowledged.
        sent: what reached the provider.
    """
    answered = {(entry.token, entry.chat, entry.text.rpartition(" ")[2]) for entry in sent}
    return sum((*place, f"u{update}") not in answered for place, updates in acked.items() for update in updates)


def judge(load: Load, running: Installation) -> Verdict:
    """Compare what was acknowledged with what reached the provider.

    Args:
        load: that was delivered.
        running: whose provider remembers.
    """
    return compare(load.acked, running.provider.sent())


def compare(acked: Acked, sent: Iterable[Sent]) -> Verdict:
    """Compare two logs.

    Args:
        acked: for each conversation, the updates acknowledged, in order.
        sent: what reached the provider, in order.
    """
    verdict = Verdict(acked=sum(len(updates) for updates in acked.values()))
    said: dict[Place, dict[str, float]] = defaultdict(dict)
    for entry in sent:
        texts = said[entry.token, entry.chat]
        if entry.text in texts:
            verdict.again.append(texts[entry.text])
        else:
            texts[entry.text] = entry.at
    for place in sorted(acked.keys() | said.keys()):
        _judge_one(verdict, place, acked.get(place, ()), list(said[place]))
    return verdict


def _judge_one(verdict: Verdict, place: Place, acked: Sequence[int], said: Sequence[str]) -> None:
    """Compare one conversation; `said` holds the first sending of each reply."""
    where = f"bot {place[0].partition(':')[0]} chat {place[1]}"
    expected = {text: number for number, text in enumerate(chain(acked))}
    links = [(text, text.split(" ")) for text in said]
    whole = [link for _, link in links if len(link) == 3 and link[0].isdecimal()]
    verdict.strange += [f"{where}: {text!r}" for text, link in links if len(link) != 3 or not link[0].isdecimal()]
    for what, part in (("seq", 0), ("update", 2)):
        counts = Counter(link[part] for link in whole)
        verdict.doubled += [f"{where}: {what} {which} in {n} replies" for which, n in counts.items() if n > 1]
    answered = {link[2] for link in whole}
    verdict.lost += [f"{where}: u{update}" for update in acked if f"u{update}" not in answered]
    verdict.disordered += [f"{where}: {text!r} is not a link of the chain" for text in said if text not in expected]
    known = [text for text in said if text in expected]
    verdict.disordered += [
        f"{where}: {after!r} came after {before!r}" for before, after in pairwise(known) if expected[after] < expected[before]
    ]


def chain(acked: Iterable[int]) -> list[str]:
    """Return the replies of a bot that handles each update once, in order.

    Args:
        acked: the updates, in order.
    """
    last, replies = "", []
    for seq, update in enumerate(acked, start=1):
        last = sha256(f"{seq} {last} u{update}".encode()).hexdigest()[:16]
        replies.append(f"{seq} {last} u{update}")
    return replies


def reply_seconds(load: Load, sent: Iterable[Sent], begin: float, end: float) -> list[float]:
    """Return how long replies took, of what was acknowledged; infinity where none came.

    Args:
        load: that was delivered.
        sent: what reached the provider, in order.
        begin: first deliveries from here, in Unix seconds …
        end: … to here count.
    """
    replied: dict[tuple[str, str, str], float] = {}
    for entry in sent:
        replied.setdefault((entry.token, entry.chat, entry.text.rpartition(" ")[2]), entry.at)
    acked = {(token, chat, f"u{number}") for (token, chat), numbers in load.acked.items() for number in numbers}
    return [replied.get(key, math.inf) - at for key, at in load.delivered.items() if begin <= at <= end and key in acked]
