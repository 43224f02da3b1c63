"""`Bot`: what an author writes against. It only collects; `runner.PythonBot` checks and runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar, overload

import msgspec

from botstead.bots.pattern import Pattern, button_regex
from botstead.core.errors import BotBroken

Function: TypeAlias = Callable[..., Any]
"""A handler: a function, sync or async, whose parameters are injected by name and type."""
F = TypeVar("F", bound=Function)

RouteKind: TypeAlias = Literal["command", "message", "button", "join", "leave", "edited", "payment"]

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""What a bot may be called: it stands in addresses and metric labels."""


_WHOLE: Final = {"button": "value", "payment": "payment"}
"""What the whole of it is called, where that is not `text`."""
HEARD: Final = ("paid", "failed", "expired", "refunded")
"""States of a payment that a bot is told of."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """When a handler is called.

    Args:
        kind: what has to happen.
        function: the handler.
        pattern: of a command.
        regex: of a message (searched), a button's value or a payment's reference (the whole of it).
        contains: words, casefolded, one of which a message must hold.
        state: of a payment; empty: any.
    """

    kind: RouteKind
    function: Function
    pattern: Pattern | None = None
    regex: re.Pattern[str] | None = None
    contains: str = ""
    state: str = ""

    @property
    def name(self) -> str:
        """What the handler is called in messages."""
        return getattr(self.function, "__qualname__", repr(self.function))

    @property
    def help(self) -> str:
        """The first line of the handler's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0].strip()

    @property
    def taken(self) -> tuple[str, ...]:
        """What the pattern takes from the text or value, by name."""
        if self.pattern is not None:
            return self.pattern.names
        return tuple(self.regex.groupindex) if self.regex is not None else ()

    @property
    def names(self) -> tuple[str, ...]:
        """What parameters of these names get: what the pattern takes, and the whole text or value."""
        if self.kind == "command":
            return self.taken
        return (*self.taken, _WHOLE.get(self.kind, "text"))


class On:
    """Decorators for what is not a command: `bot.on.message`, `.button`, `.join`, `.leave`, `.edited`, `.payment`."""

    def __init__(self, add: Callable[[Route], None]) -> None:
        """Build it; `Bot` does.

        Args:
            add: takes each route.
        """
        self._add = add

    @overload
    def message(self, function: F, /) -> F: ...
    @overload
    def message(self, /, *, regex: str = "", contains: str = "") -> Callable[[F], F]: ...
    def message(self, function: F | None = None, /, *, regex: str = "", contains: str = "") -> F | Callable[[F], F]:
        """Call the handler for messages that are no command. `text: str` is the text.

        Args:
            function: the handler, when used without parentheses.
            regex: only messages in which this is found, upper and lower case alike; named groups become parameters.
            contains: only messages that hold this, upper and lower case alike.
        """

        def add(handler: F) -> F:
            compiled = _compiled(regex, handler) if regex else None
            self._add(Route(kind="message", function=handler, regex=compiled, contains=contains.casefold()))
            return handler

        return add if function is None else add(function)

    @overload
    def button(self, function: F, /) -> F: ...
    @overload
    def button(self, value: str, /) -> Callable[[F], F]: ...
    def button(self, value: str | F, /) -> F | Callable[[F], F]:
        """Call the handler when a button is pressed. `value: str` is the button's value.

        Args:
            value: the button's value, or a pattern such as `buy:<item>`; without parentheses, any button.
        """

        def add(handler: F) -> F:
            compiled = _pattern(value, handler) if isinstance(value, str) else None
            self._add(Route(kind="button", function=handler, regex=compiled))
            return handler

        return add if isinstance(value, str) else add(value)

    def join(self, function: F, /) -> F:
        """Call the handler when somebody joins. A parameter of type `Person` is who."""
        self._add(Route(kind="join", function=function))
        return function

    def leave(self, function: F, /) -> F:
        """Call the handler when somebody leaves. A parameter of type `Person` is who."""
        self._add(Route(kind="leave", function=function))
        return function

    def edited(self, function: F, /) -> F:
        """Call the handler when somebody edits an earlier message. `text: str` is the new text."""
        self._add(Route(kind="edited", function=function))
        return function

    @overload
    def payment(self, function: F, /) -> F: ...
    @overload
    def payment(self, state: str = "", /, *, reference: str = "") -> Callable[[F], F]: ...
    def payment(self, state: str | F = "", /, *, reference: str = "") -> F | Callable[[F], F]:
        """Call the handler when a payment that `chat.pay` asked for stands otherwise. `payment: Payment` is the payment.

        It runs in the buyer's conversation, once for each state, after the provider has said it; never because of a message.

        Args:
            state: `paid`, `failed`, `expired`, or `refunded` when all or a part went back (`payment.refunded` says how much);
                without it, each of these.
            reference: the payment's reference, or a pattern such as `order:<number>`; without it, any.
        """

        def add(handler: F) -> F:
            if isinstance(state, str) and state and state not in HEARD:
                raise BotBroken(f"{located(handler)}: a payment is never told as {state!r}. It may be {', '.join(HEARD)}.")
            wanted = state if isinstance(state, str) else ""
            regex = _pattern(reference, handler) if reference else None
            self._add(Route(kind="payment", function=handler, regex=regex, state=wanted))
            return handler

        return add if isinstance(state, str) else add(state)


class Bot:
    """A bot: a name and handlers.

    Example:
        >>> bot = Bot("weather")
        >>> @bot.command("weather <city>")
        ... async def forecast(city: str, weather: Weather) -> str:
        ...     '''Tell today's weather in a city.'''
        ...     today = await weather.today(city)
        ...     return f"{today.summary}, {today.high:.0f}°C in {today.place}"

    Parameters are injected by name and type: what the pattern takes, `Message`, `Conversation`, `Chat`, `Person`,
    `Outbox`, `Payments`, `Http`, `Weather` and others that the platform provides. What a handler returns is its reply: a text, a
    `Send` or another action, a list of these, an async iterator of pieces of one text, or None. Nothing is sent
    before the handler has returned: replies and state take effect together, or not at all.
    """

    def __init__(self, name: str, *, description: str = "") -> None:
        """Build a bot.

        Args:
            name: lower-case letters, digits and hyphens, beginning with a letter, at most 63.
            description: one sentence that stands above the commands in `/help`.

        Raises:
            BotBroken: the name cannot be one.
        """
        if NAME.fullmatch(name) is None:
            raise BotBroken(f"A bot cannot be called {name!r}: use lower-case letters, digits and hyphens, such as 'my-bot'.")
        self.name = name
        self.description = description
        self.routes: list[Route] = []
        self.on = On(self._add)

    def command(self, pattern: str) -> Callable[[F], F]:
        """Call the handler when somebody writes this, with or without a leading `/`.

        The first line of the handler's docstring is its line in `/help`.

        Args:
            pattern: such as `weather <city>`, `remind <who> <what...>`, `roll [<sides>]`. The annotation of the
                parameter says what is taken: str, int, float, bool or an Enum.

        Raises:
            BotBroken: the pattern cannot be read, or another handler has the same.
        """

        def add(handler: F) -> F:
            try:
                parsed = Pattern.parse(pattern)
            except ValueError as error:
                raise BotBroken(f"{located(handler)}: {error}.") from error
            self._add(Route(kind="command", function=handler, pattern=parsed))
            return handler

        return add

    def _add(self, route: Route) -> None:
        for other in self.routes:
            if _same(route, other):
                raise BotBroken(f"{located(route.function)}: {other.name}() answers the same already. Remove one of the two.")
        self.routes.append(route)


def located(function: Function) -> str:
    """Name a handler and where it stands: `forecast() in bot.py line 7`.

    Args:
        function: the handler.
    """
    name = getattr(function, "__qualname__", repr(function))
    code = getattr(function, "__code__", None)
    if code is None:
        return f"handler {name}()"
    return f"handler {name}() in {code.co_filename} line {code.co_firstlineno}"


def _same(one: Route, other: Route) -> bool:
    if (one.kind, one.contains, one.state) != (other.kind, other.contains, other.state):
        return False
    if one.pattern is not None and other.pattern is not None:
        return one.pattern == other.pattern
    return one.regex == other.regex


def _pattern(value: str, handler: Function) -> re.Pattern[str]:
    try:
        return button_regex(value)
    except ValueError as error:
        raise BotBroken(f"{located(handler)}: {error}.") from error


def _compiled(regex: str, handler: Function) -> re.Pattern[str]:
    try:
        return re.compile(regex, re.IGNORECASE)
    except re.error as error:
        raise BotBroken(f"{located(handler)}: regex {regex!r} cannot be read: {error}.") from error
