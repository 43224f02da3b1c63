"""What an answer of PayPal's means that is no success: to ask again, or a refusal in words for the operator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from botstead.core import bodies
from botstead.core.errors import EgressBroken, EgressResting, PaymentRefused
from botstead.core.messages import Response
from botstead.core.secret import Secret, hidden
from botstead.runtime.retry_after import retry_after

_WORDS: Final = 300
_UNKNOWN: Final = frozenset({408, 409})
"""Timeouts of theirs, and a key that is in use by a try before: its outcome is not known yet."""


class _Issue(msgspec.Struct, frozen=True):
    issue: str = ""
    description: str = ""


class Failure(msgspec.Struct, frozen=True):
    """What went wrong, by https://developer.paypal.com/api/rest/responses/#link-errors."""

    name: str = ""
    message: str = ""
    details: tuple[_Issue, ...] = ()
    debug_id: str = ""

    @property
    def issues(self) -> frozenset[str]:
        """What it was, in PayPal's words for programs."""
        return frozenset(one.issue for one in self.details)


class Refused(PaymentRefused):
    """PayPal refuses. Its words say why; with the debug id its support finds the request."""

    code = "paypal_refused"

    def __init__(self, status: int, failure: Failure, secrets: Iterable[Secret] = ()) -> None:
        """Build it.

        Args:
            status: of the answer.
            failure: its body.
            secrets: what must not appear in words, should PayPal repeat it.
        """
        self.status_of_answer = status
        self.issues = failure.issues
        words = "; ".join(f"{one.description or one.issue}" for one in failure.details) or failure.message or f"status {status}"
        said = f"PayPal refused: {words} ({failure.name}, debug id {failure.debug_id})."
        super().__init__(hidden(said, secrets).replace("\0", "")[:_WORDS])


def require(response: Response, *, now: float, secrets: Iterable[Secret] = ()) -> None:
    """Let a success pass.

    Args:
        response: of PayPal.
        now: Unix seconds, for a `Retry-After` that is a date.
        secrets: that it was asked with.

    Raises:
        PaymentRefused: PayPal does not accept the account's credentials, or (Refused) says no to this.
        EgressResting: it has too many requests; nothing was done.
        EgressBroken: it failed itself, so what became of the request is not known.

    Source: https://developer.paypal.com/api/rest/responses/
    """
    status = response.status
    if status < 300:
        return
    if status == 429:
        after = retry_after(response.headers.get("retry-after"), now=now)
        raise EgressResting("PayPal takes no more requests for now; nothing was done.", after=after)
    if status >= 500 or status in _UNKNOWN:
        raise EgressBroken(f"PayPal answered {status}; whether it did what it was asked for is not known.")
    if status in (401, 403):
        raise PaymentRefused(
            f"PayPal does not accept the account's credentials ({status}). Replace the secrets `client_id` and `client_secret`, "
            "and look whether the setting `environment` is theirs: live or sandbox."
        )
    raise Refused(status, _failure(response), secrets)


def _failure(response: Response) -> Failure:
    return bodies.read(response.body, Failure) or Failure()
