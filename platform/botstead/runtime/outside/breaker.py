"""`Breaker`: a service that fails again and again is left alone for a while, then asked by one call whether it is well.

Closed: calls pass, and failures in a row are counted. Open: none pass until the rest is over. Half-open: one call passes, the
probe, and decides. Pure: time comes in as an argument, and nothing waits here.
"""

from __future__ import annotations

from typing import NamedTuple


class Ticket(NamedTuple):
    """Permission for one call; given back with what became of it.

    Args:
        epoch: of the breaker when the call began: what calls tell that began before it opened or closed is no news.
        probe: whether it is the one that decides.
    """

    epoch: int
    probe: bool = False


class Breaker:
    """Of one service for one bot. Between two probes there is at least one rest, whatever becomes of the first."""

    def __init__(self, *, failures: int, rest: float, longest_rest: float) -> None:
        """Start closed.

        Args:
            failures: in a row, that open it.
            rest: seconds of the first rest, doubled after each probe that fails.
            longest_rest: seconds of a rest at most.
        """
        self._limit = failures
        self._first = rest
        self._longest = longest_rest
        self._failures = 0
        self._rest = rest
        self._until: float | None = None
        self._probing = False
        self._epoch = 0

    @property
    def closed(self) -> bool:
        """Whether calls pass as usual."""
        return self._until is None

    def wait(self, now: float) -> float:
        """Return the seconds until a call may pass, 0 for now.

        Args:
            now: seconds that never jump.
        """
        if self._until is None:
            return 0.0
        left = max(0.0, self._until - now)
        return max(left, self._first) if self._probing else left

    def admit(self, now: float) -> Ticket | None:
        """Let a call pass, or not. Whoever gets a ticket gives it back by one of the three methods below.

        Args:
            now: seconds that never jump.
        """
        if self._until is None:
            return Ticket(self._epoch)
        if self._probing or now < self._until:
            return None
        self._probing = True
        self._until = now + self._rest
        return Ticket(self._epoch, probe=True)

    def succeeded(self, ticket: Ticket) -> bool:
        """Take note that a call went well; returns whether that closed the breaker.

        Args:
            ticket: of the call.
        """
        if ticket.epoch != self._epoch:
            return False
        if ticket.probe:
            self._close()
            return True
        self._failures = 0
        return False

    def failed(self, ticket: Ticket, now: float) -> bool:
        """Take note that a call failed; returns whether that opened the breaker, or made it rest on.

        Args:
            ticket: of the call.
            now: seconds that never jump.
        """
        if ticket.epoch != self._epoch:
            return False
        if ticket.probe:
            self._rest = min(self._rest * 2, self._longest)
            self._open(now + self._rest)
            return True
        self._failures += 1
        if self._failures < self._limit:
            return False
        self._open(now + self._rest)
        return True

    def given_up(self, ticket: Ticket) -> None:
        """Take note that a call says nothing about the service: it was cancelled, or had no time.

        Args:
            ticket: of the call.
        """
        if ticket.epoch == self._epoch and ticket.probe:
            self._probing = False

    def rests(self, until: float, now: float) -> None:
        """Believe another process that the service rests, for the longest rest at most.

        Args:
            until: when it may be probed.
            now: the same clock.
        """
        until = min(until, now + self._longest)
        if until > now and not self._probing and until > (self._until or 0.0):
            self._open(until)

    def is_well(self) -> None:
        """Believe another process that its probe went well."""
        if self._until is not None and not self._probing:
            self._close()

    def _open(self, until: float) -> None:
        self._until, self._probing, self._failures = until, False, 0
        self._epoch += 1

    def _close(self) -> None:
        self._until, self._probing, self._failures, self._rest = None, False, 0, self._first
        self._epoch += 1
