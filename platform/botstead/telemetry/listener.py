"""The internal listener: metrics and health, served by a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe found.

    Args:
        ok: whether it is as it should be.
        checks: one word or short sentence a dependency.
        retry_after: seconds to name in `Retry-After` when it is not.
    """

    ok: bool
    checks: Mapping[str, str] = {}
    retry_after: int = 1


class Listener:
    """Serves `/metrics` and `/health/{live,ready,startup}` from a thread, so that a blocked event loop stays visible."""

    def __init__(self, host: str, port: int, probes: Mapping[str, Callable[[], Probe]]) -> None:
        """Build a listener.

        Args:
            host: address to bind.
            port: port to bind; 0 picks a free one.
            probes: `live`, `ready`, `startup` to a function called on the listener's thread; a missing one says ok. It must
                not block for long: read a state that the event loop keeps.
        """
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The port that is bound."""
        raise NotImplementedError

    def start(self) -> None:
        """Bind and serve; raises `ConfigurationError` when the address is taken."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop serving and end the thread. Safe to repeat."""
        raise NotImplementedError
