"""The rehearsal itself: it must not promise more or less than the road."""

from __future__ import annotations

import asyncio

import pytest

from botstead import (
    AnswerButton,
    Bot,
    Button,
    Chat,
    Conversation,
    Delete,
    Edit,
    Message,
    Outbox,
    Person,
    Send,
    chat_with,
)
from botstead.bots.manifest import Manifest
from botstead.bots.runner import PythonBot
from botstead.core.errors import BotBroken

bot = Bot("menu")


@bot.command("menu")
def menu(chat: Chat, outbox: Outbox) -> None:
    chat.send("Choose", [["Tea", Button("Site", url="https://example.org")], [Button("Coffee", "c")]])
    outbox.send("1.kitchen", "somebody looks")


@bot.on.button
def chosen(value: str, message: Message, chat: Chat, conversation: Conversation) -> None:
    conversation.state["chosen"] = value
    chat.notice("ok")
    chat.edit(message.id, f"You chose {value}", ["Undo"])


@bot.command("clear")
def clear() -> list[Delete]:
    return [Delete("out-1")]


@bot.command("photo")
def photo(chat: Chat) -> None:
    chat.photo("file-1", "look")


def test_screen_buttons_and_forwards():
    async def story() -> None:
        async with chat_with(bot, person=Person("me", "Me")) as chat:
            reply = await chat.send("menu")
            assert (str(reply), reply.buttons, bool(reply)) == ("Choose", ["Tea", "Site", "Coffee"], True)
            assert chat.forwards == {"1.kitchen": [Send("somebody looks")]}
            pressed = await chat.press("c")
            assert pressed.notice == "ok"
            assert pressed.actions == (AnswerButton("press-2", "ok"), Edit("out-1", "You chose c", ((Button("Undo"),),)))
            assert chat.state == {"chosen": "c"}
            assert chat.version == 1
            with pytest.raises(LookupError, match=r"no button 'Tea' on the screen, only \['Undo'\]"):
                await chat.press("Tea")
            await chat.send("clear")
            assert chat.screen == {}
            assert (await chat.send("photo")).attachments[0].caption == "look"
            assert [type(action).__name__ for action in chat.replies] == ["Send", "AnswerButton", "Edit", "Delete", "Send"]

    asyncio.run(story())


def test_what_is_refused_is_sent_later_and_in_order():
    talker = Bot("talker")
    talker.on.message(lambda text: [f"{text} {number}" for number in range(3)])

    async def story() -> None:
        async with chat_with(talker) as chat:
            chat.rate_limit(5)
            began = chat.now
            assert (await chat.send("a")).texts == ["a 0", "a 1", "a 2"]
            assert chat.refused == 5
            assert chat.now > began
            assert (await chat.send("b")).texts == ["b 0", "b 1", "b 2"]
            assert chat.refused == 5

    asyncio.run(story())


def test_nothing_to_repeat():
    async def story() -> None:
        async with chat_with(bot) as chat:
            with pytest.raises(LookupError):
                await chat.duplicate()

    asyncio.run(story())


class Oracle:
    """A service that the kit has no double of."""


def test_a_missing_service_is_named():
    needy = Bot("needy")

    @needy.on.message
    def h(oracle: Oracle) -> None: ...

    async def story() -> None:
        async with chat_with(needy):
            pass

    with pytest.raises(BotBroken, match="asks for Oracle, which is not provided here"):
        asyncio.run(story())
    PythonBot(needy, Manifest(), providers={Oracle: lambda _incoming: None})
