"""The tables of `bot.toml` that declare outside services: `[rest.NAME]`, `[mail]`, `[slack]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from functools import partial
from typing import Any, Final, TypeVar

from botstead.bots.manifest import values as take
from botstead.bots.manifest.values import Wrong
from botstead.core.declared import MAIL_ADDRESS, Auth, MailDeclared, RestDeclared, SlackDeclared

T = TypeVar("T")

Taken = Mapping[str, Callable[[str, object], Any]]
"""Keys of a table to what reads them."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_ALGORITHMS: Final = ("sha256", "sha512", "sha1")
_ENCODINGS: Final = ("hex", "base64")
_NEEDED: Final[Mapping[Auth, tuple[str, ...]]] = {
    Auth.NONE: (),
    Auth.BEARER: ("secret",),
    Auth.BASIC: ("user", "secret"),
    Auth.HEADER: ("header", "secret"),
    Auth.QUERY: ("parameter", "secret"),
    Auth.OAUTH2: ("token_url", "client_id", "secret"),
    Auth.HMAC: ("header", "secret"),
}
_POSSIBLE: Final[Mapping[Auth, tuple[str, ...]]] = {
    Auth.HEADER: ("prefix",),
    Auth.OAUTH2: ("scope",),
    Auth.HMAC: ("prefix", "algorithm", "encoding"),
}
_OF_AUTH: Final = {key for keys in (*_NEEDED.values(), *_POSSIBLE.values()) for key in keys}


def rest(given: object) -> dict[str, RestDeclared]:
    """Read every `[rest.NAME]`.

    Raises:
        Wrong: a table, key or value is wrong.
    """
    found = {}
    for name, table in _table("rest", given).items():
        if _NAME.fullmatch(name) is None:
            raise Wrong(name, f"[rest.{name}]: a name has small letters, digits and underscores", table=f"rest.{name}")
        found[name] = _in_table(f"rest.{name}", partial(_rest, name), table)
    return found


def mail(given: object) -> MailDeclared:
    """Read `[mail]`.

    Raises:
        Wrong: a key or value is wrong.
    """
    return _in_table("mail", _mail, given)


def slack(given: object) -> SlackDeclared:
    """Read `[slack]`.

    Raises:
        Wrong: a key or value is wrong.
    """
    return _in_table("slack", lambda table: SlackDeclared(**taken(table, _SLACK, needed=("secret",))), given)


def _in_table(name: str, read: Callable[[Mapping[str, Any]], T], given: object) -> T:
    try:
        return read(_table(name, given))
    except Wrong as error:
        raise Wrong(error.key, f"[{name}] {error}", table=name) from error


def _table(name: str, given: object) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise Wrong(name.partition(".")[0], f"is no table; write [{name}{'.NAME' * (name == 'rest')}]", table=name)
    return given


def taken(table: Mapping[str, Any], known: Taken, *, needed: tuple[str, ...]) -> dict[str, Any]:
    """Read the keys of a table.

    Args:
        table: as TOML has it.
        known: its keys.
        needed: those that must be there.

    Raises:
        Wrong: one is unknown, missing or has a wrong value.
    """
    take.only(table, known)
    for key in needed:
        if key not in table:
            raise Wrong(key, f"needs {key}")
    return {key: known[key](key, value) for key, value in table.items()}


def _one_of(choices: tuple[str, ...], key: str, value: object) -> str:
    if value not in choices:
        raise Wrong(key, f"{key} is one of {', '.join(choices)}, not {value!r}")
    return str(value)


def _sender(key: str, value: object) -> str:
    given = take.line(key, value)
    if MAIL_ADDRESS.fullmatch(parseaddr(given)[1]) is None:
        raise Wrong(key, f"{key} is a mail address, such as shop@example.org or Shop <shop@example.org>, not {value!r}")
    return given


_REST: Taken = {
    "base": take.url,
    "auth": partial(_one_of, tuple(Auth)),
    "secret": take.secret_name,
    "user": take.line,
    "header": take.header,
    "prefix": take.text,
    "parameter": take.header,
    "algorithm": partial(_one_of, _ALGORITHMS),
    "encoding": partial(_one_of, _ENCODINGS),
    "token_url": take.url,
    "client_id": take.line,
    "scope": take.line,
    "timeout": take.seconds,
    "tries": take.tries,
    "cache": take.kept,
    "stale": take.kept,
    "idempotency_header": take.header,
}
_MAIL: Taken = {
    "url": partial(take.url, schemes=("smtps", "smtp")),
    "from": _sender,
    "user": take.line,
    "secret": take.secret_name,
    "starttls": take.truth,
    "timeout": take.seconds,
    "tries": take.tries,
}
_SLACK: Taken = {"secret": take.secret_name, "base": take.url, "timeout": take.seconds}


def _rest(name: str, table: Mapping[str, Any]) -> RestDeclared:
    values = taken(table, _REST, needed=("base",))
    auth = values["auth"] = Auth(values.get("auth", Auth.NONE))
    for key in _NEEDED[auth]:
        if key not in values:
            raise Wrong("auth", f"auth = {auth.value!r} needs {key}")
    allowed = (*_NEEDED[auth], *_POSSIBLE.get(auth, ()))
    for key in values:
        if key in _OF_AUTH and key not in allowed:
            raise Wrong(key, f"{key} has no meaning with auth = {auth.value!r}")
    if values.get("stale") and not values.get("cache"):
        raise Wrong("stale", "stale has no meaning without cache")
    return RestDeclared(name=name, **values)


def _mail(table: Mapping[str, Any]) -> MailDeclared:
    values = taken(table, _MAIL, needed=("url", "from"))
    values["sender"] = values.pop("from")
    declared = MailDeclared(**values)
    if declared.url.count("/") > 2:
        raise Wrong("url", "url has no path")
    if declared.secret and not declared.starttls and declared.url.startswith("smtp:"):
        raise Wrong("starttls", "a password is never sent without TLS; leave starttls out, or use smtps://")
    return declared
