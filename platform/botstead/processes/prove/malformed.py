"""Bodies that are no update of anybody, or a strange one: what a parser may stumble over."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from botstead.processes.prove.deliveries import update

DEEP = 100_000
MANY = 60_000
"""Members of one object: as many as fit below the limit of a body."""


def malformed(chance: random.Random, *, many: int) -> Iterator[tuple[str, bytes, bool]]:
    """Return bodies by name, and whether each is JSON (RFC 8259), so that it may be taken and kept as unknown.

    Args:
        chance: what chooses the bytes that are changed.
        many: how many genuine updates are changed at a random place.
    """
    true = msgspec.json.encode(update(8_000_001, 77, "malformed"))
    yield from ((name, body, False) for name, body in _no_json(true).items())
    yield from ((name, body, True) for name, body in _odd_json().items())
    for number in range(many):
        place = chance.randrange(len(true))
        changed = true[:place] + bytes([chance.randrange(256)]) + true[place + 1 :]
        cut = true[: chance.randrange(len(true))]
        yield f"a byte changed, {number}", changed, True  # it may be JSON still
        yield f"cut, {number}", cut, False


def _no_json(true: bytes) -> dict[str, bytes]:
    return {
        "nothing": b"",
        "blanks": b" \r\n\t",
        "a byte order mark": b"\xef\xbb\xbf" + true,
        "UTF-16": true.decode().encode("utf-16"),
        "bytes that are no UTF-8": true.replace(b"malformed", b"\xff\xfe\xc0\xaf"),
        "a surrogate in UTF-8": true.replace(b"malformed", b"\xed\xa0\x80"),
        "an overlong form": true.replace(b"malformed", b"\xc0\x80"),
        "a bare NUL": true.replace(b"malformed", b"\x00"),
        "NUL bytes": bytes(1_000),
        "NaN": b'{"update_id": NaN}',
        "Infinity": b'{"update_id": -Infinity}',
        "a leading zero": b'{"update_id": 01}',
        "a trailing comma": b'{"update_id": 1,}',
        "a comment": b'{"update_id": 1} // x',
        "two values": true + true,
        "quotes that are none": b"{'update_id': 1}",
        "half a surrogate escape": b'{"update_id": 1, "message": {"text": "\\ud8"}}',
        "deep lists, open": b"[" * DEEP,
        "deep objects, open": b'{"a":' * DEEP,
        "a form": b"update_id=1&message=x",
        "XML": b"<?xml version='1.0'?><update/>",
    }


def _odd_json() -> dict[str, bytes]:
    long = b"9" * 400
    return {
        "deep lists": b"[" * DEEP + b"]" * DEEP,
        "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        "many members": b"{" + b",".join(b'"k%d":0' % number for number in range(MANY)) + b"}",
        "a number of 400 digits": b'{"update_id": ' + long + b"}",
        "a text of 900 kB": b'{"update_id": 8000002, "x": "' + b"x" * 900_000 + b'"}',
        "the same key twice": b'{"update_id": 8000003, "update_id": 8000004}',
        "a lone surrogate": b'{"update_id": 8000005, "message": {"text": "\\ud800"}}',
        "an escaped NUL": b'{"update_id": 8000006, "x": "\\u0000"}',
        "a list": b"[1, 2]",
        "a text": b'"update"',
        "null": b"null",
        "a negative id": b'{"update_id": -1}',
        "an id of another type": b'{"update_id": "1"}',
        "a message of another type": b'{"update_id": 8000007, "message": []}',
        "a chat of another type": b'{"update_id": 8000008, "message": {"message_id": 1, "date": 1, "chat": 5}}',
        "an enormous chat": b'{"update_id": 8000009, "message": {"message_id": 1, "date": 1, "chat": {"id": ' + long + b"}}}",
        "an exponent": b'{"update_id": 1e400}',
    }
