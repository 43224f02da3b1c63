"""The verdict, from two logs only: what clients had acknowledged, and what reached the provider."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise


@dataclass
class Verdict:
    """What went wrong, if anything."""

    acked: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    """When something was sent another time, in seconds since the epoch."""

    @property
    def duplicate_sends(self) -> int:
        """How many sends there were beyond the first of each reply."""
        return len(self.again)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, done twice, out of order, or said by nobody."""
        return not (self.lost or self.doubled or self.disordered or self.strange)

    def __str__(self) -> str:
        faults = {"lost": self.lost, "effects done twice": self.doubled, "out of order": self.disordered, "strange": self.strange}
        lines = [f"{self.acked} acknowledged, {self.duplicate_sends} sent twice"]
        lines += [f"{name}: {len(found)} {found[:5]}" for name, found in faults.items()]
        return "\n".join(lines)


def unanswered(acked: Mapping[int, Sequence[int]], sent: Sequence[dict]) -> int:
    """Count acknowledged updates without a reply."""
    answered = {(entry["fields"]["chat_id"], entry["fields"]["text"].rpartition(" ")[2]) for entry in sent}
    return sum((chat, f"u{update}") not in answered for chat, updates in acked.items() for update in updates)


def judge(acked: Mapping[int, Sequence[int]], sent: Sequence[dict]) -> Verdict:
    """Compare.

    Args:
        acked: for each conversation, the updates acknowledged, in order.
        sent: what reached the provider, in order.
    """
    verdict = Verdict(acked=sum(len(updates) for updates in acked.values()))
    said: dict[int, list[str]] = defaultdict(list)
    for entry in sent:
        chat, text = int(entry["fields"]["chat_id"]), entry["fields"]["text"]
        if text in said[chat]:
            verdict.again.append(entry["at"])
        else:
            said[chat].append(text)
    for chat in sorted(acked.keys() | said.keys()):
        _judge_one(verdict, chat, acked.get(chat, ()), said[chat])
    return verdict


def _judge_one(verdict: Verdict, chat: int, acked: Sequence[int], said: Sequence[str]) -> None:
    """Compare one conversation; `said` holds the first sending of each reply."""
    expected = _chain(acked)
    links = [text.split(" ") for text in said]
    whole = [link for link in links if len(link) == 3 and link[0].isdecimal()]
    verdict.strange += [f"chat {chat}: {text!r}" for text, link in zip(said, links, strict=True) if link not in whole]
    for what, place in (("seq", 0), ("update", 2)):
        counts = Counter(link[place] for link in whole)
        verdict.doubled += [f"chat {chat}: {what} {which} in {n} replies" for which, n in counts.items() if n > 1]
    answered = {link[2] for link in whole}
    verdict.lost += [f"chat {chat}: u{update}" for update in acked if f"u{update}" not in answered]
    known = set(expected)
    verdict.disordered += [f"chat {chat}: {text!r} is not a link of the chain" for text in said if text not in known]
    places = [expected.index(text) for text in said if text in known]
    verdict.disordered += [
        f"chat {chat}: {expected[after]!r} came after {expected[before]!r}"
        for before, after in pairwise(places)
        if after < before
    ]


def _chain(acked: Sequence[int]) -> list[str]:
    """The replies that a bot gives which handles each update once, in order."""
    chain, replies = "", []
    for seq, update in enumerate(acked, start=1):
        chain = sha256(f"{seq} {chain} u{update}".encode()).hexdigest()[:16]
        replies.append(f"{seq} {chain} u{update}")
    return replies
