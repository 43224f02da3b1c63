"""Mistakes of authors are found when the bot is loaded, named, and answered with the fix."""

from __future__ import annotations

import asyncio
import enum

import pytest

from botstead import Bot, Conversation, Event, Http, Outbox, Person
from botstead.bots.inject import Named
from botstead.bots.runner import PythonBot
from botstead.core.errors import BotBroken
from botstead.core.messages import Kind
from botstead.core.ports import Incoming


class Size(enum.Enum):
    SMALL = "s"


def broken(register) -> str:
    """What is said about a bot."""

    def load():
        bot = Bot("b")
        register(bot)
        return PythonBot(bot)

    with pytest.raises(BotBroken) as caught:
        load()
    return caught.value.message


def test_a_misspelt_parameter_is_answered_with_the_right_one():
    def register(bot):
        @bot.command("weather <city>")
        def forecast(citty: str): ...

    said = broken(register)
    assert "forecast() in " in said
    assert f"{__file__} line " in said
    assert "parameter 'citty' is not in the pattern 'weather <city>'. Did you mean 'city'?" in said


def test_an_unknown_type_lists_those_there_are():
    def register(bot):
        @bot.on.message
        def h(client: Http): ...

    assert "parameter 'client' asks for Http, which is not provided here. There are Message, Conversation, Chat" in broken(
        register
    )


class Service:
    """Something of which a bot may have several."""


SERVICES = {Service: Named({"crm": lambda incoming: f"crm for {incoming.id}"}, lambda name: f"Add [service.{name}].")}


def test_of_several_the_name_of_the_parameter_says_which():
    bot = Bot("b")

    @bot.on.message
    async def answer(crm: Service) -> str:
        return str(crm)

    incoming = Incoming(
        id=7,
        bot="b",
        channel="t",
        account=1,
        conversation="1.a",
        event=Event(kind=Kind.MESSAGE, conversation="a", key="k", text="x"),
    )
    effects = asyncio.run(PythonBot(bot, providers=SERVICES).handle(incoming))
    assert [action.text for action in effects.actions] == ["crm for 7"]


def test_one_that_is_not_declared_is_answered_with_the_table_to_add():
    bot = Bot("b")

    @bot.on.message
    async def answer(stock: Service) -> str: ...

    with pytest.raises(BotBroken) as caught:
        PythonBot(bot, providers=SERVICES)
    assert caught.value.message.endswith("parameter 'stock' is not declared. Add [service.stock].")
    assert f"{__file__} line " in caught.value.message


def test_what_cannot_be_taken_from_a_text_is_refused():
    def register(bot):
        @bot.command("weather <city>")
        def forecast(city: list[str]): ...

    assert "so it is str, int, float, bool or an Enum, not list[str]" in broken(register)


def test_an_optional_word_needs_a_default():
    def register(bot):
        @bot.command("weather [<city>]")
        def forecast(city: str): ...

    assert 'needs a default, such as `city: str = ""`' in broken(register)


def test_variadic_parameters_are_refused():
    def register(bot):
        @bot.on.message
        def h(**everything: str): ...

    assert "cannot be injected" in broken(register)


def test_an_annotation_that_does_not_exist_is_named():
    def register(bot):
        def h(message: Nonsense): ...  # noqa: F821  the mistake under test

        bot.on.message(h)

    assert "Nonsense" in broken(register)


@pytest.mark.parametrize(
    "twice",
    [
        lambda bot, handler: bot.command("a <b>")(handler),
        lambda bot, handler: bot.on.message(handler),
        lambda bot, handler: bot.on.message(contains="x")(handler),
        lambda bot, handler: bot.on.button(handler),
        lambda bot, handler: bot.on.join(handler),
    ],
)
def test_two_handlers_for_the_same_are_refused(twice):
    def register(bot):
        def first(): ...

        def second(): ...

        twice(bot, first)
        twice(bot, second)

    assert "first() answers the same already" in broken(register)


def test_what_cannot_be_read_is_refused_where_it_stands():
    assert "must begin with a word" in broken(lambda bot: bot.command("<city>")(lambda: None))
    assert "cannot be read" in broken(lambda bot: bot.on.message(regex="(")(lambda: None))
    assert "has a name twice" in broken(lambda bot: bot.on.button("<a><a>")(lambda: None))
    with pytest.raises(BotBroken, match="cannot be called 'My Bot'"):
        Bot("My Bot")


def test_everything_named_or_typed_is_found():
    bot = Bot("b")

    @bot.command("go <size> [<n>]")
    async def go(  # noqa: PLR0917  one of each kind
        size: Size,
        message,
        conversation: Conversation,
        chat,
        outbox: Outbox,
        who: Person,
        event: Event,
        n: int | None = None,
        other: str = "x",
    ): ...

    PythonBot(bot)
