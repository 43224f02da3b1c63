"""What became of a call, in one word: the one place that tells the kinds of failure apart, for metrics and for spans."""

from __future__ import annotations

from typing import Final

from botstead.core.errors import EgressError, EgressRefused, EgressResting, EgressTimeout, EgressUnsent

TOO_MANY: Final = 429
_KINDS: Final = (
    (EgressResting, "limited"),
    (EgressTimeout, "timeout"),
    (EgressRefused, "refused"),
    (EgressUnsent, "unsent"),
    (EgressError, "broken"),
)
_COARSE: Final = {"unsent": "error", "broken": "error"}


def kind_of(error: BaseException) -> str:
    """Name a failed call: limited, timeout, refused, unsent or broken.

    Args:
        error: what was raised, or what was raised from it.
    """
    seen: BaseException | None = error
    while seen is not None:
        for kind, word in _KINDS:
            if isinstance(seen, kind):
                return word
        seen = seen.__cause__
    return "timeout" if isinstance(error, TimeoutError) else "broken"


def outcome_of(error: BaseException) -> str:
    """Name a failed call for `integration_requests_total`: error, timeout, refused or limited.

    Args:
        error: as for `kind_of`.
    """
    kind = kind_of(error)
    return _COARSE.get(kind, kind)


def outcome_of_status(status: int) -> str:
    """Name an answered call for `integration_requests_total`; that a service did not like the question is no fault of its.

    Args:
        status: of the answer.
    """
    return "limited" if status == TOO_MANY else "error" if status >= 500 else "ok"
