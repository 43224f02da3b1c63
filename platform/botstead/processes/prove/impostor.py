"""A server whose certificate nobody should believe."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
DAY = dt.timedelta(days=1)


class Impostor:
    """What it was told."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.port = 0
        self.heard = b""
        """What clients said after they had believed it."""

    async def listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection whose client believed the certificate.

        Args:
            reader: what it says.
            writer: to hang up.
        """
        with suppress(OSError):
            self.heard += await reader.read(1_000)
        writer.close()


@asynccontextmanager
async def impostor(folder: Path, *, expired: bool) -> AsyncIterator[Impostor]:
    """Listen on loopback until it is left.

    Args:
        folder: for its certificate.
        expired: whether that has expired too; it is signed by itself in any case.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(_certificate(folder, expired=expired))
    made = Impostor()
    server = await asyncio.start_server(made.listen, HOST, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def _certificate(folder: Path, *, expired: bool) -> Path:
    """Make a certificate for loopback and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "impostor")])
    end = dt.datetime.now(dt.UTC) + (-DAY if expired else DAY)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - 30 * DAY)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"impostor-{'expired' if expired else 'valid'}.pem"
    path.touch(mode=0o600)
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
