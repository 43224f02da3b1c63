"""What every double of an outside service can be: slow, broken, throttled. Nothing really waits: the kit's clock moves on."""

from __future__ import annotations

from botstead.bots.testing import KitClock
from botstead.core.errors import EgressBroken, EgressError, EgressResting, EgressTimeout


class Double:
    """A stand-in for one outside service."""

    def __init__(self, clock: KitClock) -> None:
        """Build it, well and fast.

        Args:
            clock: the kit's time.
        """
        self._time = clock
        self._delay = 0.0
        self._faults = 0
        self._closed_until = 0.0
        self.tries = 0
        """How often the service was asked, failures among them."""

    def slow(self, seconds: float) -> None:
        """Let each call take this long. A call that has less time ends with a timeout.

        Args:
            seconds: of the kit's time.
        """
        self._delay = seconds

    def broken(self, times: int = 0) -> None:
        """Let calls fail: the connection breaks, and nobody knows whether the request arrived.

        Args:
            times: how many; 0: all, until `well`.
        """
        self._faults = times or -1

    def throttled(self, after: float = 30.0) -> None:
        """Let calls be refused until some time has passed.

        Args:
            after: seconds of the kit's time that the service asks to wait.
        """
        self._closed_until = self._time.now() + after

    def well(self) -> None:
        """Let calls succeed again, at once."""
        self._delay, self._faults, self._closed_until = 0.0, 0, 0.0

    def met(self, seconds: float) -> EgressError | None:
        """Count a call, let it take its time, and say what goes wrong with it; None: nothing.

        Args:
            seconds: that the call may take.
        """
        self.tries += 1
        left = self._closed_until - self._time.now()
        if left > 0:
            return EgressResting(f"The service asked for a pause of {left:g} s.", after=left)
        self._time.advance(max(0.0, min(self._delay, seconds)))
        if self._delay > seconds:
            return EgressTimeout()
        if self._faults:
            self._faults -= self._faults > 0
            return EgressBroken()
        return None

    def meet(self, seconds: float) -> None:
        """Do the same, and raise what goes wrong.

        Args:
            seconds: that the call may take.

        Raises:
            EgressError: see `slow`, `broken`, `throttled`.
        """
        error = self.met(seconds)
        if error is not None:
            raise error
