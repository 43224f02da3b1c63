"""Secrets that are known again wherever they come to light, also encoded, shortened, or in the middle of something else.

All of them hold the same mark, twice; so one look for the mark in its few forms tells whether anything is there at all, and the
letters behind it tell which. Keys that the platform makes at random have no mark and are looked for one by one.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Collection, Iterator
from functools import cache

import msgspec

MARK = "Zq7xKv"
UNIQUE = 10
"""Letters behind each mark that tell one secret from another."""
LETTERS = string.ascii_letters + string.digits
AROUND = 400
"""Bytes on each side of a mark that are looked at: more than its letters take in any form."""
PIECE = len(MARK) + UNIQUE
"""Letters of a secret that give it away, at either end of those without a mark."""


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """One secret.

    Args:
        name: what it is, for the report; the report never says the secret itself.
        text: all of it.
        pieces: parts of it, each of which gives it away.
        may: beginnings of the names of places that are meant to hold it.
    """

    name: str
    text: str
    pieces: tuple[str, ...]
    may: tuple[str, ...] = ()


class Canaries:
    """Those that were planted."""

    def __init__(self, chance: random.Random) -> None:
        """Plant nothing yet.

        Args:
            chance: makes them.
        """
        self._chance = chance
        self.planted: list[Canary] = []

    def make(self, name: str, shape: str = "{}", *, may: Collection[str] = ()) -> str:
        """Make a secret and return it: 32 letters and digits, in the shape that somebody wants.

        Args:
            name: what it is.
            shape: of the whole, with {} where the letters go.
            may: see `Canary`.
        """
        pieces = tuple(MARK + "".join(self._chance.choices(LETTERS, k=UNIQUE)) for _ in range(2))
        text = shape.replace("{}", "".join(pieces))
        self.planted.append(Canary(name=name, text=text, pieces=pieces, may=tuple(may)))
        return text

    def add(self, name: str, text: str, *, may: Collection[str] = ()) -> str:
        """Know a secret that the platform has made, and return it.

        Args:
            name: what it is.
            text: all of it.
            may: see `Canary`.
        """
        self.planted.append(Canary(name=name, text=text, pieces=(text[:PIECE], text[-PIECE:]), may=tuple(may)))
        return text

    def found(self, content: bytes) -> Iterator[Canary]:
        """Give the secrets that came to light.

        Args:
            content: of a place, all of it.
        """
        plain = {content[at : at + PIECE] for at in _places(content, MARK.encode())}
        encoded = b"\n".join(content[max(0, at - AROUND) : at + AROUND] for mark in ENCODED for at in _places(content, mark))
        for canary in self.planted:
            where = encoded if canary.pieces[0].startswith(MARK) else content
            shown = any(piece.encode() in plain for piece in canary.pieces)
            if shown or (where and any(form in where for piece in canary.pieces for form in forms(piece))):
                yield canary


@cache
def forms(text: str) -> frozenset[bytes]:
    """Return how letters and digits look: plain, in hex, base64 at each offset, percent-encoded and escaped one by one.

    Letters and digits stay as they are in URLs, JSON, HTML and shells, so plain is the form for those.

    Args:
        text: letters and digits, or what is like them.
    """
    plain = text.encode()
    found = {plain, plain.hex().encode(), plain.hex().upper().encode()}
    found |= {"".join(f"%{byte:02{case}}" for byte in plain).encode() for case in "xX"}
    found |= {"".join(rf"\u{byte:04{case}}" for byte in plain).encode() for case in "xX"}
    for before in range(3):
        whole = base64.b64encode(bytes(before) + plain)
        begin = -(-before * 8 // 6)  # the letters in front hold bits of what stands before
        end = (before + len(plain)) * 8 // 6  # and the last one bits of what comes behind
        found |= {whole[begin:end], whole[begin:end].translate(bytes.maketrans(b"+/", b"-_"))}
    return frozenset(found)


ENCODED = sorted(forms(MARK) - {MARK.encode()})


def _places(content: bytes, mark: bytes) -> Iterator[int]:
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)
