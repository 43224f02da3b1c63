"""What Stripe takes, read from the types of its official client: unknown fields and wrong types are refused as Stripe refuses them."""

from __future__ import annotations

import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args, get_origin
from urllib.parse import parse_qsl

import typing_extensions
from stripe.params._event_list_params import EventListParams
from stripe.params._refund_create_params import RefundCreateParams
from stripe.params._refund_list_params import RefundListParams
from stripe.params.checkout._session_create_params import SessionCreateParams
from stripe.params.checkout._session_list_params import SessionListParams
from stripe.params.checkout._session_retrieve_params import SessionRetrieveParams

SESSION, REFUND = SessionCreateParams, RefundCreateParams
SESSIONS, ONE_SESSION, REFUNDS, EVENTS = SessionListParams, SessionRetrieveParams, RefundListParams, EventListParams
_OF_THE_CLIENT = frozenset({"api_key", "content_type", "headers", "idempotency_key", "max_network_retries"}) | {
    "stripe_account",
    "stripe_context",
    "stripe_version",
}
"""Fields of the client's own that never travel in a body."""
_MARKS = (typing.NotRequired, typing.Required, typing_extensions.NotRequired, typing_extensions.Required)
_NAME = re.compile(r"[^\[\]]+")


def nested(body: bytes) -> dict[str, Any]:
    """Read a form with names like `a[b][0][c]`."""
    found: dict[str, Any] = {}
    for number, (name, value) in enumerate(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body))):
        *path, last = _NAME.findall(name.replace("[]", f"[{number}]"))
        at = found
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return found


def wrong(fields: Mapping[str, Any], shape: Any, path: str = "") -> Iterator[str]:
    """Say what does not fit.

    Args:
        fields: from `nested`.
        shape: a `TypedDict` of the official client.
        path: of the fields, for the words.
    """
    hints = hints_of(shape)
    for name, value in fields.items():
        if name not in hints or (name in _OF_THE_CLIENT and not path):
            yield f"Received unknown parameter: {path}{name}"
        else:
            yield from _misfit(value, hints[name], f"{path}{name}")
    for name in shape.__required_keys__ - fields.keys():
        yield f"Missing required param: {path}{name}"


class _Anything:
    def __class_getitem__(cls, _: Any) -> type[_Anything]:
        return cls


@cache
def hints_of(shape: Any) -> dict[str, Any]:
    """Return the types of a class of the client; names that it imports for type checkers only count as anything."""
    known: dict[str, Any] = {**vars(typing), **vars(sys.modules[shape.__module__])}
    while True:
        try:
            return typing.get_type_hints(shape, known, known, include_extras=True)
        except NameError as error:
            known[str(error.name)] = _Anything


def _misfit(value: Any, hint: Any, path: str) -> Iterator[str]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in _MARKS:
        yield from _misfit(value, inner[0], path)
    elif origin in (typing.Union, types.UnionType):
        tries = [list(_misfit(value, one, path)) for one in inner]
        if all(tries):
            yield from min(tries, key=len)
    elif origin is list:
        items = value.values() if isinstance(value, dict) else ()
        if not items or list(value) != [str(number) for number in range(len(items))]:
            yield f"Invalid array: {path}"
        for number, item in enumerate(items):
            yield from _misfit(item, inner[0], f"{path}[{number}]")
    elif typing_extensions.is_typeddict(hint) and isinstance(value, dict):
        yield from wrong(value, hint, f"{path}.")
    elif not _simple(value, hint):
        yield f"Invalid {path}"


def _simple(value: Any, hint: Any) -> bool:
    if get_origin(hint) is typing.Literal:
        return value in get_args(hint)
    if get_origin(hint) is dict or "StripeObject" in str(hint):
        return isinstance(value, dict)
    if hint in (int, bool, str):
        pattern = {int: r"-?[0-9]+", bool: "true|false", str: r"(?s).*"}[hint]
        return isinstance(value, str) and re.fullmatch(pattern, value) is not None
    return not typing_extensions.is_typeddict(hint)
