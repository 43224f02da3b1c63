"""Tokens by client credentials: kept until shortly before they end, asked for once for all who need one at the same time.

Source: RFC 6749 sections 2.3.1, 4.4 and 5, https://www.rfc-editor.org/rfc/rfc6749
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from botstead.core import bodies
from botstead.core.clock import Clock
from botstead.core.declared import RestDeclared
from botstead.core.errors import EgressError, EgressTimeout
from botstead.core.messages import Call, Response
from botstead.core.secret import Secret
from botstead.integrations.rest.auth import basic
from botstead.integrations.rest.errors import RestAnswered, RestKeyRefused
from botstead.runtime.outside import Service
from botstead.runtime.outside.caller import Caller, caller

EARLY: Final = 60.0
"""Seconds before its end from which a token is not used any more; of a short one, half its time."""
UNSAID: Final = 300.0
"""Seconds that a token is kept whose end the service does not tell."""
_FAULTS: Final = frozenset({"invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope", "unsupported_grant_type"})
_FORM: Final = "application/x-www-form-urlencoded"
_ANSWER_LIMIT: Final = 65_536


class Granted(msgspec.Struct, frozen=True):
    """The answer to a request for a token."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105  a type, no token
    expires_in: float | str | None = None


class Fault(msgspec.Struct, frozen=True):
    """The answer when there is none."""

    error: str = ""


class Tokens:
    """The token of one bot for one service."""

    def __init__(self, declared: RestDeclared, clock: Clock) -> None:
        """Start without one.

        Args:
            declared: the service.
            clock: says when a token ends.
        """
        self._declared = declared
        self._clock = clock
        self._token: Secret | None = None
        self._until = 0.0
        self._flight: asyncio.Task[Secret] | None = None

    async def get(self, service: Service, secret: Callable[[], Secret], *, seconds: float) -> Secret:
        """Return a token that is good for a while.

        Args:
            service: makes the call.
            secret: looks up the client's secret, when it is needed.
            seconds: that this caller waits.

        Raises:
            RestKeyRefused: the service does not know the client.
            RestAnswered: it answered with something else than a token.
            EgressError: no answer came.
        """
        if self._token is not None and self._clock.monotonic() < self._until:
            return self._token
        if self._flight is None:
            self._flight = asyncio.create_task(self._ask(service, secret()), name=f"token-{self._declared.name}")
            self._flight.add_done_callback(self._landed)
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                return await asyncio.shield(self._flight)
        except TimeoutError:
            raise EgressTimeout(f"{self._declared.name} gave no token in time.") from None

    def drop(self, token: Secret) -> None:
        """Use a token no more that was refused, unless there is a newer one already.

        Args:
            token: as `get` returned it.
        """
        if self._token is token:
            self._token = None

    def _landed(self, flight: asyncio.Task[Secret]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # looked at, so that it is no «never retrieved» when everybody has gone away

    async def _ask(self, service: Service, secret: Secret) -> Secret:
        caller.set(Caller(caller.get().bot))  # whoever asks first does not lend the others the deadline of his message
        declared = self._declared
        client = basic(quote_plus(declared.client_id), Secret(quote_plus(secret.reveal())))
        form = {"grant_type": "client_credentials", **({"scope": declared.scope} if declared.scope else {})}
        call = Call(
            method="POST",
            url=declared.token_url,
            headers={"authorization": "Basic {secret:client}", "content-type": _FORM, "accept": "application/json"},
            body=urlencode(form).encode(),
            limit=_ANSWER_LIMIT,
        )
        host = urlsplit(declared.token_url).netloc
        began = self._clock.monotonic()
        response = await service.ask(call, {"client": client}, seconds=declared.timeout, repeatable=True, at=host)
        granted = self._granted(response)
        lasts = _seconds(granted.expires_in)
        self._until = began + lasts - min(EARLY, lasts / 2)
        self._token = Secret(granted.access_token)
        return self._token

    def _granted(self, response: Response) -> Granted:
        if response.status != 200:
            raise self._refusal(response)
        granted = bodies.read(response.body, Granted) or Granted("")
        if not granted.access_token or granted.token_type.lower() != "bearer":
            raise RestAnswered(f"{self._declared.name} gave no bearer token. Check token_url in bot.toml.")
        return granted

    def _refusal(self, response: Response) -> EgressError:
        fault = (bodies.read(response.body, Fault) or Fault()).error
        name, status = self._declared.name, response.status
        if status in (400, 401, 403):
            said = f"{status} {fault}" if fault in _FAULTS else str(status)
            return RestKeyRefused(
                f"{name} gives no token ({said}). Check client_id and scope, and the secret {self._declared.secret}."
            )
        return RestAnswered(f"{name} gives no token: its token service answered {status}.", answered=status)


def _seconds(said: float | str | None) -> float:
    try:
        seconds = float(said) if said is not None else UNSAID
    except ValueError:
        return UNSAID
    return min(seconds, 86_400.0) if seconds > 0 else UNSAID
