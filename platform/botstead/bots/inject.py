"""Which parameter of a handler gets what: decided and checked once, when the bot is loaded."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias, get_type_hints

import msgspec

from botstead.bots.bot import Route, located
from botstead.bots.chat import Chat, Outbox
from botstead.bots.conversation import NOBODY, Conversation, Message
from botstead.bots.convert import Converter, converter
from botstead.bots.paying import Payments
from botstead.core.errors import BotBroken
from botstead.core.messages import Event, Person
from botstead.core.money import Payment
from botstead.core.ports import Incoming

Make: TypeAlias = Callable[[Incoming], object]
"""Makes or fetches for one event what a handler asks for."""


class Named(msgspec.Struct, frozen=True):
    """What there are several of, or none, of one type: the parameter's name says which.

    Args:
        made: by name.
        advice: says how a name that is not there is declared in `bot.toml`.
    """

    made: Mapping[str, Make]
    advice: Callable[[str], str]


Providers: TypeAlias = Mapping[type, Make | Named]
"""What else handlers can ask for by type."""


class Run(NamedTuple):
    """One run of a handler, seen from its parameters.

    Args:
        incoming: the event that made it run now.
        event: the event it is about: another one when a question was answered.
        values: what the pattern took.
    """

    incoming: Incoming
    event: Event
    values: Mapping[str, object]
    conversation: Conversation
    chat: Chat
    outbox: Outbox
    payments: Payments


Source: TypeAlias = Callable[[Run], object]


class Wired(msgspec.Struct, frozen=True, kw_only=True):
    """A route whose handler can be called.

    Args:
        route: when it is called.
        arguments: (parameter, where its value comes from).
        converters: for what the pattern takes, by name.
        is_async: whether calling it gives a coroutine.
        is_pieces: whether calling it gives an async iterator of pieces of text.
    """

    route: Route
    arguments: tuple[tuple[str, Source], ...]
    converters: Mapping[str, Converter]
    is_async: bool
    is_pieces: bool


def _person(run: Run) -> Person:
    return run.event.members[0] if run.event.members else run.event.author or NOBODY


_OURS: dict[type, Source] = {
    Message: lambda run: Message(run.event),
    Conversation: lambda run: run.conversation,
    Chat: lambda run: run.chat,
    Outbox: lambda run: run.outbox,
    Payments: lambda run: run.payments,
    Person: _person,
    Event: lambda run: run.event,
    Incoming: lambda run: run.incoming,
}
_NAMED: dict[str, Source] = {kind.__name__.lower(): source for kind, source in _OURS.items()}
_TEXTS: dict[str, Source] = {
    "text": lambda run: run.event.text,
    "value": lambda run: run.event.button,
    "payment": lambda run: run.event.payment,
}
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


def wire(route: Route, providers: Providers) -> Wired:
    """Decide where each parameter of a handler comes from.

    Args:
        route: the handler and its pattern.
        providers: what else there is, by type.

    Raises:
        BotBroken: a parameter has no source; the message names the handler, the file, the line, and the nearest name.
    """
    function = route.function
    hints = _hints(route)
    taken = route.taken
    arguments: list[tuple[str, Source]] = []
    converters: dict[str, Converter] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in _VARIADIC:
            raise BotBroken(f"{located(function)}: parameter {parameter} cannot be injected. Name each parameter.")
        annotation = hints.get(name, parameter.empty)
        if name in taken:
            converters[name] = _converter(route, name, annotation)
            arguments.extend(_from_pattern(route, parameter))
            continue
        source = _source(route, name, annotation, providers)
        if source is not None:
            arguments.append((name, source))
        elif parameter.default is parameter.empty:
            raise BotBroken(_unknown(route, name, annotation, providers))
    return Wired(
        route=route,
        arguments=tuple(arguments),
        converters=converters,
        is_async=inspect.iscoroutinefunction(function),
        is_pieces=inspect.isasyncgenfunction(function),
    )


def _hints(route: Route) -> dict[str, Any]:
    try:
        return get_type_hints(route.function)
    except (NameError, TypeError, AttributeError) as error:
        raise BotBroken(f"{located(route.function)}: an annotation cannot be read: {error}. Import what it names.") from error


def _converter(route: Route, name: str, annotation: object) -> Converter:
    if annotation is inspect.Parameter.empty:
        return str
    found = converter(annotation)
    if found is None:
        raise BotBroken(
            f"{located(route.function)}: parameter {name!r} is taken from what people write, so it is str, int, float, bool "
            f"or an Enum, not {_called(annotation)}."
        )
    return found


def _from_pattern(route: Route, parameter: inspect.Parameter) -> list[tuple[str, Source]]:
    name = parameter.name
    optional = name in route.pattern.optional_names if route.pattern is not None else parameter.default is not parameter.empty
    if not optional:
        return [(name, partial(_value, name))]
    if parameter.default is parameter.empty:
        raise BotBroken(
            f"{located(route.function)}: [<{name}>] may be left out of the pattern, so the parameter needs a default, such as "
            f'`{name}: str = ""`.'
        )
    return [(name, partial(_value_or, name, parameter.default))]


def _value(name: str, run: Run) -> object:
    return run.values[name]


def _value_or(name: str, default: object, run: Run) -> object:
    return run.values.get(name, default)


def _source(route: Route, name: str, annotation: object, providers: Providers) -> Source | None:
    if name in route.names and annotation in (Payment if name == "payment" else str, inspect.Parameter.empty):
        return _TEXTS[name]
    if annotation is Payment and route.kind == "payment":
        return _TEXTS["payment"]
    if annotation is inspect.Parameter.empty:
        by_name = {kind.__name__.lower(): kind for kind in providers}
        return _provided(route, name, providers[by_name[name]]) if name in by_name else _NAMED.get(name)
    if not isinstance(annotation, type):
        return None
    return _provided(route, name, providers[annotation]) if annotation in providers else _OURS.get(annotation)


def _provided(route: Route, name: str, provider: Make | Named) -> Source:
    if isinstance(provider, Named):
        if name not in provider.made:
            raise BotBroken(f"{located(route.function)}: parameter {name!r} is not declared. {provider.advice(name)}")
        make = provider.made[name]
    else:
        make = provider
    return lambda run: make(run.incoming)


def _unknown(route: Route, name: str, annotation: object, providers: Providers) -> str:
    where = located(route.function)
    if annotation is Payment or name == "payment":
        return f"{where}: parameter {name!r}: a payment is given to handlers of @bot.on.payment, and is a `Payment`."
    if isinstance(annotation, type) and annotation is not inspect.Parameter.empty and converter(annotation) is None:
        known = _listed(kind.__name__ for kind in (*_OURS, *providers))
        return f"{where}: parameter {name!r} asks for {annotation.__name__}, which is not provided here. There are {known}."
    pattern = _shown(route)
    known_names: Collection[str] = (*route.names, *_NAMED, *(kind.__name__.lower() for kind in providers))
    near = difflib.get_close_matches(name, [known for known in known_names if known != name], n=1)
    advice = f"Did you mean {near[0]!r}?" if near else f"It may be {_listed(known_names)}."
    return f"{where}: parameter {name!r} is not in {pattern}. {advice}"


def _shown(route: Route) -> str:
    if route.pattern is not None:
        return f"the pattern '{route.pattern}'"
    if route.regex is not None:
        return f"the pattern {route.regex.pattern!r}"
    return f"what on.{route.kind} gives"


def _called(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _listed(names: Any) -> str:
    return ", ".join(dict.fromkeys(names))
