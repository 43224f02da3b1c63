"""What an answer of Stripe's means that is no success: to ask again, or a refusal in words for the operator."""

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
_UNKNOWN: Final = frozenset({408, 409, 425})
"""Timeouts of theirs, and a key that is still in use by a try before: its outcome is not known yet."""


class Failure(msgspec.Struct, frozen=True):
    """What went wrong, by https://docs.stripe.com/api/errors."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    decline_code: str | None = None


class _Body(msgspec.Struct, frozen=True):
    error: Failure = Failure()


class FailureStored(EgressBroken):
    """Stripe failed, and answers every repetition under this key with that failure. Look for what it made."""

    code = "stripe_failure_stored"


def require(response: Response, secrets: Iterable[Secret], *, now: float) -> None:
    """Let a success pass.

    Args:
        response: of Stripe.
        secrets: what must not appear in words, should Stripe repeat it.
        now: Unix seconds, for a `Retry-After` that is a date.

    Raises:
        PaymentRefused: Stripe says no; asking again does not help.
        EgressResting: it has too many requests of this account; nothing was done.
        FailureStored: it failed itself, and says so for ever under this key.
        EgressBroken: it failed itself, so what became of the request is not known.

    Source: https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/error-low-level and https://docs.stripe.com/rate-limits
    """
    status = response.status
    if status < 300:
        return
    failure = _failure(response)
    if status == 429:
        after = retry_after(response.headers.get("retry-after"), now=now)
        raise EgressResting("Stripe takes no more requests of this account for now; nothing was done.", after=after)
    if status >= 500 and response.headers.get("idempotent-replayed") == "true":
        raise FailureStored
    if status >= 500 or status in _UNKNOWN:
        raise EgressBroken(f"Stripe answered {status}; whether it did what it was asked for is not known.")
    if status in (401, 403):
        raise PaymentRefused(
            f"Stripe does not accept the account's key ({status}). Replace the secret `key` of the channel; a restricted key "
            "needs to write Checkout Sessions, Charges and Refunds, and to read Events."
        )
    raise PaymentRefused(f"Stripe refused: {said(failure, secrets) or f'status {status}.'}")


def said(failure: Failure, secrets: Iterable[Secret] = ()) -> str:
    """Return a failure in Stripe's words, without anything secret.

    Args:
        failure: what went wrong.
        secrets: what must not appear.
    """
    words = " ".join(part for part in (failure.message, failure.decline_code or failure.code) if part)
    return hidden(words, secrets).replace("\0", "")[:_WORDS]


def _failure(response: Response) -> Failure:
    body = bodies.read(response.body, _Body)
    return body.error if body is not None else Failure()
