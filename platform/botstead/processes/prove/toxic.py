"""What can go wrong on a line, and what it means for the bytes on it.

The eight are those of Toxiproxy (https://github.com/Shopify/toxiproxy#toxics), with one difference: what `timeout` holds back is
delivered when it ends, since a line that loses bytes out of the middle and goes on is not TCP.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

import msgspec

Kind = Literal["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "down"]
Toward = Literal["client", "server"]
BITE = 0.1
"""Seconds that a narrow line takes for one bite: small enough to look smooth."""


class Toxic(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong with a line.

    Args:
        kind: latency (bytes arrive `seconds` late, give or take `jitter`), bandwidth (`rate` bytes a second), slow_close (the end
            of one side's talk is passed on `seconds` late), timeout (nothing is passed on; after `seconds` the connection ends, 0
            for never), reset_peer (RST after `seconds`), slicer (pieces of `size` bytes, give or take `vary`, `seconds` apart),
            limit_data (`size` bytes are passed on, then the connection ends), down (nobody listens, and whoever was connected is
            cut off).
        toward: which way it works; reset_peer and down know none.
        seconds: see above.
        jitter: seconds.
        rate: bytes a second.
        size: bytes.
        vary: bytes.
        share: of the connections that it hits, from 0 to 1.
    """

    kind: Kind
    toward: Toward | Literal["both"] = "both"
    seconds: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    size: int = 0
    vary: int = 0
    share: float = 1.0

    @property
    def ends(self) -> bool:
        """Whether it ends a connection when its time is up."""
        return self.kind == "reset_peer" or (self.kind == "timeout" and self.seconds > 0)

    def works(self, toward: Toward, luck: float) -> bool:
        """Whether it works on a connection in one direction.

        Args:
            toward: where bytes go.
            luck: of the connection, from 0 to 1.
        """
        return self.toward in (toward, "both") and luck < self.share


class Working:
    """The toxics that work on one direction of one connection, and what they say. Pure but for its chance."""

    def __init__(self, toxics: Sequence[Toxic], chance: random.Random) -> None:
        """Take them.

        Args:
            toxics: those that work here.
            chance: of jitter and sizes.
        """
        self._toxics = toxics
        self._chance = chance

    def _of(self, kind: Kind) -> list[Toxic]:
        return [toxic for toxic in self._toxics if toxic.kind == kind]

    @property
    def held(self) -> bool:
        """Whether nothing is passed on."""
        return bool(self._of("timeout"))

    @property
    def closing(self) -> float:
        """Seconds by which the end of a side's talk is late."""
        return sum(toxic.seconds for toxic in self._of("slow_close"))

    @property
    def gap(self) -> float:
        """Seconds between two pieces."""
        return sum(toxic.seconds for toxic in self._of("slicer"))

    def late(self, luck: float) -> float:
        """Seconds by which bytes are late.

        Args:
            luck: of these bytes, from -1 to 1.
        """
        return sum(max(0.0, toxic.seconds + luck * toxic.jitter) for toxic in self._of("latency"))

    def lasting(self, size: int) -> float:
        """Seconds that bytes take.

        Args:
            size: how many there are.
        """
        return max((size / toxic.rate for toxic in self._of("bandwidth")), default=0.0)

    def piece(self, size: int, *, passed: int) -> int:
        """Say how many bytes go next; 0 when no more may pass.

        Args:
            size: how many there are.
            passed: how many were passed on before.
        """
        limits = [max(1, int(toxic.rate * BITE)) for toxic in self._of("bandwidth")]
        limits += [max(1, toxic.size + self._chance.randint(-toxic.vary, toxic.vary)) for toxic in self._of("slicer")]
        limits += [max(0, toxic.size - passed) for toxic in self._of("limit_data")]
        return min([size, *limits])
