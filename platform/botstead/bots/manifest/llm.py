"""The table `[llm]` of `bot.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from botstead.bots.manifest import values as take
from botstead.bots.manifest.services import Taken, taken
from botstead.bots.manifest.values import Wrong
from botstead.core.declared import LlmDeclared

TABLE: Final = "llm"
_AMOUNT = re.compile(r"\d{1,9}(\.\d{1,9})?")
_CURRENCY = re.compile(r"[A-Z]{3,5}")
_BILLIONTHS: Final = 1_000_000_000
_MOST_TOKENS: Final = 10**12


def read(given: object) -> LlmDeclared:
    """Read the table.

    Raises:
        Wrong: a key or value is wrong, or money is to be counted without prices.
    """
    if not isinstance(given, dict):
        raise Wrong(TABLE, "[llm] is no table; write [llm]", table=TABLE)
    try:
        return _declared(given)
    except Wrong as error:
        raise Wrong(error.key, f"[llm] {error}", table=TABLE) from error


def _declared(table: Mapping[str, Any]) -> LlmDeclared:
    values = taken(table, _KEYS, needed=())
    if "budget" in values and "tokens" in values:
        raise Wrong("tokens", "a day is counted in money (budget) or in tokens, not in both")
    if "budget" in values and not (values.get("price_in") or values.get("price_out")):
        raise Wrong("budget", "a budget of money needs price_in and price_out, for a million tokens each; or give tokens instead")
    if "base" not in values and "secret" in values:
        raise Wrong("secret", "secret has no meaning without base: the appliance's own server has the appliance's own key")
    return LlmDeclared(**values)


def _amount(key: str, value: object) -> int:
    """Money as text, such as "2.00", in billionths."""
    if not isinstance(value, str) or _AMOUNT.fullmatch(value) is None:
        raise Wrong(key, f'{key} is an amount of money in quotes, such as "2.00", not {value!r}')
    return int(Decimal(value) * _BILLIONTHS)


def _budget(key: str, value: object) -> int:
    amount = _amount(key, value)
    if not amount:
        raise Wrong(key, "a budget of nothing answers nobody; leave [llm] out instead")
    return amount


def _tokens(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_TOKENS:
        raise Wrong(key, f"{key} is a whole number of tokens, not {value!r}")
    return value


def _currency(key: str, value: object) -> str:
    if not isinstance(value, str) or _CURRENCY.fullmatch(value) is None:
        raise Wrong(key, f"{key} is a currency, such as USD, not {value!r}")
    return value


def _share(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:
        raise Wrong(key, f"{key} is a number of percent above 0, up to 100, not {value!r}")
    return float(value)


_KEYS: Final[Taken] = {
    "base": take.url,
    "model": take.line,
    "secret": take.secret_name,
    "budget": _budget,
    "tokens": _tokens,
    "currency": _currency,
    "price_in": _amount,
    "price_out": _amount,
    "share": _share,
    "max_tokens": _tokens,
}
