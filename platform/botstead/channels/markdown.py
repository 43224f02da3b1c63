"""Markdown to whatever a network speaks, and long texts to several messages, with nothing lost on the way.

A text becomes `Run`s: plain text, each piece with the styles around it. Since styles belong to the pieces, a text can be cut
anywhere and every part still opens and closes its own formatting. A channel writes runs in its network's dialect.

    runs = read("**Oslo**: rain")                      # or `literal(…)` for text that is to stay as it is
    for part in split(runs, 4096, length=utf16_length):
        text = write(part, dialect)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARAGRAPH: Final = "\n\n"
"""What stands between two blocks; a run that is exactly this (and not code) is a paragraph border."""


class Mark(StrEnum):
    """A kind of formatting."""

    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    CODE = "code"
    PRE = "pre"
    LINK = "link"
    QUOTE = "quote"


class Style(NamedTuple):
    """One formatting: `argument` is a link's address or a code block's language."""

    mark: Mark
    argument: str = ""


class Run(NamedTuple):
    """A piece of text and the styles around it, outermost first."""

    text: str
    styles: tuple[Style, ...] = ()


class Dialect(Protocol):
    """How one network writes formatting."""

    def escape(self, text: str, styles: tuple[Style, ...]) -> str:
        """Write text so that the network shows exactly this, inside these styles."""
        ...

    def opening(self, style: Style) -> str:
        """Begin a style."""
        ...

    def closing(self, style: Style) -> str:
        """End a style."""
        ...


def utf16_length(text: str) -> int:
    """Count UTF-16 code units, the way Telegram counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def literal(text: str) -> tuple[Run, ...]:
    """Take a text as it is. Blank lines in it still count as paragraph borders when it is split."""
    return tuple(Run(piece) for piece in re.split(r"(?<!\n)(\n\n)(?!\n)", text) if piece)


def read(text: str) -> tuple[Run, ...]:
    """Read CommonMark with ~~strikethrough~~; raw HTML and tables stay text.

    A line break stays a line break, as chat users expect. What chats cannot show is written out: headings are bold, list items
    get a bullet or number, an image is a link.
    """
    if _PLAIN.fullmatch(text):
        return literal(text)
    tokens = _PARSER.parse(text)
    if any(token.level >= _DEEPEST - 1 for token in tokens):
        return literal(text)  # below this depth the parser drops what it reads
    runs = tuple(_merged(_Walk().blocks(tokens)))
    if any(run.text.strip() for run in runs):
        return runs
    return literal(text)  # such as a lone «#», which Markdown takes for an empty heading


def write(runs: Sequence[Run], dialect: Dialect) -> str:
    """Write runs in a network's dialect; every style that is opened is closed, in order."""
    out: list[str] = []
    opened: tuple[Style, ...] = ()
    for run in (*runs, Run("")):
        shared = _shared(opened, run.styles)
        out += [dialect.closing(style) for style in reversed(opened[shared:])]
        out += [dialect.opening(style) for style in run.styles[shared:]]
        out.append(dialect.escape(run.text, run.styles))
        opened = run.styles
    return "".join(out)


def split(runs: Sequence[Run], limit: int, *, length: Callable[[str], int] = len, first: int = 0) -> tuple[tuple[Run, ...], ...]:
    """Cut a text into parts that fit: between paragraphs if possible, else lines, else words, else characters.

    Only the white space at a cut is dropped, and parts that would be blank. No words are lost.

    Args:
        runs: the text.
        limit: the most a part may measure, at least 4.
        length: measures a text; at least its number of characters and at most four times that.
        first: a smaller limit for the first part (a caption); 0 means `limit`.
    """
    text = "".join(run.text for run in runs)
    paragraphs = _paragraphs(runs)
    parts: list[tuple[Run, ...]] = []
    start = 0
    while start < len(text):
        room = (first or limit) if not parts else limit
        end, following = _cut(text, start, _reach(text, start, room, length), paragraphs)
        part = _slice(runs, start, end)
        if text[start:end].strip():
            parts.append(part)
        start = following
    return tuple(parts)


def _reach(text: str, start: int, limit: int, length: Callable[[str], int]) -> int:
    """The furthest end of a part that begins at `start`."""
    end = min(len(text), start + limit)
    while (excess := length(text[start:end]) - limit) > 0:
        end -= max(1, excess // 4)
    return end


def _cut(text: str, start: int, end: int, paragraphs: Sequence[int]) -> tuple[int, int]:
    """Where a part that could reach `end` ends, and where the next one begins."""
    if end == len(text):
        return end, end
    border = max((at for at in paragraphs if start < at <= end), default=0)
    if border:
        return border, border + len(PARAGRAPH)
    for separator in ("\n", " "):
        found = text.rfind(separator, start + 1, end + 1)
        if found > start and text[start:found].strip():
            return found, found + 1
    return end, end


def _paragraphs(runs: Sequence[Run]) -> list[int]:
    """Positions of paragraph borders."""
    borders = []
    position = 0
    for run in runs:
        if run.text == PARAGRAPH and not any(style.mark is Mark.PRE for style in run.styles):
            borders.append(position)
        position += len(run.text)
    return borders


def _slice(runs: Sequence[Run], start: int, end: int) -> tuple[Run, ...]:
    """The runs between two positions."""
    out = []
    position = 0
    for run in runs:
        piece = run.text[max(0, start - position) : max(0, end - position)]
        position += len(run.text)
        if piece:
            out.append(run._replace(text=piece))
    return tuple(out)


def _shared(one: tuple[Style, ...], other: tuple[Style, ...]) -> int:
    """How many outer styles two runs have in common."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _merged(runs: Iterator[Run]) -> Iterator[Run]:
    """Join neighbours of the same style, but keep paragraph borders apart."""
    held: Run | None = None
    for run in runs:
        if held and held.styles == run.styles and PARAGRAPH not in (held.text, run.text):
            held = Run(held.text + run.text, held.styles)
            continue
        if held and held.text:
            yield held
        held = run
    if held and held.text:
        yield held


_PLAIN: Final = re.compile(
    # Lines that no Markdown rule touches: none of its signs, no white space at the ends, no list, heading or rule at the
    # beginning. At most one blank line between two, none at the ends. Most replies of bots are such, and parsing costs
    # 100 times more than this look.
    r"(?:(?![-+=]|\d+[.)])[^\s\0\\`*_\[\]<>&#~]+(?:[ ][^\s\0\\`*_\[\]<>&#~]+)*(?:\n{1,2}(?!\Z)|\Z))*"
)

_DEEPEST: Final = 20
"""Containers within containers that the parser follows."""

_PARSER: Final = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST}).enable("strikethrough").disable("reference")
"""A reference definition would vanish from the text, and what a bot says must not vanish."""

_SPANS: Final = {"strong_open": Mark.BOLD, "em_open": Mark.ITALIC, "s_open": Mark.STRIKE}


class _Walk:
    """Turns the parser's tokens into runs."""

    def __init__(self) -> None:
        self._styles: list[Style] = []
        self._lists: list[int | None] = []  # the next number of each open list; None for bullets
        self._pending = ""  # a border, written only when text follows
        self._fresh = True  # nothing stands yet in this container, so it needs no border

    def blocks(self, tokens: Sequence[Token]) -> Iterator[Run]:
        """Walk block tokens."""
        for token in tokens:
            if token.type == "inline":
                yield from self._border()
                yield from self._inline(token.children or [])
            elif token.nesting == 0:
                self._separate()
                yield from self._border()
                yield self._leaf(token)
                self._separate()
            elif not token.hidden:
                yield from self._block(token)

    def _leaf(self, token: Token) -> Run:
        """A rule or a code block."""
        if token.type == "hr":
            return Run("———", tuple(self._styles))
        language = (token.info.split() or [""])[0]
        return Run(token.content.rstrip("\n"), (*self._styles, Style(Mark.PRE, language)))

    def _block(self, token: Token) -> Iterator[Run]:
        """Enter or leave a block."""
        kind = token.type
        if kind in ("bullet_list_close", "ordered_list_close"):
            self._lists.pop()
        self._separate()
        if kind in ("bullet_list_open", "ordered_list_open"):
            self._lists.append(int(token.attrs.get("start", 1)) if kind == "ordered_list_open" else None)
        elif kind == "list_item_open":
            yield from self._item()
        elif kind == "blockquote_open":
            yield from self._border()
            self._styles.append(Style(Mark.QUOTE))
            self._fresh = True
        elif kind == "heading_open":
            self._styles.append(Style(Mark.BOLD))
        elif kind in ("heading_close", "blockquote_close"):
            self._styles.pop()

    def _separate(self) -> None:
        """Ask for a border before the next text: a line break inside a list, a blank line elsewhere."""
        if not self._fresh:
            self._pending = max(self._pending, "\n" if self._lists else PARAGRAPH, key=len)

    def _border(self) -> Iterator[Run]:
        """Write the border asked for."""
        if self._pending:
            outer = tuple(style for style in self._styles if style.mark is Mark.QUOTE)
            yield Run(self._pending, outer)
        self._pending = ""
        self._fresh = False

    def _item(self) -> Iterator[Run]:
        """Write a list item's bullet or number."""
        number = self._lists[-1]
        if number is not None:
            self._lists[-1] = number + 1
        yield from self._border()
        yield Run("  " * (len(self._lists) - 1) + ("• " if number is None else f"{number}. "), tuple(self._styles))
        self._fresh = True

    def _inline(self, tokens: Sequence[Token]) -> Iterator[Run]:
        """Walk the tokens inside a paragraph."""
        before = ""
        for token in tokens:
            if token.type in _SPANS:
                self._styles.append(Style(_SPANS[token.type]))
            elif token.type == "link_open":
                self._styles.append(Style(Mark.LINK, str(token.attrs.get("href", ""))))
            elif token.nesting < 0:
                if before == "link_open":
                    yield Run(self._styles[-1].argument, tuple(self._styles))
                self._styles.pop()
            elif text := _shown(token):
                yield Run(text, (*self._styles, *_own(token)))
            before = token.type


def _shown(token: Token) -> str:
    """The text of an inline token."""
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return token.content or (str(token.attrs.get("src", "")) if token.type == "image" else "")


def _own(token: Token) -> tuple[Style, ...]:
    """The style that an inline token brings by itself."""
    if token.type == "code_inline":
        return (Style(Mark.CODE),)
    if token.type == "image":
        return (Style(Mark.LINK, str(token.attrs.get("src", ""))),)
    return ()
