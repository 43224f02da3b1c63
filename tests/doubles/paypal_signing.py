"""Signs events as PayPal does, with a certificate of an authority of our own. Made once for a process."""

from __future__ import annotations

import time
import uuid
import zlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "messageverificationcerts.paypal.com"


@cache
def key(number: int) -> RSAPrivateKey:
    """A key to sign with; each number has its own."""
    del number
    return generate_private_key(public_exponent=65_537, key_size=2048)


@cache
def _authority_key(which: str) -> ec.EllipticCurvePrivateKey:
    del which
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@cache
def authority(which: str = "ours") -> x509.Certificate:
    """An authority."""
    private = _authority_key(which)
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_named(f"Authority {which}"))
        .issuer_name(_named(f"Authority {which}"))
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, SHA256())
    )


@cache
def certificate(name: str = NAME, *, which: str = "ours", number: int = 0, days: int = 30) -> bytes:
    """A certificate in PEM for the key of that number."""
    private = _authority_key(which)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(authority(which).subject)
        .public_key(key(number).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(private.public_key()), critical=False)
        .sign(private, SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def authority_pem(which: str = "ours") -> bytes:
    """The authority in PEM."""
    return authority(which).public_bytes(Encoding.PEM)


def headers(body: bytes, *, webhook_id: str, cert_url: str, at: float | None = None, number: int = 0) -> dict[str, str]:
    """The headers of a delivery."""
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    transmission = str(uuid.uuid4())
    message = f"{transmission}|{moment}|{webhook_id}|{zlib.crc32(body)}".encode()
    return {
        "PAYPAL-TRANSMISSION-ID": transmission,
        "PAYPAL-TRANSMISSION-TIME": moment,
        "PAYPAL-TRANSMISSION-SIG": b64encode(key(number).sign(message, PKCS1v15(), SHA256())).decode(),
        "PAYPAL-CERT-URL": cert_url,
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
    }
