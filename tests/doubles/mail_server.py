"""A mail server on the loopback: aiosmtpd, strict as it is, told what to answer; with TLS of an authority of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
import warnings
from collections import deque
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class MailDouble:
    """Keeps what it took; `answer` prepares its next words at a step: connect, auth, mail, rcpt or data."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[Envelope] = []
        self.logins: list[tuple[str, str, str]] = []
        self.steps: list[str] = []
        self.under_tls: list[bool] = []
        self.password = ""
        self.hang = ""
        self.hanging = asyncio.Event()
        self._answers: dict[str, deque[str]] = {}

    def answer(self, step: str, *words: str) -> None:
        """Give these answers next at a step; "" is the usual one, "drop" breaks the connection."""
        self._answers.setdefault(step, deque()).extend(words)

    async def _at(self, server: SMTP, step: str, usual: str) -> str:
        self.steps.append(step)
        if self.hang == step:
            self.hanging.set()
            await asyncio.Event().wait()
        waiting = self._answers.get(step)
        words = waiting.popleft() if waiting else ""
        if words == "drop":
            server.transport.abort()
        return words or usual

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        del options
        self.under_tls.append(session.ssl is not None)
        envelope.mail_from = address
        return await self._at(server, "mail", "250 OK")

    async def handle_RCPT(self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        del options
        words = await self._at(server, "rcpt", "250 OK")
        if words.startswith("250"):
            envelope.rcpt_tos.append(address)
        return words

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        words = await self._at(server, "data", "250 OK")
        if words.startswith("250"):
            self.taken.append(envelope)
        return words

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, given: object) -> AuthResult:
        """Called by aiosmtpd."""
        assert isinstance(given, LoginPassword)
        self.steps.append("auth")
        self.logins.append((mechanism, given.login.decode(), given.password.decode()))
        return AuthResult(success=given.password.decode() == self.password, handled=False)


@contextlib.asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None, *, implicit: bool = False, password: str = "", without: tuple[str, ...] = ()
) -> AsyncIterator[MailDouble]:
    """Run one.

    Args:
        tls: for STARTTLS, or from the first byte with `implicit`.
        implicit: as on port 465.
        password: who mails must log in with it.
        without: mechanisms of AUTH that it does not offer.
    """
    double = MailDouble()
    double.password = password

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it cannot see that there is TLS when it is implicit, and warns
            return SMTP(
                double,
                hostname="mail.test",
                tls_context=None if implicit else tls,
                require_starttls=bool(tls) and not implicit,
                authenticator=double.authenticate if password else None,
                auth_required=bool(password),
                auth_require_tls=not implicit,
                auth_exclude_mechanism=without,
            )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()


def authority(folder: Path, *, address: str = "127.0.0.1") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a private authority; returns a context that serves a certificate of it, and one that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "mail.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(path)
    return serving, ssl.create_default_context(cafile=str(path))
