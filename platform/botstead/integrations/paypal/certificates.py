"""The certificates that PayPal signs with: fetched from its own hosts only, kept for a day, known to `verify` from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from botstead.core.clock import Clock
from botstead.core.errors import EgressBroken
from botstead.core.messages import Call
from botstead.runtime.certificates import Unreadable, leaf_key, trusted
from botstead.runtime.outside.service import Service

KEPT: Final = 86_400.0
NOTHING_KEPT: Final = 300.0
"""Seconds that it is remembered that there is no certificate at an address."""
MOST: Final = 64
"""Certificates that are kept."""
SUFFIX: Final = ".paypal.com"
_SECONDS: Final = 10.0
_LIMIT: Final = 65_536


class Certificate(NamedTuple):
    """What is at an address.

    Args:
        key: the signer's; None when there is no certificate.
        trusted: whether its chain leads to an authority, and its name below PayPal's domain.
        until: monotonic seconds.
    """

    key: RSAPublicKey | None
    trusted: bool
    until: float


class Certificates:
    """Certificates by address. Addresses must be checked before they come here."""

    def __init__(self, service: Service, clock: Clock) -> None:
        """Build it.

        Args:
            service: the way to PayPal.
            clock: for their validity.
        """
        self._service = service
        self._clock = clock
        self._kept: dict[str, Certificate] = {}
        self._lock = asyncio.Lock()

    def known(self, url: str) -> RSAPublicKey | None:
        """Return the key of a certificate that was fetched and is trusted; never asks."""
        found = self._kept.get(url)
        return found.key if found and found.trusted and found.until > self._clock.monotonic() else None

    async def get(self, url: str, roots: Sequence[bytes]) -> Certificate:
        """Return what is at an address; one is fetched at a time.

        Args:
            url: at PayPal's.
            roots: authorities in PEM, instead of the usual ones.

        Raises:
            EgressError: PayPal could not be asked.
        """
        async with self._lock:
            found = self._kept.get(url)
            if found is None or found.until <= self._clock.monotonic():
                found = await self._fetch(url, roots)
                if len(self._kept) >= MOST:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[url] = found
            return found

    async def _fetch(self, url: str, roots: Sequence[bytes]) -> Certificate:
        response = await self._service.ask(Call(method="GET", url=url, limit=_LIMIT), seconds=_SECONDS)
        now = self._clock.monotonic()
        if response.status >= 500 or response.status == 429:
            raise EgressBroken(f"PayPal answered {response.status} instead of its certificate.")
        try:
            key = leaf_key(response.body) if response.status == 200 else None
        except Unreadable:
            key = None
        if key is None:
            return Certificate(None, trusted=False, until=now + NOTHING_KEPT)
        valid = trusted(response.body, suffix=SUFFIX, now=self._clock.now(), roots=roots)
        return Certificate(key, trusted=valid, until=now + KEPT)
