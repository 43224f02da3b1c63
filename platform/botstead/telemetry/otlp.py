"""OTLP's protobuf messages for spans, written by hand: six kinds of message, of which only few fields are needed. Pure.

The tests read what is written here with OpenTelemetry's own package.
Source: https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
and https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from botstead.telemetry.spans import Span

MEDIA_TYPE: Final = "application/x-protobuf"
PATH: Final = "/v1/traces"

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_ERROR = 2
_SMALL = 128
_LONGEST_VARINT = 63


def request(spans: Iterable[Span], *, resource: Mapping[str, str | int], version: str) -> bytes:
    """Write an `ExportTraceServiceRequest`.

    Args:
        spans: what is told.
        resource: attributes of whoever tells it (`service.name`).
        version: of botstead.
    """
    scope = _field(1, b"botstead") + _field(2, version.encode())
    told = b"".join(_field(2, span_bytes(span)) for span in spans)
    return _field(1, _field(1, _attributes(1, resource)) + _field(2, _field(1, scope) + told))


def span_bytes(span: Span) -> bytes:
    """Write one `Span`.

    Args:
        span: what is told.
    """
    parts = [
        _field(1, bytes.fromhex(span.trace)),
        _field(2, bytes.fromhex(span.id)),
        _field(4, bytes.fromhex(span.parent)) if span.parent else b"",
        _field(5, span.name.encode()),
        _number(6, span.kind),
        _key(7, _FIXED64) + struct.pack("<Q", _nanoseconds(span.began)),
        _key(8, _FIXED64) + struct.pack("<Q", _nanoseconds(span.ended)),
        _attributes(9, span.attributes),
    ]
    if span.error:
        parts.append(_field(15, _field(2, span.error.encode()) + _number(3, _ERROR)))
    return b"".join(parts)


def refused(answer: bytes) -> int:
    """Read from an `ExportTraceServiceResponse` how many spans were not taken; 0 when it does not say.

    Args:
        answer: the body of a successful answer.
    """
    told = dict(_fields(answer)).get(1)
    count = dict(_fields(told)).get(1) if isinstance(told, bytes) else None
    return count if isinstance(count, int) and count < 1 << _LONGEST_VARINT else 0


def _nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * 1_000_000)) * 1_000  # more digits than that a clock's float does not hold


def _attributes(number: int, attributes: Mapping[str, str | int]) -> bytes:
    return b"".join(_field(number, _field(1, name.encode()) + _field(2, _value(value))) for name, value in attributes.items())


def _value(value: str | int) -> bytes:
    return _field(1, value.encode(errors="replace")) if isinstance(value, str) else _key(3, _VARINT) + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    return _key(number, _LENGTH) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value)


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    if 0 <= value < _SMALL:
        return bytes((value,))
    rest, found = value & (1 << 64) - 1, bytearray()
    while rest >= _SMALL:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


def _fields(message: bytes) -> Sequence[tuple[int, int | bytes]]:
    """Take a message apart; what comes after something unreadable is left out."""
    found: list[tuple[int, int | bytes]] = []
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        kind = key & 7
        value: int | bytes
        if kind == _VARINT:
            value, place = _read_varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
            value, place = message[place : place + size], place + size
        elif kind == _LENGTH:
            size, place = _read_varint(message, place)
            value, place = message[place : place + size], place + size
        else:
            break
        found.append((key >> 3, value))
    return found


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift <= _LONGEST_VARINT:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < _SMALL:
            return value, place
    return value, len(message)
