"""A `Call` made ready to be sent: its URL taken apart strictly, its placeholders filled in at the last moment.

Everything here is ours rather than a URL library's, because two parsers that disagree about a host are how address guards are
passed by. What is not plainly a host is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import quote

from botstead.core.errors import EgressRefused
from botstead.core.messages import Call
from botstead.core.secret import Secret

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<target>[/?][^#]*)?(?:#.*)?",
    re.DOTALL | re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\{secret:([A-Za-z0-9_.-]+)\}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>\\^`{}')
_UNQUOTED = "!$'()*,-.:;@_~"
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "accept-encoding"}
    | {"expect", "upgrade", "te", "trailer", "proxy-connection"}
)
"""Headers that decide about framing or connections, and so belong to the transport."""
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where a connection goes to; connections are shared within one.

    Args:
        tls: whether TLS is spoken.
        host: name or address, lower case, without brackets.
        port: the port.
    """

    tls: bool
    host: str
    port: int


class Target(NamedTuple):
    """A URL taken apart.

    Args:
        origin: where to connect to.
        authority: what goes into `Host`.
        path: path and query, percent-encoded, placeholders still in.
    """

    origin: Origin
    authority: str
    path: str


@lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """Take a URL apart. Cached: it holds placeholders, not secrets, and few differ.

    Args:
        url: an absolute http or https URL.

    Raises:
        EgressRefused: it is no such URL, names a user, or its host could be read in two ways.
    """
    found = _URL.fullmatch(url)
    if found is None or _CONTROLS.search(url):
        raise EgressRefused(
            "The URL is not allowed: it needs http or https, a plain host without a user, and no control characters."
        )
    scheme, written = found["scheme"].lower(), found["host"].lower()
    host = _host(written.strip("[]"))
    port = int(found["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise EgressRefused("The URL is not allowed: its port does not exist.")
    path = found["target"] or "/"
    path = _encoded(path if path.startswith("/") else f"/{path}")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _PORTS[scheme] else f"{shown}:{port}"
    return Target(Origin(tls=scheme == "https", host=host, port=port), authority, path)


def filled_path(path: str, secrets: Mapping[str, Secret]) -> str:
    """Replace the placeholders of a path and query, percent-encoding what would change its structure.

    Args:
        path: path and query with placeholders.
        secrets: their values.

    Raises:
        EgressRefused: a placeholder has no value, or the value has a line break.
    """
    if "{" not in path:
        return path
    return _PLACEHOLDER.sub(lambda match: quote(_value(match[1], secrets), safe=_UNQUOTED, errors="replace"), path)


def filled_headers(call: Call, secrets: Mapping[str, Secret]) -> list[tuple[str, str]]:
    """Return the headers to send, placeholders replaced.

    Args:
        call: the request.
        secrets: values of the placeholders.

    Raises:
        EgressRefused: a header is one that the transport sets, is malformed, or its placeholder has no value.
    """
    headers = []
    for name, template in call.headers.items():
        value = _PLACEHOLDER.sub(lambda match: _value(match[1], secrets), template) if "{" in template else template
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
            raise EgressRefused(f"The header {name!r} is not for callers to set.")
        if not value.isprintable() or not value.isascii():
            raise EgressRefused(f"The header {name!r} holds a character that no header may hold.")
        headers.append((name, value))
    return headers


def is_address(host: str) -> bool:
    """Tell whether a host of a `Target` is an address rather than a name.

    Args:
        host: from `Origin.host`.
    """
    return ":" in host or host.rpartition(".")[2].isdigit()


def _host(text: str) -> str:
    """A host that ends in a number is an address, or a disguise of one, which resolvers read in surprising ways."""
    last = text.removesuffix(".").rpartition(".")[2]
    if ":" not in text and not _NUMERIC_LABEL.fullmatch(last):
        return text
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    raise EgressRefused("The URL is not allowed: its host is a number but not a plain address.")


def _encoded(path: str) -> str:
    """Percent-encode what may not stand in a URL, leaving placeholders and what is encoded already."""
    if "{" not in path:
        return quote(path, safe=_PRINTABLE, errors="replace")
    parts, end = [], 0
    for match in _PLACEHOLDER.finditer(path):
        parts += [quote(path[end : match.start()], safe=_PRINTABLE, errors="replace"), match[0]]
        end = match.end()
    return "".join([*parts, quote(path[end:], safe=_PRINTABLE, errors="replace")])


def _value(name: str, secrets: Mapping[str, Secret]) -> str:
    secret = secrets.get(name)
    if secret is None:
        raise EgressRefused(f"The request needs the secret «{name}», which this channel or integration does not have.")
    value = secret.reveal()
    if _CONTROLS.search(value):
        raise EgressRefused(f"The secret «{name}» holds a line break or control character; enter it again without.")
    return value
