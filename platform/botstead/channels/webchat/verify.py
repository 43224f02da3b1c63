"""Who is talking: a visitor is known by a random id in a cookie, or in a header for programs.

No provider signs anything here. What is checked instead: the visitor's id is well formed, and a browser's request
comes from our own page (Sec-Fetch-Site, https://www.w3.org/TR/fetch-metadata/, or Origin in older browsers).
"""

from __future__ import annotations

import uuid
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from botstead.core.errors import Forbidden, Rejected
from botstead.core.messages import Delivery

COOKIE = "botstead_visitor"
HEADER = b"x-visitor"
OWN_SITES = (b"same-origin", b"none")
"""`none` is a person who typed the address."""


def check_origin(delivery: Delivery) -> None:
    """Refuse what a page of another site makes a visitor's browser send.

    Programs send neither header and pass: the attack needs a browser.

    Args:
        delivery: the request.

    Raises:
        Forbidden: it comes from another site.
    """
    site = delivery.header(b"sec-fetch-site")
    if site in OWN_SITES:
        return
    origin = delivery.header(b"origin")
    if site is None and (origin is None or _host_of(origin) == (delivery.header(b"host") or b"?").lower()):
        return
    raise Forbidden("This comes from a page of another site. Open the chat's own page.")


def _host_of(origin: bytes) -> bytes:
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower().encode("latin-1")
    except ValueError:
        return b""


def visitor_of(delivery: Delivery) -> str:
    """Find the visitor's id, in its canonical spelling.

    Args:
        delivery: the request.

    Returns:
        The id, or "" for somebody new. A cookie that is no id counts as none.

    Raises:
        Rejected: the header `X-Visitor` is not one UUID.
    """
    given = [value for name, value in delivery.headers if name == HEADER]
    if given:
        visitor = _canonical(given[0].decode("latin-1")) if len(given) == 1 else ""
        if not visitor:
            raise Rejected("X-Visitor must be one UUID, the same for every request of a visitor.", reason="malformed")
        return visitor
    cookie = delivery.header(b"cookie")
    return _canonical(_cookie(cookie.decode("latin-1"))) if cookie else ""


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _canonical(text: str) -> str:
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        return ""
