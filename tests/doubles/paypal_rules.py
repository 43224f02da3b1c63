"""What PayPal takes and answers, by its published description; see specs/NOTICE."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator

SPECS = Path(__file__).parent / "specs"


def wrong(thing: Any, schema: str, *, spec: str = "paypal-orders-v2", closed: bool = False) -> Iterator[str]:
    """Say what does not fit.

    Args:
        thing: decoded JSON.
        schema: its name in the description.
        spec: which description.
        closed: whether fields that are not described are wrong too; the description itself leaves that open.
    """
    for error in _validator(spec, schema, closed).iter_errors(thing):
        yield f"{schema}.{'.'.join(map(str, error.absolute_path))}: {error.message}"


@cache
def _validator(spec: str, schema: str, closed: bool) -> Draft4Validator:
    described = json.loads((SPECS / f"{spec}.json").read_text())
    if closed:
        described = _closed(described)
    return Draft4Validator({"$ref": f"#/components/schemas/{schema}", **described})


def _closed(node: Any, inside: bool = False) -> Any:
    """Close every object that stands alone; parts of an `allOf` must let each other's fields pass."""
    if isinstance(node, list):
        return [_closed(item, inside) for item in node]
    if not isinstance(node, dict):
        return node
    found = {name: _closed(value, inside or name in ("allOf", "anyOf", "oneOf")) for name, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object" and not inside and "allOf" not in node:
        found.setdefault("additionalProperties", False)
    return found
