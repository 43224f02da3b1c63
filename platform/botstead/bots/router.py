"""Which handler answers an event. Pure: events in, a decision out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from botstead.bots.convert import Unfit
from botstead.bots.inject import Wired
from botstead.core.messages import Event, Kind
from botstead.core.money import Payment, PaymentState


class Found(msgspec.Struct, frozen=True):
    """A handler, and what its pattern took from the text."""

    wired: Wired
    values: Mapping[str, object]


class Misfit(msgspec.Struct, frozen=True):
    """A command that was not written as its pattern asks.

    Args:
        wired: the command.
        complaint: a sentence about what does not fit; empty when words are missing or left over.
    """

    wired: Wired
    complaint: str = ""


class Help(msgspec.Struct, frozen=True):
    """`/help`, or `/start` when `greeting` is set, and the bot has no handler of its own for it."""

    greeting: bool


class Lost(msgspec.Struct, frozen=True):
    """A text in a direct conversation that nothing answers."""


Decision: TypeAlias = Found | Misfit | Help | Lost | None

_LAST = 1_000
_DIRECT_KINDS = {Kind.JOINED: "join", Kind.LEFT: "leave", Kind.EDITED: "edited"}


class Router:
    """All routes of one bot, sorted: the more particular come first, then those written first."""

    def __init__(self, name: str, routes: Iterable[Wired]) -> None:
        """Sort the routes.

        Args:
            name: the bot's name, for texts that begin with `@name`.
            routes: those of the bot.
        """
        self._mentions = frozenset({f"@{name}", f"@{name}bot", f"@{name}_bot".replace("-", "_")})
        self._commands: dict[str, list[Wired]] = defaultdict(list)
        self._others: dict[str, list[Wired]] = defaultdict(list)
        for wired in sorted(routes, key=_particular):
            pattern = wired.route.pattern
            if pattern is not None:
                self._commands[pattern.head].append(wired)
            else:
                self._others[wired.route.kind].append(wired)
        self._has_choice = bool(self._commands) or any(_particular(wired)[0] != _LAST for wired in self._others["message"])

    def route(self, event: Event) -> Decision:
        """Decide who answers.

        Args:
            event: what happened.
        """
        if event.kind is Kind.MESSAGE:
            return self._message(event)
        if event.kind is Kind.BUTTON:
            return _first(self._others.get("button", ()), event.button)
        if event.kind is Kind.PAYMENT:
            return None if event.payment is None else self._payment(event.payment)
        kind = _DIRECT_KINDS.get(event.kind)
        if kind is None or kind not in self._others:
            return None
        return Found(self._others[kind][0], {})

    def understands(self, event: Event, decision: Decision) -> bool | None:
        """Say whether a handler was written for what was said; a handler for everything is a last resort beside others.

        Args:
            event: what happened.
            decision: what `route` said about it.

        Returns:
            None where nobody was asked anything: other kinds of events, a word between people in a group.
        """
        if event.payment is not None and event.payment.state is PaymentState.PAID:
            return isinstance(decision, Found)  # whoever has paid waits for something
        if decision is None or event.kind not in (Kind.MESSAGE, Kind.BUTTON):
            return None
        if isinstance(decision, Found):
            return not self._has_choice or _particular(decision.wired)[0] != _LAST
        return isinstance(decision, Help)

    def is_command(self, event: Event) -> bool:
        """Whether a message is a command written with a leading `/`.

        Args:
            event: a message.
        """
        return event.text.lstrip().startswith("/") and isinstance(self._command(event), Found | Help)

    def _payment(self, payment: Payment) -> Found | None:
        said = "refunded" if payment.refunded else payment.state
        candidates = [wired for wired in self._others.get("payment", ()) if wired.route.state in {"", said}]
        return _first(candidates, payment.reference)

    def _message(self, event: Event) -> Decision:
        decision = self._command(event)
        if isinstance(decision, Found | Help):
            return decision
        explicit = event.text.lstrip().startswith("/")
        listeners = self._others.get("message", ())
        # A sentence that merely begins like a command is left to those who listen to everything.
        if decision is not None and (explicit or (not event.group and (decision.complaint or not listeners))):
            return decision
        found = _listening(listeners, event.text)
        if found is not None or event.group:
            return found
        return Lost() if not listeners else None

    def _command(self, event: Event) -> Found | Misfit | Help | None:
        text, explicit = self._bare(event.text)
        head = text.split(None, 1)[0].casefold() if text else ""
        misfit = None
        for wired in self._commands.get(head, ()):
            assert wired.route.pattern is not None
            taken = wired.route.pattern.match(text)
            found = None if taken is None else _converted(wired, taken)
            if isinstance(found, Found):
                return found
            misfit = misfit or found or Misfit(wired)
        if misfit is None and _asks_for_help(head, text, explicit=explicit):
            return Help(greeting=head == "start")
        return misfit

    def _bare(self, text: str) -> tuple[str, bool]:
        """Return the text without `/`, `@name` and surrounding space, and whether it began with `/`."""
        text = text.strip()
        if text.startswith("@"):
            first, _, rest = text.partition(" ")
            if first.casefold() in self._mentions:
                text = rest.lstrip()
        if not text.startswith("/"):
            return text, False
        first = text.split(None, 1)[0]
        return first[1:].partition("@")[0] + text[len(first) :], True


def _asks_for_help(head: str, text: str, *, explicit: bool) -> bool:
    return (head in {"help", "start"} and explicit) or text.casefold() == "help"


def _particular(wired: Wired) -> tuple[int, int]:
    route = wired.route
    if route.pattern is not None:
        return -route.pattern.words, len(route.pattern.names)
    if route.kind == "payment":
        return _LAST if route.regex is None else route.regex.groups, 0 if route.state else 1
    if route.regex is not None:
        return (route.regex.groups if route.kind == "button" else 0), 0
    return (0, 0) if route.contains else (_LAST, 0)


def _converted(wired: Wired, taken: Mapping[str, str]) -> Found | Misfit:
    try:
        values = {name: wired.converters[name](text) for name, text in taken.items() if name in wired.converters}
    except Unfit as error:
        return Misfit(wired, str(error))
    return Found(wired, values)


def _first(candidates: Sequence[Wired], value: str) -> Found | None:
    for wired in candidates:
        regex = wired.route.regex
        match = regex.fullmatch(value) if regex is not None else None
        if regex is not None and match is None:
            continue
        found = _converted(wired, match.groupdict() if match is not None else {})
        if isinstance(found, Found):
            return found
    return None


def _listening(candidates: Sequence[Wired], text: str) -> Found | None:
    folded = text.casefold()
    for wired in candidates:
        route = wired.route
        match = route.regex.search(text) if route.regex is not None else None
        if route.contains not in folded or (route.regex is not None and match is None):
            continue
        groups = match.groupdict() if match is not None else {}
        found = _converted(wired, {name: value for name, value in groups.items() if value is not None})
        if isinstance(found, Found):
            return found
    return None
