"""W3C trace context: whose trace a message belongs to, in and out.

Ids of spans are not kept anywhere: they follow from the trace, the message and the stage, so that every process, and whoever
asks years later, finds the same ones.
Source: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import random
import re
import uuid
from hashlib import blake2b
from typing import Final, NamedTuple

HEADER: Final = "traceparent"
RANDOM_BITS: Final = 56
"""Of a trace id, from the right, are random by the standard; a share of traces is chosen by them."""
CLOCKS_DIFFER: Final = 60.0
"""Seconds. An id whose time is further from that of its message was not made here."""

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?", re.ASCII
)
_LONGEST = 512
_SAMPLED = 0x01
_STAMPED = (1 << 128) - 1 ^ (0xF << 76 | 0b11 << 62)
_VERSION_7 = 0x7 << 76 | 0b10 << 62


class TraceContext(NamedTuple):
    """What a caller said of its trace.

    Args:
        trace: the trace id.
        parent: the caller's span, 16 hex digits.
        sampled: whether the caller keeps its own spans.
    """

    trace: uuid.UUID
    parent: str
    sampled: bool


def parse(header: bytes | str | None) -> TraceContext | None:
    """Read a `traceparent` header; None when it is absent or not one, whatever it holds.

    Args:
        header: its value. A later version than ours may say more behind the four parts, and is read as ours.
    """
    if not header or len(header) > _LONGEST:
        return None
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    found = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["rest"] is not None):
        return None
    if not int(found["trace"], 16) or not int(found["parent"], 16):
        return None
    return TraceContext(uuid.UUID(hex=found["trace"]), found["parent"], bool(int(found["flags"], 16) & _SAMPLED))


def passed_on(header: bytes | str | None) -> str:
    """Return a caller's header as it is kept with a message, or "" when it gave none, or something else.

    Args:
        header: its value.
    """
    caller = parse(header)
    return write(caller.trace, caller.parent, sampled=caller.sampled) if caller else ""


def write(trace: uuid.UUID, span: str, *, sampled: bool) -> str:
    """Write the header for somebody we call.

    Args:
        trace: the trace id.
        span: the span of the call, 16 hex digits.
        sampled: whether its spans are kept here whatever happens.
    """
    return f"00-{trace.hex}-{span}-{'01' if sampled else '00'}"


def new_trace(now_ns: int) -> uuid.UUID:
    """Make a trace id that says when it was made: a UUID of version 7, whose first 48 bits are milliseconds.

    Args:
        now_ns: Unix time in nanoseconds.

    Source: RFC 9562 section 5.7, https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
    """
    # It names a trace and guards nothing, so the quick random numbers will do.
    return uuid.UUID(int=((now_ns // 1_000_000) << 80 | random.getrandbits(80)) & _STAMPED | _VERSION_7)


def arrival(trace: uuid.UUID, *, acked: float) -> float | None:
    """Return when the delivery of a message arrived, in Unix seconds; None when the trace id was made elsewhere.

    Args:
        trace: the message's trace id.
        acked: when the message was kept, in Unix seconds.
    """
    if trace.int & ~_STAMPED & (1 << 128) - 1 != _VERSION_7:
        return None
    seconds = (trace.int >> 80) / 1000
    return min(seconds, acked) if abs(seconds - acked) < CLOCKS_DIFFER else None


def chosen(trace: uuid.UUID, ratio: float) -> bool:
    """Whether a trace is among a share of all, the same answer in every process.

    Args:
        trace: the trace id.
        ratio: the share, from 0 to 1.
    """
    return trace.int & ((1 << RANDOM_BITS) - 1) < ratio * (1 << RANDOM_BITS)


def span_id(trace: uuid.UUID, message: int, stage: str = "", number: int = 0) -> str:
    """Return the id of a span, 16 hex digits.

    Args:
        trace: the trace id.
        message: the message that the span is about.
        stage: which part of its road; empty for the whole.
        number: of several of one kind.
    """
    # Eight zero bytes would be no id; the chance is one in 2^64.
    return blake2b(f"{trace.hex}/{message}/{stage}/{number}".encode(), digest_size=8).hexdigest()
