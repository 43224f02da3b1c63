"""The token that requests to PayPal carry: fetched with the account's credentials, kept in this process only, asked for once."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from typing import Final

import msgspec

from botstead.core import bodies
from botstead.core.clock import Clock
from botstead.core.errors import EgressBroken
from botstead.core.messages import Call
from botstead.core.ports import Account
from botstead.core.secret import Secret
from botstead.integrations.paypal.errors import require
from botstead.runtime.outside.service import Service

EARLY: Final = 60.0
"""Seconds before its end that a token is no longer used."""
_SECONDS: Final = 15.0
_MOST: Final = 256
"""Accounts whose tokens are kept."""


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 0.0


class Tokens:
    """Tokens by account; who needs one that is being fetched waits for it."""

    def __init__(self, service: Service, clock: Clock) -> None:
        """Build it.

        Args:
            service: the way to PayPal.
            clock: to tell when a token ends.
        """
        self._service = service
        self._clock = clock
        self._kept: dict[str, tuple[Secret, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, account: Account, base: str) -> Secret:
        """Return a token that holds for another minute.

        Args:
            account: whose credentials.
            base: PayPal's address.

        Raises:
            PaymentRefused: the credentials are not accepted.
            EgressError: PayPal could not be asked.
        """
        name = _name(account, base)
        if len(self._locks) > _MOST and name not in self._locks:
            self._locks.clear()
            self._kept.clear()
        async with self._locks.setdefault(name, asyncio.Lock()):
            token, until = self._kept.get(name, (Secret(""), 0.0))
            if self._clock.monotonic() >= until:
                token, until = await self._fetch(account, base)
                self._kept[name] = token, until
            return token

    def forget(self, account: Account, base: str, token: Secret) -> None:
        """Drop a token that PayPal no longer takes, unless another came in the meantime."""
        name = _name(account, base)
        if name in self._kept and self._kept[name][0] is token:
            del self._kept[name]

    async def _fetch(self, account: Account, base: str) -> tuple[Secret, float]:
        """Source: https://developer.paypal.com/api/rest/authentication/ ."""
        call = Call(
            method="POST",
            url=f"{base}/v1/oauth2/token",
            headers={"authorization": "Basic {secret:basic}", "content-type": "application/x-www-form-urlencoded"},
            body=b"grant_type=client_credentials",
        )
        pair = ":".join(
            account.secrets[name].reveal() if name in account.secrets else "" for name in ("client_id", "client_secret")
        )
        basic = Secret(b64encode(pair.encode()).decode())
        began = self._clock.monotonic()
        response = await self._service.ask(call, {"basic": basic}, seconds=_SECONDS, repeatable=True)
        require(response, now=self._clock.now(), secrets=(basic, *account.secrets.values()))
        granted = bodies.read(response.body, _Granted)
        if granted is None:
            raise EgressBroken("PayPal's answer holds no token.")
        return Secret(granted.access_token), began + granted.expires_in - EARLY


def _name(account: Account, base: str) -> str:
    """Name a pair of credentials without holding it."""
    digest = hashlib.sha256(base.encode())
    for name in ("client_id", "client_secret"):
        digest.update(b"\0" + (account.secrets[name].reveal().encode() if name in account.secrets else b""))
    return digest.hexdigest()
