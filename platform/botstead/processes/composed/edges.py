"""What the edges of the compose bundle read besides their configuration: the operator's login and a certificate.

Caddy gets its certificates itself; HAProxy and nginx read them from files. Where there is none, one is made that is signed by
itself: browsers warn of it, and providers refuse it, so an operator replaces it (compose/edge/README.md says how).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.x509.oid import NameOID

from botstead.processes.embedded.folder import write_whole

OPERATOR = "operator"
CERTIFICATES = "certificates"
CERTIFICATE = "default.pem"
LIFE = dt.timedelta(days=820)
"""Apple's systems refuse a longer one (https://support.apple.com/en-us/103769)."""
READABLE = 0o444
"""Containers run as different users, and the folder of secrets is closed."""
MEMORY = 4_096
"""KiB that a comparison costs in Caddy. Little on purpose: the password is random and long, and the edge is small."""


def write(folder: Path, *, domain: str, password: str) -> list[str]:
    """Write what is missing; returns the names of what was written.

    Args:
        folder: of secrets; files in it can be read by anybody who may enter it, as containers run as other users.
        domain: name or address of the appliance.
        password: of the operator; letters, digits, "-" and "_" only.
    """
    files = {
        "operator_caddy": f"{OPERATOR} {_slow(password, os.urandom(16))}\n",
        # Compared in a process that serves all: HAProxy has no hash that is both strong and quick.
        "operator_haproxy": f"userlist operators\n    user {OPERATOR} insecure-password {password}\n",
        "operator_nginx": f"{OPERATOR}:{_salted(password, os.urandom(8))}\n",
    }
    written = [name for name in files if not (folder / name).exists()]
    for name in written:
        write_whole(folder / name, files[name].encode(), mode=READABLE)
    if not any((folder / CERTIFICATES).glob("*.pem")):
        (folder / CERTIFICATES).mkdir(mode=0o755, exist_ok=True)
        made = certificate(domain, now=dt.datetime.now(dt.UTC))
        write_whole(folder / CERTIFICATES / CERTIFICATE, made, mode=READABLE)
        written.append(f"{CERTIFICATES}/{CERTIFICATE}")
    return written


def certificate(domain: str, *, now: dt.datetime) -> bytes:
    """Return a certificate that is signed by itself, and its key, in one file as HAProxy wants it.

    Args:
        domain: name or address of the appliance.
        now: from when it holds.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_name(domain)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM) + private


def _name(domain: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(domain))
    except ValueError:
        return x509.DNSName(domain)


def _slow(password: str, salt: bytes) -> str:
    return Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=MEMORY).derive_phc_encoded(password.encode())


def _salted(password: str, salt: bytes) -> str:
    """Return a salted hash as nginx reads it (https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html)."""
    digest = hashlib.sha1(password.encode() + salt, usedforsecurity=False).digest()  # the strongest that nginx knows by itself
    return "{SSHA}" + base64.b64encode(digest + salt).decode()
