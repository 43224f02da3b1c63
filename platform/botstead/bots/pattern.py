"""Command patterns such as `weather <city>`: parsed once, matched against what people write. Pure."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence

import msgspec

_PART = re.compile(r"(?P<open>\[)?(?:<(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<rest>\.\.\.)?>|(?P<word>[^\s<>\[\]]+))(?P<close>\])?")
_WORD = re.compile(r"\S+")


class Part(msgspec.Struct, frozen=True):
    """One word of a pattern.

    Args:
        text: the literal word, casefolded, or the name of the placeholder.
        placeholder: whether it takes what people write.
        optional: whether it may be left out.
        greedy: whether it takes everything to the end.
    """

    text: str
    placeholder: bool = False
    optional: bool = False
    greedy: bool = False

    def __str__(self) -> str:
        shown = f"<{self.text}>" if self.placeholder else self.text
        return f"[{shown}]" if self.optional else shown


class Pattern(msgspec.Struct, frozen=True):
    """A whole pattern: words and placeholders in order, beginning with a word."""

    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read a pattern as an author writes it.

        Args:
            text: words, `<name>`, `<name...>` (last, takes the rest), each optional in `[…]`. The last `<name>`
                takes everything to the end as well.

        Raises:
            ValueError: it is no pattern; the message says why.
        """
        pieces = text.strip().removeprefix("/").split()
        parts = tuple(_part(piece, last=index == len(pieces) - 1) for index, piece in enumerate(pieces))
        if not parts or parts[0].placeholder or parts[0].optional:
            raise ValueError(f"pattern {text!r} must begin with a word, such as 'weather <city>'")
        names = [part.text for part in parts if part.placeholder]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"pattern {text!r} has <{name}> twice")
        return cls(parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the placeholders, in order."""
        return tuple(part.text for part in self.parts if part.placeholder)

    @property
    def optional_names(self) -> frozenset[str]:
        """The names of those placeholders that may be left out."""
        return frozenset(part.text for part in self.parts if part.placeholder and part.optional)

    @property
    def head(self) -> str:
        """The first word, casefolded."""
        return self.parts[0].text

    @property
    def words(self) -> int:
        """How many literal words it has: the more, the more particular."""
        return sum(not part.placeholder for part in self.parts)

    def match(self, text: str) -> dict[str, str] | None:
        """Return what the placeholders take from a text, or None when it does not fit.

        Args:
            text: what somebody wrote, without a leading `/`.
        """
        return self._match(0, 0, [found.span() for found in _WORD.finditer(text)], text)

    def _match(self, at: int, word: int, spans: Sequence[tuple[int, int]], text: str) -> dict[str, str] | None:
        if at == len(self.parts):
            return {} if word == len(spans) else None
        part = self.parts[at]
        if word < len(spans):
            start, end = spans[word]
            following = word + 1
            if part.greedy:
                end, following = spans[-1][1], len(spans)
            if part.placeholder or text[start:end].casefold() == part.text:
                rest = self._match(at + 1, following, spans, text)
                if rest is not None:
                    return {part.text: text[start:end], **rest} if part.placeholder else rest
        return self._match(at + 1, word, spans, text) if part.optional else None

    def format(self, values: Mapping[str, str]) -> str:
        """Write the text that `match` reads back: the inverse, for buttons, tests and help.

        Args:
            values: a value for each placeholder; an optional one may be absent.
        """
        shown = (values.get(part.text, "") if part.placeholder else part.text for part in self.parts)
        return " ".join(word for word in shown if word)

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.parts)


def _part(piece: str, *, last: bool) -> Part:
    found = _PART.fullmatch(piece)
    if found is None or (found["open"] is None) != (found["close"] is None):
        raise ValueError(f"{piece!r} is neither a word, <name>, <name...>, nor one of these in [ ]")
    optional = found["open"] is not None
    name = found["name"]
    if name is None:
        return Part(found["word"].casefold(), optional=optional)
    if keyword.iskeyword(name):
        raise ValueError(f"<{name}> cannot be a parameter of a function: {name!r} is a word of Python")
    if found["rest"] and not last:
        raise ValueError(f"<{name}...> takes the rest, so it must stand last")
    return Part(name, placeholder=True, optional=optional, greedy=last)


_HOLE = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")


def button_regex(text: str) -> re.Pattern[str]:
    """Compile the pattern of a button's value: `buy` is exact, `buy:<item>` takes what follows the colon.

    Args:
        text: literal characters and `<name>`s.

    Raises:
        ValueError: it is empty, or a name stands twice.
    """
    pieces = _HOLE.split(text)
    if not text or len(set(pieces[1::2])) != len(pieces[1::2]):
        raise ValueError(f"button pattern {text!r} is empty or has a name twice")
    compiled = "".join(f"(?P<{piece}>.+?)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
    return re.compile(compiled, re.DOTALL)
