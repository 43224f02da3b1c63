"""How often a channel brings a message, by the hour of the day: silence at noon is news, and silence at night is not. Pure.

Of each hour (UTC) two sums are kept: messages, and the time they were counted over. Their ratio is the usual rate. Old days fade
with a half-life of ten days. From the last message on, the rate is summed over the time gone by: that many messages are missing.
A channel with an even rhythm misses ten when its silence is ten times its usual gap.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

HOURS = 24
HOUR = 3_600.0
HALF_LIFE = 10 * 86_400.0
ENOUGH_SECONDS = 1_800.0
"""Time that an hour must have been counted over before it counts for anything."""
ENOUGH_EVENTS = 20.0
"""Messages below which a channel has no rhythm."""
LONGEST = 7 * 86_400.0
"""Silence that is summed at most, in seconds; beyond that nothing is learnt from more."""


class Rhythm(msgspec.Struct, frozen=True):
    """What is known of a channel: messages and seconds, 24 of each."""

    events: tuple[float, ...] = (0.0,) * HOURS
    seconds: tuple[float, ...] = (0.0,) * HOURS

    @property
    def known(self) -> bool:
        """Whether there were enough messages to speak of a rhythm."""
        return sum(self.events) >= ENOUGH_EVENTS

    def rate(self, hour: int) -> float:
        """Return the usual messages a second in an hour of the day, 0 where that is not known.

        Args:
            hour: 0 to 23, UTC.
        """
        seconds = self.seconds[hour]
        return self.events[hour] / seconds if seconds >= ENOUGH_SECONDS else 0.0


def observed(rhythm: Rhythm, *, began: float, ended: float, events: Mapping[int, int]) -> Rhythm:
    """Return the rhythm with one more stretch of time in it.

    Args:
        rhythm: as known before.
        began: Unix seconds.
        ended: Unix seconds; before `began` when a clock was set back, and then no time has passed.
        events: messages by hour of the day.
    """
    passed = max(0.0, ended - began)
    fade = 0.5 ** (passed / HALF_LIFE)
    spans = hours_between(began, began + passed)
    return Rhythm(
        events=tuple(count * fade + events.get(hour, 0) for hour, count in enumerate(rhythm.events)),
        seconds=tuple(seconds * fade + spans.get(hour, 0.0) for hour, seconds in enumerate(rhythm.seconds)),
    )


def missing(rhythm: Rhythm, *, last: float, now: float) -> float:
    """Return how many messages would usually have come since the last one; 0 while no rhythm is known.

    Args:
        rhythm: what is known.
        last: Unix seconds of the last message.
        now: Unix seconds.
    """
    if not rhythm.known or now <= last:
        return 0.0
    return sum(rhythm.rate(hour) * seconds for hour, seconds in hours_between(max(last, now - LONGEST), now).items())


def hours_between(began: float, ended: float) -> dict[int, float]:
    """Return the seconds of a stretch of time in each hour of the day, UTC. Whole days count as such.

    Args:
        began: Unix seconds.
        ended: Unix seconds.
    """
    days, rest = divmod(max(0.0, ended - began), HOURS * HOUR)
    found = dict.fromkeys(range(HOURS), days * HOUR) if days else {}
    while rest > 0:
        hour = int(began // HOUR) % HOURS
        part = min(rest, HOUR - began % HOUR)
        if part <= 0:  # so far in the future that a second is less than the float's last digit
            break
        found[hour] = found.get(hour, 0.0) + part
        began, rest = began + part, rest - part
    return found
