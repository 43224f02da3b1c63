"""The echo sample: what newcomers copy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import botstead
from botstead import chat_with

FOLDER = Path(botstead.__file__).parent / "samples" / "echo"


def test_the_whole_tour():
    async def story() -> None:
        async with chat_with(FOLDER) as chat:
            assert (await chat.send("hello")).text == "hello"
            assert (await chat.send("a *b* [c]")).text == "a *b* [c]"
            await chat.restart()
            assert (await chat.send("count")).text == "I have repeated 2 messages so far."
            assert (await chat.send("buttons")).buttons == ["Red", "Blue"]
            assert (await chat.press("Blue")).text == "You picked blue."
            assert (await chat.send("/name")).text == "What is your name?"
            assert (await chat.send("count")).text == "Hello, count!"
            assert chat.state == {"count": 2, "name": "count"}
            assert "name – Ask for your name, and remember it." in (await chat.send("/help")).text

    asyncio.run(story())


def test_a_picture_is_passed_over():
    async def story() -> None:
        async with chat_with(FOLDER) as chat:
            assert not await chat.send("")

    asyncio.run(story())
