"""Text that grows: put together from pieces, and shown meanwhile where the channel can."""

from __future__ import annotations

from collections.abc import AsyncIterator

from botstead.core.drafting import Growing
from botstead.core.errors import HandlerFailed


async def joined(pieces: AsyncIterator[object], growing: Growing | None = None, *, before: str = "") -> str:
    """Put the pieces of one text together.

    Args:
        pieces: what an async iterator yields.
        growing: is told what there is so far, after each piece.
        before: what was said before it in the same run; shown with it.

    Raises:
        HandlerFailed: a piece is no text.
    """
    parts: list[str] = []
    text = before
    async for piece in pieces:
        if not isinstance(piece, str):
            raise HandlerFailed(f"yielded {type(piece).__name__}; an async iterator yields pieces of text")
        parts.append(piece)
        if growing is not None:
            text += piece
            growing.show(text)
    return "".join(parts)
