"""Certificates that others sign with: is this one of somebody we may trust, and for that name?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

MOST: Final = 8
"""Certificates in one chain."""
_SMALLEST_KEY: Final = 2048


class Unreadable(Exception):
    """That is no chain of certificates with an RSA key."""


def leaf_key(pem: bytes) -> RSAPublicKey:
    """Return the key of the first certificate, whoever has issued it.

    Args:
        pem: certificates in PEM, the signer's first.

    Raises:
        Unreadable: there is none, or too many, or its key is no RSA key of 2048 bits at least.
    """
    try:
        key = _chain(pem)[0].public_key()
    except ValueError as error:
        raise Unreadable from error
    if not isinstance(key, RSAPublicKey) or key.key_size < _SMALLEST_KEY:
        raise Unreadable
    return key


def trusted(pem: bytes, *, suffix: str, now: float, roots: Sequence[bytes] = ()) -> bool:
    """Tell whether the first certificate is valid now, issued for a name below a domain, and by an authority that we trust.

    Args:
        pem: certificates in PEM: the signer's, then those that issued it.
        suffix: how the name has to end, such as `.paypal.com`.
        now: Unix seconds.
        roots: authorities in PEM, instead of the usual ones.

    Source: RFC 5280, as `cryptography.x509.verification` applies it
    """
    try:
        leaf, *others = _chain(pem)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        store = Store([x509.load_pem_x509_certificate(root) for root in roots]) if roots else _usual()
        policy = PolicyBuilder().store(store).time(datetime.fromtimestamp(now, UTC))
        for name in names:
            if name.lower().endswith(suffix) and "*" not in name:
                policy.build_server_verifier(x509.DNSName(name)).verify(leaf, others)
                return True
    except (ValueError, VerificationError, x509.ExtensionNotFound, x509.DuplicateExtension, Unreadable):
        return False
    return False


def _chain(pem: bytes) -> list[x509.Certificate]:
    found = x509.load_pem_x509_certificates(pem)
    if not 0 < len(found) <= MOST:
        raise Unreadable
    return found


@cache
def _usual() -> Store:
    """The authorities that the way out trusts as well, without those whose certificates RFC 5280 forbids."""
    found = []
    for root in httpx.create_ssl_context(trust_env=False).get_ca_certs(binary_form=True):
        with warnings.catch_warnings():
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            try:
                found.append(x509.load_der_x509_certificate(root))
            except (ValueError, CryptographyDeprecationWarning):
                continue
    return Store(found)
