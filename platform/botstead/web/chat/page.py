"""The page itself: one template, a few files, and headers that let nothing else in."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import cache
from html import escape
from importlib import resources
from string import Template
from types import MappingProxyType

from botstead.core.errors import NotFound
from botstead.web.chat.deps import Welcome

MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
"""Of what the page is made of, by the end of its name. Litestar says the character set of texts itself."""
HUES = 8
"""Colours of an avatar that chat.css knows."""
SECURITY_HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
"""No inline script or style, nothing from elsewhere: a message that got through as markup could still do nothing."""
_FOLDER = resources.files(__package__).joinpath("static")


@cache
def asset(name: str) -> bytes:
    """Read a file of the page.

    Args:
        name: its name, as in the page.

    Raises:
        NotFound: there is none.
    """
    for file in _FOLDER.iterdir():
        if file.name == name and name.rpartition(".")[2] in MEDIA_TYPES:
            return file.read_bytes()
    raise NotFound


@cache
def packed(name: str) -> bytes:
    """Return `asset(name)`, compressed with gzip: a third of the bytes.

    Args:
        name: see `asset`.

    Raises:
        NotFound: see `asset`.
    """
    return gzip.compress(asset(name), mtime=0)


@cache
def version() -> str:
    """Name the content of all files of the page; in their addresses, so that they can be cached for ever."""
    digest = hashlib.sha256()
    for file in sorted(_FOLDER.iterdir(), key=lambda file: file.name):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _template() -> Template:
    return Template(_FOLDER.joinpath("page.html").read_text(encoding="utf-8"))


def page(bot: str, welcome: Welcome) -> bytes:
    """Write the page of one bot.

    Args:
        bot: the bot's name, as in its address.
        welcome: what the page says before anything was said.
    """
    chips = "".join(f'<button type="button" class="chip">{escape(text)}</button>' for text in welcome.suggestions)
    values = {
        "bot": escape(bot),
        "title": escape(welcome.title),
        "about": escape(welcome.about or "Say hello, or ask what it can do."),
        "initial": escape(welcome.title[:1].upper()),
        "hue": str(zlib.crc32(bot.encode()) % HUES),
        "suggestions": chips,
        "assets": f"/chat/assets/{version()}",
    }
    return _template().substitute(values).encode()
