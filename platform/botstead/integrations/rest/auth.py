"""Who asks: what each kind of `auth` adds to a call, as placeholders that the transport fills in.

Sources: bearer, RFC 6750; basic, RFC 7617; HMAC, RFC 2104.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Final, NamedTuple

from botstead.core.declared import Auth, RestDeclared
from botstead.core.secret import Secret

_PLACE: Final = "{secret:auth}"


class Proof(NamedTuple):
    """What a call carries to be believed.

    Args:
        headers: with placeholders.
        query: with placeholders, without ? and &.
        secrets: values for them.
    """

    headers: Mapping[str, str] = {}
    query: str = ""
    secrets: Mapping[str, Secret] = {}


def proof(declared: RestDeclared, secret: Secret, body: bytes) -> Proof:
    """Prove who asks.

    Args:
        declared: the service.
        secret: the bot's; with oauth2, the token.
        body: exactly what is sent.
    """
    auth = declared.auth
    if auth is Auth.BASIC:
        return _header("authorization", f"Basic {_PLACE}", basic(declared.user, secret))
    if auth is Auth.HEADER:
        return _header(declared.header, declared.prefix + _PLACE, secret)
    if auth is Auth.QUERY:
        return Proof(query=f"{declared.parameter}={_PLACE}", secrets={"auth": secret})
    if auth is Auth.HMAC:
        return _header(declared.header, declared.prefix + _PLACE, signature(declared, secret, body))
    return _header("authorization", f"Bearer {_PLACE}", secret)


def basic(user: str, password: Secret) -> Secret:
    """Write user and password as basic authentication wants them.

    Args:
        user: without a colon.
        password: anything.
    """
    return Secret(base64.b64encode(f"{user}:{password.reveal()}".encode()).decode())


def signature(declared: RestDeclared, secret: Secret, body: bytes) -> Secret:
    """Sign a raw body.

    Args:
        declared: has algorithm and encoding.
        secret: the key.
        body: exactly what is sent; empty when nothing is.
    """
    mac = hmac.digest(secret.reveal().encode(), body, declared.algorithm)
    return Secret(base64.b64encode(mac).decode() if declared.encoding == "base64" else mac.hex())


def _header(name: str, value: str, secret: Secret) -> Proof:
    return Proof(headers={name: value}, secrets={"auth": secret})
