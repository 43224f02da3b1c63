"""How a PayPal account is set up as a channel, where its servers are, and how it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from botstead.core import given
from botstead.core.errors import Invalid
from botstead.core.messages import Health
from botstead.core.ports import Account, Prepared
from botstead.integrations.paypal.parse import EVENTS

SETTINGS: Final = ("webhook_id", "environment", "api_base", "authority")
SECRETS: Final = ("client_id", "client_secret")
BASES: Final[Mapping[str, str]] = {"live": "https://api-m.paypal.com", "sandbox": "https://api-m.sandbox.paypal.com"}
"""Source: https://developer.paypal.com/api/rest/requests/#link-httprequest"""
CERTIFICATES: Final = "/v1/notifications/certs/"
_HOSTS: Final[Mapping[str, re.Pattern[str]]] = {
    "live": re.compile(r"https://api(-m)?\.paypal\.com" + CERTIFICATES + "[A-Za-z0-9_-]{1,200}"),
    "sandbox": re.compile(r"https://api(-m)?\.sandbox\.paypal\.com" + CERTIFICATES + "[A-Za-z0-9_-]{1,200}"),
}
_ADVICE: Final[Mapping[str, str]] = {
    "client_id": "PayPal's Developer Dashboard shows it under Apps & Credentials.",
    "client_secret": "PayPal's Developer Dashboard shows it under Apps & Credentials.",
    "webhook_id": "PayPal's Developer Dashboard shows it at the app's webhook that leads to the channel's hook_url.",
    "environment": "It is live or sandbox.",
    "authority": "It is a certificate in PEM, for a server that stands in for PayPal.",
}
_WEBHOOK: Final = re.compile(r"[A-Za-z0-9]{1,50}")


class _EventType(msgspec.Struct, frozen=True):
    name: str = ""


class Webhook(msgspec.Struct, frozen=True):
    """A webhook as PayPal shows it: https://developer.paypal.com/docs/api/webhooks/v1/#webhooks_get."""

    id: str = ""
    url: str = ""
    event_types: tuple[_EventType, ...] = ()


class Webhooks(msgspec.Struct, frozen=True):
    """All webhooks of an app."""

    webhooks: tuple[Webhook, ...] = ()


def prepare(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
    """Check what an operator gave for a PayPal account.

    Args:
        settings: `environment`, by default live; `webhook_id`, which PayPal shows only once the hook has been entered there;
            `api_base` and `authority` only for a server that stands in for PayPal.
        secrets: `client_id` and `client_secret`.

    Raises:
        Invalid: something is unknown, missing or wrong; the message names it and the next step.
    """
    given.known(settings, SETTINGS, what="setting of a PayPal account")
    given.known(secrets, SECRETS, what="secret of a PayPal account")
    texts = {name: given.text(settings, name, what="setting", advice=_ADVICE[name]) for name in ("webhook_id", "environment")}
    if texts["environment"] not in ("", *BASES):
        raise Invalid(f"The setting environment is live or sandbox, not {texts['environment'][:20]!r}.")
    if texts["webhook_id"] and not _WEBHOOK.fullmatch(texts["webhook_id"]):
        raise Invalid(f"The setting webhook_id has letters and digits only. {_ADVICE['webhook_id']}")
    base, authority = given.address(settings, "api_base"), settings.get("authority", "")
    if not isinstance(authority, str) or len(authority) > 10_000 or (authority and not base):
        raise Invalid(f"The setting authority needs api_base beside it. {_ADVICE['authority']}")
    kept = {**texts, "environment": texts["environment"] or "live", "api_base": base, "authority": authority}
    found: dict[str, str] = {}
    for name in secrets:
        value = given.text(secrets, name, what="secret", advice=_ADVICE[name.removesuffix(given.PREVIOUS)])
        found |= {name: value} if value else {}
    for name in SECRETS:
        given.text(secrets, name, what="secret", advice=_ADVICE[name], required=True)
    return Prepared(settings={name: value for name, value in kept.items() if value}, secrets=found)


def base_of(account: Account) -> str:
    """Return the address of PayPal's API for an account."""
    return str(account.settings.get("api_base") or BASES[_environment(account)])


def certificates_at(account: Account, url: str) -> bool:
    """Tell whether a certificate of this account's environment can be at an address.

    Args:
        account: the installation.
        url: header `PAYPAL-CERT-URL`: it comes from whoever sent the request, so it must be at PayPal's own hosts.
    """
    own = str(account.settings.get("api_base") or "")
    if own:
        return re.fullmatch(re.escape(own + CERTIFICATES) + "[A-Za-z0-9_-]{1,200}", url) is not None
    return _HOSTS[_environment(account)].fullmatch(url) is not None


def authorities(account: Account) -> tuple[bytes, ...]:
    """Return the authorities that may have issued the certificates; none means the usual ones."""
    own = account.settings.get("api_base") and account.settings.get("authority")
    return (str(own).encode(),) if own else ()


def judge(account: Account, webhooks: Webhooks, hook_url: str) -> Health:
    """Say how an account is, from the webhooks that PayPal has of its app.

    Args:
        account: the installation.
        webhooks: as PayPal lists them.
        hook_url: the public address of its hook, or "" when it is not known here.
    """
    facts: dict[str, Any] = {"environment": _environment(account)}
    if hook_url:
        facts |= {"hook_url": hook_url, "events": list(EVENTS)}
    wanted = str(account.settings.get("webhook_id") or "")
    there = next((one for one in webhooks.webhooks if one.url == hook_url and hook_url), None)
    found = next((one for one in webhooks.webhooks if one.id == wanted), None)
    if not wanted:
        step = (
            f"Set webhook_id to {there.id}."
            if there
            else "Add a webhook for hook_url with these events there, then set webhook_id."
        )
        return Health(status="degraded", detail=f"Nothing that PayPal sends is believed yet. {step}", facts=facts)
    if found is None:
        return Health(
            status="degraded", detail=f"PayPal knows no webhook {wanted}. Set webhook_id to the right one.", facts=facts
        )
    subscribed = {one.name for one in found.event_types}
    missing = [] if "*" in subscribed else [name for name in EVENTS if name not in subscribed]
    if missing:
        return Health(status="degraded", detail=f"The webhook is not subscribed to {', '.join(missing)}.", facts=facts)
    return Health(status="ok", detail="PayPal accepts the credentials and knows the webhook.", facts=facts)


def _environment(account: Account) -> str:
    found = str(account.settings.get("environment") or "live")
    return found if found in BASES else "live"
