"""At most so many messages of one visitor in so many seconds, in this process."""

from __future__ import annotations

from collections import OrderedDict, deque


class Limiter:
    """Remembers when each visitor last wrote; forgets the visitor seen longest ago beyond a bound."""

    def __init__(self, *, most: int, seconds: float, visitors: int = 10_000) -> None:
        """Set the limit.

        Args:
            most: messages in one window.
            seconds: the window.
            visitors: visitors remembered.
        """
        self._most = most
        self._seconds = seconds
        self._visitors = visitors
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, visitor: str, now: float) -> float:
        """Count one message, unless that is too many.

        Args:
            visitor: who.
            now: monotonic seconds.

        Returns:
            0 when it may pass, else the seconds until the next one may.
        """
        times = self._taken.setdefault(visitor, deque())
        self._taken.move_to_end(visitor)
        if len(self._taken) > self._visitors:
            self._taken.popitem(last=False)
        while times and now - times[0] >= self._seconds:
            times.popleft()
        if len(times) >= self._most:
            return self._seconds - (now - times[0])
        times.append(now)
        return 0.0
