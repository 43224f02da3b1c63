"""How an installation is, and how it is made. A receiver has no way to be asked without a message, so none is sent."""

from __future__ import annotations

import base64
import binascii
import difflib
import secrets as random
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from botstead.core.errors import Invalid
from botstead.core.messages import Health
from botstead.core.ports import Account, Prepared
from botstead.core.secret import Secret
from botstead.runtime.signatures import standard_webhooks_sign

SECRET_BYTES: Final = 32
"""Bytes of a secret that we make; the specification asks for 24 to 64."""

LONGEST_URL: Final = 2_000
PUBLIC: Final = "whpk_"
SETTINGS: Final = ("url",)
SECRETS: Final = ("hook_secret", "hook_secret_previous", "send_secret", "send_secret_previous")


def check(account: Account, hook_url: str = "") -> Health:
    """Say how an installation is, from what we know of it.

    Args:
        account: the installation.
        hook_url: the public address of its hook, if it has one.
    """
    if "hook_secret" not in account.secrets:
        return Health(status="failing", detail="The channel has no hook secret, so nobody can deliver. Replace its secrets.")
    facts = {"hook_url": hook_url} if hook_url else {}
    if not account.enabled:
        return Health(status="degraded", detail="The channel is disabled. Enable it to take and send messages.", facts=facts)
    if account.settings.get("url"):
        return Health(status="ok", detail="Deliveries are taken; replies are sent to the url.", facts=facts)
    return Health(status="ok", detail="Deliveries are taken; replies are kept for the API, as there is no url.", facts=facts)


def prepare(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
    """Check what an operator gave for a new webhook channel, and make the secrets that are missing.

    Args:
        settings: `url`, where replies are posted to; without it they are only kept.
        secrets: `hook_secret` of what comes in, made if missing; `send_secret` of what goes out, by default the same.

    Raises:
        Invalid: something is unknown or wrong; the message names it and the next step.
    """
    _require_known(settings, SETTINGS, "setting")
    _require_known(secrets, SECRETS, "secret")
    url = _url(settings.get("url") or "")
    given = {name: value for name, value in secrets.items() if value}
    for name, value in given.items():
        _check_secret(name, value)
    made = {} if "hook_secret" in given else {"hook_secret": _new_secret()}
    if url and given.get("hook_secret", "").startswith(PUBLIC) and "send_secret" not in given:
        made["send_secret"] = _new_secret()  # a public key can check, but not sign
    return Prepared(settings={"url": url} if url else {}, secrets=given | made, shown_once=made)


def _require_known(given: Iterable[str], known: tuple[str, ...], what: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"Did you mean {near[0]}?" if near else f"There is {', '.join(known)}."
            raise Invalid(f"A webhook channel has no {what} {name}. {advice}")


def _url(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_URL:
        raise Invalid(f"Setting url is a text of at most {LONGEST_URL} characters.")
    url = value.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        usable = False
    if url and not usable:
        raise Invalid("Setting url must be an http or https address without user and password, like https://example.org/replies.")
    return url


def _check_secret(name: str, value: str) -> None:
    if value.startswith(PUBLIC):
        _check_public(name, value.removeprefix(PUBLIC))
        return
    try:
        standard_webhooks_sign(body=b"", message_id="check", timestamp=0, secrets=[Secret(value)])
    except Invalid as error:
        raise Invalid(f"Secret {name}: {error.message}") from error


def _check_public(name: str, key: str) -> None:
    if name.startswith("send_"):
        raise Invalid(f"Secret {name} is a public key, which cannot sign. Give a whsec_ or whsk_ one.")
    try:
        length = len(base64.b64decode(key + "=" * (-len(key) % 4), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if length != SECRET_BYTES:
        raise Invalid(f"Secret {name}: a public key is «whpk_» and the base64 of its 32 bytes.")


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(random.token_bytes(SECRET_BYTES)).decode()
