"""The webhook channel: one attempt to send, and what a receiver's answer means.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (2xx is success, a redirect
is a failure, 410 ends the subscription, 429, 502 and 504 ask for less).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from botstead.channels.webhook import health
from botstead.channels.webhook.parse import parse
from botstead.channels.webhook.render import render
from botstead.channels.webhook.verify import verify
from botstead.core import bodies
from botstead.core.clock import Clock, SystemClock
from botstead.core.errors import EgressBroken, EgressError, EgressRefused, EgressTimeout, Invalid
from botstead.core.messages import AnswerButton, Delivery, Health, Outcome, Parsed, Reason, Receipt, Response, Typing
from botstead.core.ports import Account, Egress, Prepared, Sending
from botstead.core.secret import Secret
from botstead.runtime.retry_after import retry_after
from botstead.runtime.signatures import standard_webhooks_sign

_TRANSIENT: Final = (408, 425)
LONGEST_ID: Final = 200
"""Characters of a receiver's message id that are believed to be one."""


class _Answered(msgspec.Struct, frozen=True):
    id: str | int = ""


class Webhook:
    """`core.ports.ChannelKind` for programs that speak Standard Webhooks 1.0."""

    kind = "webhook"

    def __init__(self, clock: Clock | None = None) -> None:
        """Build the kind.

        Args:
            clock: for the timestamps of what is sent.
        """
        self._clock = clock or SystemClock()

    def verify(self, delivery: Delivery, account: Account, now: float) -> None:
        """Check the signature; see `verify.verify`.

        Raises:
            Rejected: whatever is wrong.
        """
        verify(delivery, account, now)

    def parse(self, delivery: Delivery, _account: Account) -> Parsed:
        """Find the events; see `parse.parse`.

        Raises:
            Unreadable: the body is not JSON that we take.
        """
        return parse(delivery)

    async def deliver(self, sending: Sending, account: Account, egress: Egress) -> Receipt:
        """Make one attempt to send. Without a `url` the reply is only kept, where the API reads it."""
        if not account.settings.get("url"):
            return Receipt(outcome=Outcome.SENT, external_id=str(sending.id))
        now = self._clock.now()
        sign = partial(standard_webhooks_sign, secrets=_signing_secrets(account))
        try:
            response = await egress.call(render(sending, account, now=now, sign=sign))
        except Invalid as error:
            receipt = Receipt(outcome=Outcome.FAILED, reason=Reason.REVOKED, detail=error.message)
        except EgressError as error:
            receipt = judge_error(error)
        else:
            receipt = judge(response, sending, now=now)
        unfinished = receipt.outcome in (Outcome.LATER, Outcome.UNKNOWN)
        if unfinished and isinstance(sending.action, Typing | AnswerButton):
            return msgspec.structs.replace(receipt, outcome=Outcome.FAILED)  # shown late they are worse than never
        return receipt

    async def health(self, account: Account, _egress: Egress) -> Health:
        """Say how the installation is; nobody is asked."""
        return health.check(account)

    async def install(self, account: Account, _egress: Egress, hook_url: str) -> Health:
        """Say where deliveries go; the sender is told by the operator.

        Args:
            account: the installation.
            hook_url: the public address of its hook, or "".
        """
        return health.check(account, hook_url)

    def prepare(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
        """Check settings and secrets of a new channel; see `health.prepare`.

        Raises:
            Invalid: something is unknown or wrong.
        """
        return health.prepare(settings, secrets)


def judge(response: Response, sending: Sending, *, now: float) -> Receipt:
    """Say what an answer means for the message: sent, later, or never.

    Args:
        response: what came back. A body `{"id": …}` names the message for later edits; any other body is ignored.
        sending: what was sent; its id names the message otherwise.
        now: Unix seconds.
    """
    status = response.status
    detail = f"The receiver answered {status}."
    if 200 <= status < 300:
        return Receipt(outcome=Outcome.SENT, external_id=_external_id(response) or str(sending.id))
    if status == 429 or status >= 500 or status in _TRANSIENT:
        throttled = status == 429
        return Receipt(
            outcome=Outcome.LATER,
            reason=Reason.THROTTLED if throttled else Reason.UNAVAILABLE,
            detail=detail,
            after=retry_after(response.headers.get("retry-after"), now=now),
            counted=not throttled,
        )
    reason, advice = _refusal(status)
    return Receipt(outcome=Outcome.FAILED, reason=reason, detail=f"{detail} {advice}")


def judge_error(error: EgressError) -> Receipt:
    """Say what it means that no answer came.

    Args:
        error: why.
    """
    if isinstance(error, EgressTimeout | EgressBroken):
        reason = Reason.TIMEOUT if isinstance(error, EgressTimeout) else Reason.UNAVAILABLE
        return Receipt(outcome=Outcome.UNKNOWN, reason=reason, detail=error.message)
    if isinstance(error, EgressRefused):
        return Receipt(outcome=Outcome.FAILED, reason=Reason.REFUSED, detail=error.message)
    return Receipt(outcome=Outcome.LATER, reason=Reason.UNAVAILABLE, detail=error.message, after=error.after)


def _refusal(status: int) -> tuple[Reason, str]:
    if status == 410:
        return Reason.GONE, "It wants no more messages. Disable the channel, or give it another url."
    if status in (401, 403):
        return Reason.REVOKED, "It does not accept our signature. Give both sides the same send secret."
    if 300 <= status < 400:
        return Reason.INVALID, "Redirects are not followed. Set url to the final address."
    return Reason.INVALID, "It does not take this message as it is."


def _external_id(response: Response) -> str:
    answered = bodies.read(response.body, _Answered)
    found = "" if answered is None else str(answered.id)
    return found if len(found) <= LONGEST_ID and found.isprintable() else ""


def _signing_secrets(account: Account) -> list[Secret]:
    """The secrets to sign with: during a rotation both, so that either side may change first."""
    purpose = "send_secret" if "send_secret" in account.secrets else "hook_secret"
    return [account.secrets[name] for name in (purpose, f"{purpose}_previous") if name in account.secrets]


KIND = Webhook()
