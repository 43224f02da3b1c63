"""How one service is called: what its `Policy` says."""

from __future__ import annotations

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How one service is called. The defaults suit a public REST API.

    Args:
        tries: at most, in all, of a call that may be repeated.
        first_wait: seconds before the second try at most, doubled before each further one, times a random number from 0 to 1.
        longest_try: seconds that one try of a call that may be repeated takes of the deadline.
        retried: statuses after which another try may do better.
        advised_by: a header, in lower case, by which the service says itself whether it may, `true` or `false`; empty: none.
        places: calls of one bot to the service at once; more wait within their deadline.
        failures: in a row, after which the service rests for that bot.
        rest: seconds of a rest; after it one call is let through to see, and doubled up to `longest_rest` if that fails too.
        longest_rest: seconds.
        per_second: calls a second of all workers together, of which a tenth is left as head-room; 0: no limit of ours.
        burst: calls that may come at once after a pause.
        together: the service knows no bots (it has no key, or one of ours): rests, pauses and the rate hold for all of them.
    """

    tries: int = 3
    first_wait: float = 0.3
    longest_try: float = 10.0
    retried: frozenset[int] = frozenset({429, 500, 502, 503, 504})
    advised_by: str = ""
    places: int = 32
    failures: int = 10
    rest: float = 5.0
    longest_rest: float = 60.0
    per_second: float = 0.0
    burst: int = 1
    together: bool = False
