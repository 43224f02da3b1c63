"""How an installation is, how it is made, and how Telegram learns where to deliver.

Source: https://core.telegram.org/bots/api#getting-updates
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from secrets import token_urlsafe
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec

from botstead.channels.telegram.api import base_of, judge, read_reply
from botstead.channels.telegram.render import API_BASE, call
from botstead.channels.telegram.updates import ALLOWED
from botstead.core.errors import EgressError, Invalid
from botstead.core.messages import Health, Outcome
from botstead.core.ports import Account, Egress, Prepared
from botstead.core.secret import hidden

CONNECTIONS: Final = 40
"""Deliveries that Telegram makes at once; it keeps the order within a chat by itself."""

_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,128}")
_HOOK_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
_ADDRESS: Final = re.compile(r"https?://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?(/[^\s?#{}]*)?")
_MODES: Final = ("webhook", "poll")
_SETTINGS: Final = ("api_base", "mode")
_SECRETS: Final = ("token", "hook_secret")


class _Hook(msgspec.Struct, frozen=True):
    """`WebhookInfo`."""

    url: str = ""
    pending_update_count: int = 0
    last_error_date: int = 0
    last_error_message: str = ""


class _Me(msgspec.Struct, frozen=True):
    """`User`, of the bot itself."""

    id: int
    username: str = ""


Result = TypeVar("Result")


def prepare(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
    """Check what an operator gave for a new Telegram channel, and make its hook secret.

    Args:
        settings: `mode` (webhook or poll) and `api_base`, both optional.
        secrets: `token`; `hook_secret` is made when it is not given.

    Raises:
        Invalid: something is missing or wrong; the message names it and the next step.
    """
    _known(settings, _SETTINGS, "setting")
    _known(secrets, _SECRETS, "secret")
    mode = settings.get("mode", "webhook")
    if mode not in _MODES:
        raise Invalid(f"Setting mode cannot be {mode!r}. Use webhook, or poll where no public address reaches this machine.")
    if not secrets.get("token"):
        raise Invalid("Secret token is missing. Send /newbot to @BotFather on Telegram, and give the token that it answers.")
    token = secrets["token"].strip()
    if not _TOKEN.fullmatch(token):
        raise Invalid("Secret token does not look like 123456:ABC-DEF… . Copy the whole token from @BotFather.")
    given = secrets.get("hook_secret", "")
    if given and not _HOOK_SECRET.fullmatch(given):
        raise Invalid("Secret hook_secret may hold 1 to 256 letters, digits, _ and -. Leave it out to have one made.")
    hook_secret = given or token_urlsafe(32)
    return Prepared(
        settings={**settings, "mode": mode, "api_base": _base(settings.get("api_base", API_BASE))},
        secrets={**secrets, "token": token, "hook_secret": hook_secret},
        shown_once={} if given else {"hook_secret": hook_secret},
    )


async def health(account: Account, egress: Egress) -> Health:
    """Ask Telegram who the bot is and how its deliveries go.

    Args:
        account: the installation.
        egress: the way out.
    """
    me = await _ask(account, egress, "getMe", _Me)
    if isinstance(me, Health):
        return me
    hook = await _ask(account, egress, "getWebhookInfo", _Hook)
    if isinstance(hook, Health):
        return hook
    hook = msgspec.structs.replace(hook, last_error_message=hidden(hook.last_error_message, account.secrets.values()))
    status, detail = _assess(account, hook)
    facts = {
        "username": me.username,
        "hook": _whose(account, hook),
        "pending_update_count": hook.pending_update_count,
        "last_error_message": hook.last_error_message,
        "last_error_date": hook.last_error_date,
    }
    return Health(status=status, detail=detail, facts=facts)


async def install(account: Account, egress: Egress, hook_url: str) -> Health:
    """Tell Telegram where to deliver, or to hold updates for polling. Updates that wait are kept. Safe to repeat.

    Args:
        account: the installation; with `mode = "poll"` the address is not used.
        egress: the way out.
        hook_url: our public address for it, or "".
    """
    if not hook_url or account.settings.get("mode") == "poll":
        done = await _ask(account, egress, "deleteWebhook", bool, "drop_pending_updates=false")
        said = Health(status="ok", detail="Updates are fetched by long polling.", facts={"mode": "poll"})
    else:
        done = await _ask(account, egress, "setWebhook", bool, _hook_query(hook_url))
        said = Health(status="ok", detail=f"Telegram delivers to {hook_url}.", facts={"mode": "webhook"})
    return done if isinstance(done, Health) else said


def _hook_query(url: str) -> str:
    """Parameters of setWebhook. They travel in the query, where the transport can fill in the secret."""
    allowed = msgspec.json.encode(ALLOWED).decode()
    fields = {"url": url, "max_connections": CONNECTIONS, "allowed_updates": allowed}
    return urlencode(fields) + "&secret_token={secret:hook_secret}"


async def _ask(account: Account, egress: Egress, method: str, kind: type[Result], query: str = "") -> Result | Health:
    """Call a method and read its result, or say what is wrong."""
    request = call(f"{method}?{query}" if query else method, {}, base=base_of(account))
    try:
        response = await egress.call(request, account.secrets)
    except EgressError as error:
        return Health(status="unknown", detail=f"Telegram could not be asked: {error.message}")
    reply = read_reply(response)
    if reply is None or not reply.ok:
        receipt = judge(response, account.secrets.values())
        status = "failing" if receipt.outcome is Outcome.FAILED else "degraded"
        return Health(status=status, detail=f"Telegram refused {method}: {receipt.detail}", facts={"reason": str(receipt.reason)})
    try:
        return msgspec.json.decode(reply.result, type=kind)
    except msgspec.MsgspecError:
        return Health(status="unknown", detail=f"Telegram answered {method} in a form that this version cannot read.")


def _assess(account: Account, hook: _Hook) -> tuple[str, str]:
    """Judge what Telegram knows of the webhook: a status and a sentence."""
    polling = account.settings.get("mode") == "poll"
    whose = _whose(account, hook)
    if whose == "other":
        found = _ADDRESS.fullmatch(hook.url)
        host = found["host"] if found else "another address"
        return "failing", f"Another program took this bot: Telegram delivers to {host}. Stop it there, then install again."
    if whose == "none" and not polling:
        return (
            "degraded",
            "Telegram has no address to deliver to. Set BOTSTEAD_PUBLIC_URL and install again, or set mode poll.",
        )
    if whose == "ours" and polling:
        return "degraded", "Telegram still delivers to the webhook, although mode is poll. Install again."
    if hook.pending_update_count and hook.last_error_message:
        waiting = f"{hook.pending_update_count} updates wait"
        return "degraded", f"Telegram cannot deliver, {waiting}: {hook.last_error_message}. Check that the address is reachable."
    return "ok", "Updates are fetched by long polling." if polling else "Telegram delivers to this installation."


def _whose(account: Account, hook: _Hook) -> str:
    """Whether the webhook is ours, another program's, or none."""
    if not hook.url:
        return "none"
    return "ours" if hook.url.endswith(f"/hooks/{account.public_id}") else "other"


def _base(given: Any) -> str:
    """The address of the API server, without the slash at its end."""
    if not isinstance(given, str) or not _ADDRESS.fullmatch(given):
        raise Invalid(f"Setting api_base must be an http(s) address, such as {API_BASE}. Leave it out to use that one.")
    return given.rstrip("/")


def _known(given: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    """Refuse names that nobody reads: they are most likely misspelt."""
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names)}."
            raise Invalid(f"Unknown {what} {name}. {hint}")
