"""Frames between a process of ours and its child: four bytes of length, then one msgpack message.

The body of a call and of its result are opaque here. Several calls travel at once, told apart by their number.
"""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import msgspec

LIMIT = 4 * 1024 * 1024
"""The largest frame in bytes; a longer one is refused by the sender and ends the connection at the receiver."""

HEADER = 4
"""Bytes of the length in front of each frame, big endian."""


class Ready(msgspec.Struct, frozen=True, tag="ready", array_like=True):
    """The child can take calls. The first frame it sends, unless it sends `Broken`."""


class Broken(msgspec.Struct, frozen=True, tag="broken", array_like=True):
    """The child cannot take calls, and why, for the operator."""

    message: str


class Request(msgspec.Struct, frozen=True, tag="request", array_like=True):
    """Parent to child: do this within `seconds`, and answer under `number`."""

    number: int
    seconds: float
    body: bytes


class Cancel(msgspec.Struct, frozen=True, tag="cancel", array_like=True):
    """Parent to child: nobody waits for `number` any longer."""

    number: int


class Told(msgspec.Struct, frozen=True, tag="told", array_like=True):
    """Parent to child: this is so from now on, for the requests that follow. It takes the place of what was told before."""

    body: bytes


class Partial(msgspec.Struct, frozen=True, tag="partial", array_like=True):
    """Child to parent: how far call `number` has come; what it means is between those who use it. Many may be lost."""

    number: int
    body: bytes


class Result(msgspec.Struct, frozen=True, tag="result", array_like=True):
    """Child to parent: what the call returned."""

    number: int
    body: bytes


class Failure(msgspec.Struct, frozen=True, tag="failure", array_like=True):
    """Child to parent: the call failed, the child is well.

    Args:
        number: the call's.
        message: what happened, for the operator.
        trace: the traceback as text, may be empty.
        after: seconds after which a retry makes sense, when the failure named them.
        attached: what the child's program wants to go with it.
    """

    number: int
    message: str
    trace: str = ""
    after: float | None = None
    attached: bytes = b""


Frame: TypeAlias = Ready | Broken | Request | Cancel | Told | Partial | Result | Failure


class BrokenFrame(Exception):
    """The other side sent bytes that are no frame; nothing after them can be believed."""


class FrameTooLarge(Exception):
    """The message does not fit into a frame; nothing was sent."""


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """Return the bytes of one frame.

    Raises:
        FrameTooLarge: it is longer than `LIMIT`.
    """
    message = _encoder.encode(frame)
    if len(message) > LIMIT:
        raise FrameTooLarge(f"{len(message)} bytes, at most {LIMIT} fit")
    return len(message).to_bytes(HEADER, "big") + message


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """Wait for one frame.

    Returns:
        The frame, or None when the other side has closed the connection.

    Raises:
        BrokenFrame: too long, cut off in the middle, or no message of ours.
    """
    try:
        header = await reader.readexactly(HEADER)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise BrokenFrame("cut off within the length") from error
        return None
    except ConnectionError:
        return None
    length = int.from_bytes(header, "big")
    if length > LIMIT:
        raise BrokenFrame(f"{length} bytes announced, at most {LIMIT} are allowed")
    try:
        return _decoder.decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise BrokenFrame("cut off within the message") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenFrame(f"no message of ours: {error}") from error
