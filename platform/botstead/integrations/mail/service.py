"""One mail to one server: connection, TLS, login, envelope, and what the server's codes mean.

Sources: SMTP, RFC 5321; its reply codes, section 4.2.1; STARTTLS, RFC 3207; port 465, RFC 8314; AUTH, RFC 4954.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Final, cast
from urllib.parse import urlsplit

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException

from botstead.core.declared import MailDeclared
from botstead.core.errors import EgressBroken, EgressRefused, EgressTimeout, EgressUnsent
from botstead.core.secret import Secret
from botstead.integrations.mail.errors import MailDelayed, MailRefused
from botstead.integrations.mail.models import Letter
from botstead.runtime.egress import Dialer

PLACES: Final = 4
"""Connections of one bot at once; more mails wait within their deadline."""
FIRST_WAIT: Final = 0.5
"""Seconds before the second try, doubled before each further one, times a random number from 0.5 to 1."""
_CONNECT: Final = 10.0
_GOODBYE: Final = 1.0
_PORTS: Final = {"smtp": 587, "smtps": 465}
_AGAIN: Final = (EgressUnsent, MailDelayed)


class MailServer:
    """Sends letters by one bot's mail server."""

    def __init__(self, declared: MailDeclared, dialer: Dialer, *, chance: Callable[[], float] = random.random) -> None:
        """Build it.

        Args:
            declared: from `bot.toml`.
            dialer: makes connections that the address guard permits.
            chance: a random number from 0 to 1, for jitter.
        """
        parts = urlsplit(declared.url)
        self.host = (parts.hostname or "").lower()
        self._port = parts.port or _PORTS[parts.scheme]
        self._implicit = parts.scheme == "smtps"
        self._declared = declared
        self._dialer = dialer
        self._chance = chance
        self._places = asyncio.Semaphore(PLACES)

    async def send(self, letter: Letter, *, user: str, password: Secret | None, seconds: float) -> None:
        """Send a letter to all its recipients or to none, trying again where the server says that it may work later.

        Args:
            letter: what is sent.
            user: who logs in.
            password: None for a server that wants none.
            seconds: all tries and waits together.

        Raises:
            MailRefused: the server says no, for good.
            MailDelayed: it said «later» each time.
            EgressUnsent: it could not be connected to.
            EgressRefused: the address guard does not permit it.
            EgressTimeout: time ran out after the mail was handed over; it may have arrived.
            EgressBroken: likewise, the connection broke.
        """
        over = time.monotonic() + seconds
        for number in range(1, self._declared.tries + 1):
            left = over - time.monotonic()
            try:
                await self._once(letter, user, password, max(left, 0.0))
            except _AGAIN:
                wait = FIRST_WAIT * 2 ** (number - 1) * (0.5 + self._chance() / 2)
                if number == self._declared.tries or time.monotonic() + wait >= over:
                    raise
                await asyncio.sleep(wait)
            else:
                return

    async def _once(self, letter: Letter, user: str, password: Secret | None, seconds: float) -> None:
        handed: list[bool] = []
        try:
            async with asyncio.timeout(seconds), self._places:
                one = await self._dialer.dial(self.host, self._port, seconds=min(seconds, _CONNECT))
                with contextlib.closing(one), self._told(handed):
                    await self._talk(one, letter, user, password, handed)
        except TimeoutError as error:
            if handed:
                raise EgressTimeout(f"{self.host} did not confirm the mail in time; it may have arrived.") from error
            raise EgressUnsent(f"{self.host} did not take the mail within {seconds:.3g} s; nothing was sent.") from error

    async def _talk(self, one: socket.socket, letter: Letter, user: str, password: Secret | None, handed: list[bool]) -> None:
        client = SMTP(
            hostname=self.host,
            sock=one,
            timeout=None,  # the deadline above covers all of it
            use_tls=self._implicit,
            start_tls=False,
            tls_context=self._dialer.tls if self._implicit or self._declared.starttls else None,
            local_hostname=socket.gethostname(),
        )
        try:
            await client.connect()
            await client.ehlo()
            if not self._implicit and self._declared.starttls:
                await client.starttls()
                await client.ehlo()
            if password is not None:
                await _login(client, user, password)
            await client.mail(letter.sender)
            for recipient in letter.recipients:
                await client.rcpt(recipient)
            handed.append(True)
            await client.data(letter.content)
            with contextlib.suppress(SMTPException, OSError, TimeoutError):
                await client.quit(timeout=_GOODBYE)
        finally:
            transport = cast("asyncio.WriteTransport | None", client.transport)
            client.close()
            if transport is not None:
                transport.abort()  # a server that reads no more must not keep what is still to be written

    @contextlib.contextmanager
    def _told(self, handed: list[bool]) -> Iterator[None]:
        """Turn what went wrong into errors of ours. The server's words stay out: they repeat addresses."""
        try:
            yield
        except SMTPAuthenticationError as error:
            if error.code >= 500:
                name = self._declared.secret
                raise MailRefused(f"{self.host} refuses the login with {error.code}. Check user and the secret {name}.") from None
            raise MailDelayed(f"{self.host} cannot check the login now ({error.code}).") from None
        except SMTPResponseException as error:
            kind = MailRefused if error.code >= 500 else MailDelayed
            raise kind(f"{self.host} answered {error.code}; nothing was sent.") from None
        except (SMTPException, OSError) as error:
            if not handed and (why := _tls_fault(error)) is not None:
                raise EgressRefused(f"{self.host} is not who it should be: {why}. Nothing was sent.") from None
            if isinstance(error, TimeoutError):
                raise
            if not isinstance(error, OSError):
                raise MailRefused(f"{self.host} lacks what is needed: STARTTLS, or a login by PLAIN or LOGIN.") from None
            if handed:
                raise EgressBroken(
                    f"{self.host} broke the connection before it confirmed the mail; it may have arrived."
                ) from None
            raise EgressUnsent(f"{self.host} broke the connection; nothing was sent.") from None


async def _login(client: SMTP, user: str, password: Secret) -> None:
    """Log in by PLAIN, else LOGIN: the connection is under TLS, so CRAM-MD5 would protect nothing more."""
    offered = client.server_auth_methods
    if "plain" in offered:
        await client.auth_plain(user, password.reveal())
    elif "login" in offered:
        await client.auth_login(user, password.reveal())
    else:
        raise SMTPException("no known way to log in")


def _tls_fault(error: BaseException | None) -> str | None:
    """Find the certificate's fault behind an error of the library, or say that TLS failed."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return "TLS failed"
        error = error.__cause__ or error.__context__
    return None
