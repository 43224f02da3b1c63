"""How a Stripe account is set up as a channel, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from botstead.core import given
from botstead.core.errors import Invalid
from botstead.core.messages import Health
from botstead.core.ports import Account, Prepared
from botstead.integrations.stripe.parse import EVENTS

SETTINGS: Final = ("api_base",)
SECRETS: Final = ("key", "webhook_secret")
PATIENCE: Final = 600
"""Seconds after which an event that has not reached us is worth a word."""
_PREFIXES: Final[Mapping[str, tuple[str, ...]]] = {"key": ("sk_", "rk_"), "webhook_secret": ("whsec_",)}
_ADVICE: Final[Mapping[str, str]] = {
    "key": "Stripe's Dashboard shows it under Developers, API keys: a restricted key rk_…, or the secret key sk_….",
    "webhook_secret": "Stripe's Dashboard shows it at the endpoint that leads to the channel's hook_url: whsec_….",
}


class Listed(msgspec.Struct, frozen=True):
    """An event in a list; what it says is not read here."""

    id: str
    type: str


class Events(msgspec.Struct, frozen=True):
    """A page of a list: https://docs.stripe.com/api/events/list."""

    data: tuple[Listed, ...] = ()


def prepare(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
    """Check what an operator gave for a Stripe account.

    Args:
        settings: `api_base`, only for a server that stands in for Stripe.
        secrets: `key`; and `webhook_secret`, which Stripe shows only once the hook has been entered there.

    Raises:
        Invalid: something is unknown, missing or wrong; the message names it and the next step.
    """
    given.known(settings, SETTINGS, what="setting of a Stripe account")
    given.known(secrets, SECRETS, what="secret of a Stripe account")
    found = {}
    for name in secrets:
        kind = name.removesuffix(given.PREVIOUS)
        value = given.text(secrets, name, what="secret", advice=_ADVICE[kind])
        if value and not value.startswith(_PREFIXES[kind]):
            raise Invalid(f"The secret {name} does not begin with {' or '.join(_PREFIXES[kind])}. {_ADVICE[kind]}")
        if value:
            found[name] = value
    given.text(secrets, "key", what="secret", advice=_ADVICE["key"], required=True)
    base = given.address(settings, "api_base")
    return Prepared(settings={"api_base": base} if base else {}, secrets=found)


def judge(account: Account, undelivered: Events, hook_url: str) -> Health:
    """Say how an account is.

    Args:
        account: the installation.
        undelivered: events of the last day that some endpoint of the account has not taken for ten minutes.
        hook_url: the public address of its hook, or "" when it is not known here.
    """
    missed = sum(event.type in EVENTS for event in undelivered.data)
    facts: dict[str, Any] = {"mode": _mode(account), "undelivered": missed}
    if hook_url:
        facts |= {"hook_url": hook_url, "events": list(EVENTS)}
    if "webhook_secret" not in account.secrets:
        step = "In Stripe's Dashboard add an endpoint for hook_url with these events, then set the secret webhook_secret."
        return Health(status="degraded", detail=f"Nothing that Stripe sends is believed yet. {step}", facts=facts)
    if missed:
        detail = f"{missed} events of the last day have not been delivered. Look at the endpoint in Stripe's Dashboard."
        return Health(status="degraded", detail=f"{detail} Payments are asked after meanwhile.", facts=facts)
    return Health(status="ok", detail="Stripe accepts the key, and its events arrive.", facts=facts)


def _mode(account: Account) -> str:
    key = account.secrets["key"].reveal() if "key" in account.secrets else ""
    return "live" if "_live_" in key[:12] else "test"
