"""Who sent this? Signatures checked over raw bytes, in constant time, without a surprise.

Every `*_verify` returns None or raises `Rejected`, whatever bytes it is given: the verifiers that providers publish raise
`ValueError`, `TypeError` or `UnicodeDecodeError` on hostile input, and each of those would be a 500 that a stranger can cause.
Values from the request are bytes, or None when a header was absent or ambiguous. Several secrets may be valid at once, so
that a secret can be rotated; all of them are tried, so that timing does not tell which one matched.
"""

from __future__ import annotations

import binascii
import hmac
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from botstead.core.errors import Invalid, Rejected
from botstead.core.secret import Secret

TOLERANCE: Final = 300.0
"""Seconds that a timestamp may be off, to either side."""

_LONGEST_HEADER = 4096
_MOST_SIGNATURES = 16
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_HEX = re.compile(rb"(?:[0-9a-f]{2})+")
_KEY_BYTES = range(16, 129)
_SYMMETRIC, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"
_SEED_BYTES = 32


def standard_webhooks_verify(  # noqa: PLR0913  a signature covers that many things, each given by name
    *,
    body: bytes,
    message_id: bytes | None,
    timestamp: bytes | None,
    signature: bytes | None,
    secrets: Sequence[Secret],
    now: float,
    tolerance: float = TOLERANCE,
) -> None:
    """Check a delivery signed as Standard Webhooks 1.0.0 says: `v1` (HMAC-SHA256) or `v1a` (Ed25519).

    Args:
        body: the raw request body.
        message_id: header `webhook-id`.
        timestamp: header `webhook-timestamp`, Unix seconds in decimal digits.
        signature: header `webhook-signature`, a list separated by spaces; one valid entry is enough.
        secrets: `whsec_` + base64 (the prefix may be missing), or `whpk_` + base64 of a public key. The specification makes
            keys of 24 to 64 bytes; senders exist whose keys are shorter, so 16 to 128 are taken.
        now: Unix seconds.
        tolerance: seconds that the timestamp may be off.

    Raises:
        Rejected: it was not signed with any of these secrets, or not now.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    message_id, signature = _present(message_id), _present(signature)
    sent = _fresh(timestamp, now, tolerance)
    content = b"%b.%b.%b" % (message_id, sent, body)
    entries = signature.split(b" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]
    given = [value for version, _, value in (entry.partition(b",") for entry in entries) if version == b"v1"]
    given_ed25519 = [value for version, _, value in (entry.partition(b",") for entry in entries) if version == b"v1a"]
    expected = [b64encode(_mac(key, content)) for key in map(_symmetric_key, secrets) if key]
    public = [key for key in map(_public_key, secrets) if key]
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    matches += [_ed25519(key, _base64(value), content) for key in public for value in given_ed25519]
    _require(matches)


def standard_webhooks_sign(*, body: bytes, message_id: str, timestamp: int, secrets: Sequence[Secret]) -> str:
    """Return the `webhook-signature` header for a delivery of ours, one entry a secret.

    Args:
        body: the raw request body.
        message_id: what goes into `webhook-id`; no dot in it, which would make the signed text ambiguous.
        timestamp: what goes into `webhook-timestamp`, Unix seconds.
        secrets: `whsec_` + base64 for `v1`, `whsk_` + base64 of seed and public key for `v1a`; two during a rotation.

    Raises:
        Invalid: a secret is not in that form, there is none, or the id holds a dot.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    if "." in message_id or not secrets:
        raise Invalid("A webhook id may not hold a dot, and at least one secret is needed to sign.")
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join(_signed(secret, content) for secret in secrets)


def shared_token_verify(given: bytes | None, secrets: Sequence[Secret]) -> None:
    """Check a token that the provider repeats in a header, such as Telegram's `X-Telegram-Bot-Api-Secret-Token`.

    Args:
        given: the header's value.
        secrets: the tokens that are valid now.

    Raises:
        Rejected: the header is missing or holds none of them.

    Source: https://core.telegram.org/bots/api#setwebhook
    """
    token = _present(given)
    _require([hmac.compare_digest(key, token) for key in _raw_keys(secrets)])


def slack_verify(  # noqa: PLR0913  a signature covers that many things, each given by name
    *,
    body: bytes,
    timestamp: bytes | None,
    signature: bytes | None,
    secrets: Sequence[Secret],
    now: float,
    tolerance: float = TOLERANCE,
) -> None:
    """Check a request from Slack: `v0=` and the hex HMAC-SHA256 of `v0:<timestamp>:<body>`.

    Args:
        body: the raw request body, form-encoded ones included.
        timestamp: header `X-Slack-Request-Timestamp`.
        signature: header `X-Slack-Signature`.
        secrets: the app's signing secrets.
        now: Unix seconds.
        tolerance: seconds that the timestamp may be off.

    Raises:
        Rejected: it was not signed with any of these secrets, or not now.

    Source: https://docs.slack.dev/authentication/verifying-requests-from-slack/
    """
    given = _present(signature)
    content = b"v0:%b:%b" % (_fresh(timestamp, now, tolerance), body)
    _require_hex(given, content, secrets, prefix=b"v0=")


def stripe_verify(
    *, body: bytes, signature: bytes | None, secrets: Sequence[Secret], now: float, tolerance: float = TOLERANCE
) -> None:
    """Check an event from Stripe: `t=<timestamp>,v1=<hex>[,v1=<hex>]`, HMAC-SHA256 of `<timestamp>.<body>`.

    Unlike Stripe's own library this also refuses a timestamp from the future.

    Args:
        body: the raw request body.
        signature: header `Stripe-Signature`.
        secrets: the endpoint's signing secrets.
        now: Unix seconds.
        tolerance: seconds that the timestamp may be off.

    Raises:
        Rejected: it was not signed with any of these secrets, or not now.

    Source: https://docs.stripe.com/webhooks/signature
    """
    fields = [field.partition(b"=") for field in _present(signature).split(b",", _MOST_SIGNATURES)]
    times = [value for name, _, value in fields if name == b"t"]
    given = [value for name, _, value in fields if name == b"v1"]
    if len(times) != 1 or not given:
        raise Rejected(reason="malformed")
    content = b"%b.%b" % (_fresh(times[0], now, tolerance), body)
    expected = [_hex(key, content, "sha256") for key in _raw_keys(secrets)]
    _require([hmac.compare_digest(one, other) for one in expected for other in given])


def meta_verify(*, body: bytes, signature: bytes | None, secrets: Sequence[Secret]) -> None:
    """Check a delivery from WhatsApp, Messenger, Instagram or GitHub: `sha256=` and the hex HMAC-SHA256 of the body.

    There is no timestamp, so a replay is only caught by its dedup key.

    Args:
        body: the raw request body.
        signature: header `X-Hub-Signature-256`.
        secrets: the app's secrets.

    Raises:
        Rejected: it was not signed with any of these secrets.

    Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    _require_hex(_present(signature), body, secrets, prefix=b"sha256=")


def discord_verify(*, body: bytes, timestamp: bytes | None, signature: bytes | None, public_keys: Sequence[str]) -> None:
    """Check an interaction from Discord: Ed25519 over timestamp and body.

    Discord documents no time window, so none is applied here.

    Args:
        body: the raw request body.
        timestamp: header `X-Signature-Timestamp`, taken as it is.
        signature: header `X-Signature-Ed25519`, hex.
        public_keys: the application's public keys, hex.

    Raises:
        Rejected: it was not signed by any of these keys. Discord removes an endpoint that answers anything but 401 to that.

    Source: https://docs.discord.com/developers/interactions/overview
    """
    content = _present(timestamp) + body
    given = _unhex(_present(signature))
    keys = [key for key in (_loaded(_unhex(key.lower().encode("utf-8", "replace"))) for key in public_keys) if key]
    _require([_ed25519(key, given, content) for key in keys])


def paypal_message(*, body: bytes, transmission_id: bytes, timestamp: bytes, webhook_id: bytes) -> bytes:
    """Return what PayPal signs: the ids, the time, and the CRC-32 of the body in decimal digits.

    Args:
        body: the raw request body.
        transmission_id: header `PAYPAL-TRANSMISSION-ID`.
        timestamp: header `PAYPAL-TRANSMISSION-TIME`.
        webhook_id: PayPal's id of the webhook, which is not in the request: whoever signs for another webhook signs another text.

    Source: https://developer.paypal.com/api/rest/webhooks/rest/#link-selfverificationmethod
    """
    return b"%b|%b|%b|%d" % (transmission_id, timestamp, webhook_id, zlib.crc32(body))


def paypal_verify(*, message: bytes, signature: bytes | None, key: RSAPublicKey) -> None:
    """Check a delivery from PayPal: base64 of an RSA signature (PKCS #1 v1.5, SHA-256).

    Args:
        message: from `paypal_message`; its time is for the caller to judge, since PayPal repeats deliveries for days.
        signature: header `PAYPAL-TRANSMISSION-SIG`.
        key: of the certificate at `PAYPAL-CERT-URL`, which the caller has reason to trust.

    Raises:
        Rejected: it was not signed with this key.

    Source: https://developer.paypal.com/api/rest/webhooks/rest/#link-selfverificationmethod
    """
    given = _present(signature)
    decoded = _base64(given)
    if b64encode(decoded) != given:  # one signature has one form
        raise Rejected(reason="malformed")
    try:
        key.verify(decoded, message, PKCS1v15(), SHA256())
    except InvalidSignature as error:
        raise Rejected(reason="signature") from error


def hex_hmac_verify(
    *,
    body: bytes,
    signature: bytes | None,
    secrets: Sequence[Secret],
    prefix: bytes = b"",
    algorithm: Literal["sha256", "sha512"] = "sha256",
) -> None:
    """Check the common form that many services use: a header with the hex HMAC of the body.

    Args:
        body: the raw request body.
        signature: the header's value.
        secrets: the secrets that are valid now.
        prefix: what the header says before the hex digits, such as `sha256=`.
        algorithm: the hash function.

    Raises:
        Rejected: it was not signed with any of these secrets.
    """
    _require_hex(_present(signature), body, secrets, prefix=prefix, algorithm=algorithm)


def _present(value: bytes | None) -> bytes:
    if not value:
        raise Rejected(reason="missing")
    if len(value) > _LONGEST_HEADER:
        raise Rejected(reason="malformed")
    return value


def _fresh(timestamp: bytes | None, now: float, tolerance: float) -> bytes:
    given = _present(timestamp)
    if not _TIMESTAMP.fullmatch(given):
        raise Rejected(reason="malformed")
    age = now - int(given)
    if age > tolerance:
        raise Rejected(reason="replay")
    if age < -tolerance:
        raise Rejected(reason="clock")
    return given


def _require(matches: list[bool]) -> None:
    if not any(matches):
        raise Rejected(reason="signature")


def _require_hex(given: bytes, content: bytes, secrets: Sequence[Secret], *, prefix: bytes, algorithm: str = "sha256") -> None:
    expected = [prefix + _hex(key, content, algorithm) for key in _raw_keys(secrets)]
    _require([hmac.compare_digest(one, given) for one in expected])


def _raw_keys(secrets: Sequence[Secret]) -> list[bytes]:
    """An empty secret is no secret: with it, everybody could sign."""
    return [secret.reveal().encode("utf-8", "surrogatepass") for secret in secrets if secret.reveal()]


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _hex(key: bytes, content: bytes, algorithm: str) -> bytes:
    return hmac.digest(key, content, algorithm).hex().encode()


def _symmetric_key(secret: Secret) -> bytes | None:
    text = secret.reveal()
    if text.startswith((_PRIVATE, _PUBLIC)):
        return None
    key = _base64(text.removeprefix(_SYMMETRIC).encode("utf-8", "replace"))
    return key if len(key) in _KEY_BYTES else None


def _public_key(secret: Secret) -> Ed25519PublicKey | None:
    text = secret.reveal()
    if not text.startswith(_PUBLIC):
        return None
    return _loaded(_base64(text.removeprefix(_PUBLIC).encode("utf-8", "replace")))


def _signed(secret: Secret, content: bytes) -> str:
    text = secret.reveal()
    if text.startswith(_PRIVATE):
        seed = _base64(text.removeprefix(_PRIVATE).encode("utf-8", "replace"))[:_SEED_BYTES]
        if len(seed) == _SEED_BYTES:
            return f"v1a,{b64encode(Ed25519PrivateKey.from_private_bytes(seed).sign(content)).decode()}"
    elif key := _symmetric_key(secret):
        return f"v1,{b64encode(_mac(key, content)).decode()}"
    raise Invalid("A webhook secret is «whsec_» and the base64 of 24 to 64 random bytes.")


def _loaded(key: bytes) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(key)
    except ValueError:
        return None


def _ed25519(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _base64(text: bytes) -> bytes:
    """Decode base64, padded or not; anything else is empty, which matches nothing."""
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""


def _unhex(text: bytes) -> bytes:
    """Decode lower-case hex, the only form that is sent; anything else is empty, which matches nothing."""
    return binascii.unhexlify(text) if _HEX.fullmatch(text) else b""
