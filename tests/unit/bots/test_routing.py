"""Which handler answers, told through whole conversations."""

from __future__ import annotations

import asyncio
import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead import Bot, Event, Message, Person, chat_with
from botstead.bots.runner import PythonBot
from botstead.core.messages import Kind
from botstead.core.ports import Incoming


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


bot = Bot("lamp-shop", description="I sell lamps.")


@bot.command("roll <sides>")
def roll(sides: int) -> str:
    """Roll a die.

    More that nobody sees in the help.
    """
    return f"d{sides}"


@bot.command("weather today")
def weather_today() -> str:
    return "literal"


@bot.command("weather <city>")
def weather(city: str) -> str:
    return f"weather in {city}"


@bot.command("order <size> <price> <gift>")
def order(size: Size, price: float, gift: bool) -> str:
    return f"{size.name} {price} {gift}"


@bot.on.message(contains="Lamp")
def lamps() -> str:
    return "lamps!"


@bot.on.message(regex=r"nr (?P<number>\d+)( (?P<color>\w+))?")
def number(number: int, text: str, color: str = "white") -> str:
    return f"{number} {color} of {text}"


@bot.on.button("buy:<item>")
def buy(item: str, value: str) -> str:
    return f"{item} by {value}"


@bot.on.button("buy:all")
def buy_all() -> str:
    return "all"


@bot.on.join
def welcome(person: Person, event: Event) -> str:
    return f"welcome {person.id} {len(event.members)}"


@bot.on.leave
def bye(who: Person) -> str:
    return f"bye {who.id}"


@bot.on.edited
def edited(message: Message, text: str) -> str:
    return f"edited {message.id} {text}"


def talk(texts, *, to=bot, group=False):
    """What is answered to each text."""

    async def story() -> list[str]:
        async with chat_with(to, group=group) as chat:
            return [(await chat.send(text)).text for text in texts]

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("roll 6", "d6"),
        ("/roll 6", "d6"),
        ("/ROLL@lamp_shop_bot 6", "d6"),
        ("@lamp-shop roll 6", "d6"),
        ("@Lamp_Shop_bot /roll 6", "d6"),
        ("roll six", "«six» is not a whole number. Please write: roll <sides>"),
        ("/roll", "Please write: roll <sides>"),
        ("weather TODAY", "literal"),
        ("weather  New  York", "weather in New  York"),
        ("order S 3.5 yes", "SMALL 3.5 True"),
        ("order large 1 off", "LARGE 1.0 False"),
        ("order m 1 yes", "«m» is not one of: s, l. Please write: order <size> <price> <gift>"),
        ("order s nan yes", "«nan» is not a number. Please write: order <size> <price> <gift>"),
        ("order s 1 maybe", "«maybe» is neither yes nor no. Please write: order <size> <price> <gift>"),
        ("any LAMPs left?", "lamps!"),
        ("this is nr 12", "12 white of this is nr 12"),
        ("this is NR 12 red", "12 red of this is NR 12 red"),
        ("nothing of this", ""),
        ("@somebody roll 6", ""),
        ("   ", ""),
    ],
)
def test_who_answers(text, answer):
    assert talk([text]) == [answer]


def test_in_a_group_only_what_is_meant_is_answered():
    assert talk(["roll the dice", "/roll x", "/roll 4", "hello", "roll"], group=True) == [
        "",
        "«x» is not a whole number. Please write: roll <sides>",
        "d4",
        "",
        "",
    ]


def test_help_lists_the_commands():
    (shown,) = talk(["/help"])
    assert shown.splitlines() == [
        "I sell lamps.",
        "",
        "roll <sides> – Roll a die.",
        "weather today",
        "weather <city>",
        "order <size> <price> <gift>",
    ]
    assert talk(["help", "/start", "/start from-a-link", "/HELP@x"]) == [shown] * 4
    assert talk(["start"], to=bot) == [""]


def test_help_can_be_replaced():
    own = Bot("own")
    own.command("help")(lambda: "mine")
    assert talk(["/help", "help"], to=own) == ["mine", "mine"]


def test_a_bot_that_listens_to_commands_only_points_to_the_help():
    silent = Bot("silent")
    silent.command("go")(lambda: "gone")
    assert talk(["go", "what?"], to=silent) == ["gone", "I did not understand that. Write /help to see what I can do."]
    assert talk(["what?"], to=silent, group=True) == [""]
    assert talk(["/help"], to=Bot("empty")) == ["There are no commands: just write to me."]


def test_other_events_find_their_handlers():
    async def story() -> None:
        async with chat_with(bot) as chat:
            assert (await chat.join(Person("p"))).text == "welcome p 1"
            assert (await chat.leave(Person("p"))).text == "bye p"
            await chat.send("hello")
            assert (await chat.edit("hullo")).text == "edited in-3 hullo"
            for value, answer in {"buy:all": "all", "buy:red": "red by buy:red", "sell": ""}.items():
                pressed = Event(Kind.BUTTON, "test", f"k-{value}", button=value, press="p1")
                reply = await chat.deliver(pressed)
                assert reply.text == answer
                assert type(reply.actions[0]).__name__ == "AnswerButton"

    asyncio.run(story())


@given(st.text(max_size=60), st.booleans(), st.sampled_from([Kind.MESSAGE, Kind.BUTTON, Kind.EDITED, *Kind]))
def test_whatever_arrives_is_answered_or_passed_over(text, group, kind):
    handler = PythonBot(bot)
    event = Event(kind, "c", "k", text=text, button=text, group=group)
    incoming = Incoming(id=1, bot="b", channel="test", account=1, conversation="1.c", event=event)
    asyncio.run(handler.handle(incoming))
    handler.close()


def understood(bot: Bot, **event) -> bool | None:
    told = Event(conversation="c", key="k", **{"kind": Kind.MESSAGE, **event})
    return asyncio.run(
        PythonBot(bot).handle(Incoming(id=1, bot="x", channel="webchat", account=1, conversation="1.c", event=told))
    ).understood


def test_a_handler_for_everything_is_a_last_resort_beside_others():
    only, beside = Bot("only"), Bot("beside")

    @only.on.message
    def everything(message: Message) -> str:
        return message.text

    @beside.command("roll")
    def roll_one() -> str:
        return "4"

    @beside.on.message
    def whatever(message: Message) -> str:
        return "Sorry?"

    assert understood(only, text="roll") is True
    assert understood(beside, text="roll") is True
    assert understood(beside, text="What are you?") is False
    assert understood(beside, text="/help") is True
    assert understood(beside, kind=Kind.JOINED) is None


def test_what_no_handler_takes_is_not_understood_unless_nobody_was_asked():
    small = Bot("small")

    @small.command("roll <sides>")
    def roll_some(sides: int) -> int:
        return sides

    assert understood(small, text="roll six") is False
    assert understood(small, text="hello") is False
    assert understood(small, text="hello", group=True) is None
