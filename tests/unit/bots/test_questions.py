"""`chat.ask`: a handler that asks behaves as one that waits, whatever restarts in between."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead import Bot, Button, Chat, Conversation, Declined, Person, chat_with
from botstead.core.errors import HandlerFailed


def pizza() -> Bot:
    """A bot that asks twice, and keeps state around the questions."""
    bot = Bot("pizza")

    @bot.command("order")
    async def order(chat: Chat, conversation: Conversation) -> str:
        state = conversation.state
        state["orders"] = state.get("orders", 0) + 1
        chat.send("Welcome!")
        size = await chat.ask("Which size?", ["small", Button("Large", "L")])
        state["size"] = size
        await chat.send("Good choice.")
        address = await chat.ask("Where to?", timeout=3600)
        return f"{size} to {address}, order {state['orders']}"

    @bot.command("tip <amount>")
    def tip(amount: int, conversation: Conversation) -> str:
        conversation.state["tip"] = conversation.state.get("tip", 0) + amount
        return f"tip {conversation.state['tip']}"

    @bot.on.message
    def other() -> str:
        return "other"

    return bot


def story(steps):
    """Run a story with a fresh bot."""

    async def run() -> None:
        async with chat_with(pizza()) as chat:
            await steps(chat)

    asyncio.run(run())


def test_it_goes_on_with_the_answer_and_says_nothing_twice():
    async def steps(chat):
        asked = await chat.send("order")
        assert asked.texts == ["Welcome!", "Which size?"]
        assert asked.buttons == ["small", "Large"]
        assert chat.state == {"orders": 1}
        assert (await chat.press("Large")).texts == ["Good choice.", "Where to?"]
        assert chat.state == {"orders": 1, "size": "L"}
        assert (await chat.send("Home")).texts == ["L to Home, order 1"]
        assert chat.state == {"orders": 1, "size": "L"}
        assert (await chat.send("more")).texts == ["other"]

    story(steps)


@given(st.lists(st.sampled_from(["restart", "duplicate", "rate_limit", "nothing"]), min_size=3, max_size=3))
def test_disturbances_change_nothing(disturbances):
    async def steps(chat):
        said = []
        for text, disturbance in zip(["order", "small", "Home"], disturbances, strict=True):
            if disturbance == "rate_limit":
                chat.rate_limit(2)
            said += (await chat.send(text)).texts
            if disturbance == "restart":
                await chat.restart()
            if disturbance == "duplicate":
                assert not await chat.duplicate()
        assert said == ["Welcome!", "Which size?", "Good choice.", "Where to?", "small to Home, order 1"]
        assert chat.refused == 2 * disturbances.count("rate_limit")
        assert chat.state == {"orders": 1, "size": "small"}

    story(steps)


def test_what_others_change_meanwhile_is_kept():
    async def steps(chat):
        await chat.send("order")
        await chat.send("/tip 5")  # a command ends the question
        assert (await chat.send("small")).texts == ["other"]
        assert chat.state == {"orders": 1, "tip": 5}

    story(steps)

    async def in_a_group() -> None:
        first, second = Person("first"), Person("second")
        async with chat_with(pizza(), group=True, person=first) as chat:
            await chat.send("/order")
            assert (await chat.send("tip 2", person=second)).texts == ["tip 2"]
            assert (await chat.send("hello", person=second)).texts == ["other"]
            assert (await chat.send("small")).texts == ["Good choice.", "Where to?"]
            assert (await chat.send("tip 3", person=second)).texts == ["tip 5"]
            assert (await chat.send("Home")).texts == ["small to Home, order 1"]
            assert chat.state == {"orders": 1, "tip": 5, "size": "small"}

    asyncio.run(in_a_group())


def test_cancel_ends_it():
    async def steps(chat):
        await chat.send("order")
        assert (await chat.send("/Cancel")).texts == ["Cancelled."]
        assert (await chat.send("small")).texts == ["other"]

    story(steps)


def test_time_ends_it():
    async def steps(chat):
        await chat.send("order")
        await chat.send("small")
        chat.advance(3601)
        assert (await chat.send("Home")).texts == ["other"]
        assert chat.state == {"orders": 1, "size": "small"}

    story(steps)


def test_what_is_no_answer_leaves_it_waiting():
    async def steps(chat):
        await chat.send("order")
        assert (await chat.send("  ")).texts == ["other"]
        await chat.join(Person("x"))
        assert (await chat.send("/not a command")).texts == ["Good choice.", "Where to?"]

    story(steps)


def test_a_deploy_without_the_handler_forgets_the_question():
    async def run() -> None:
        async with chat_with(pizza()) as chat:
            await chat.send("order")
            stored = chat.keep()
        new = Bot("pizza")
        new.on.message(lambda: "new")
        async with chat_with(new) as chat:
            chat.resume(stored)
            assert (await chat.send("small")).texts == ["new"]
            assert chat.state == {"orders": 1}
            assert b"$ask" not in chat.keep()

    asyncio.run(run())


def handled(handler, texts=("go",)):
    """What one handler does, asked in turn."""
    bot = Bot("b")
    bot.command("go")(handler)

    async def run() -> list[list[str]]:
        async with chat_with(bot) as chat:
            return [(await chat.send(text)).texts for text in texts]

    return asyncio.run(run())


def test_an_author_cannot_swallow_the_question():
    async def handler(chat: Chat, conversation: Conversation):
        try:
            return await chat.ask("Q?")
        except Exception:  # noqa: BLE001  what authors write
            return "swallowed"
        finally:
            conversation.state["ends"] = conversation.state.get("ends", 0) + 1
            chat.send(f"end {conversation.state['ends']}")

    assert handled(handler, ["go", "a"]) == [["Q?"], ["end 1", "a"]]


def test_a_swallowed_question_is_asked_all_the_same():
    async def handler(chat: Chat):
        try:
            return await chat.ask("Q?")
        except BaseException:  # noqa: BLE001  what authors write
            return "swallowed"

    assert handled(handler, ["go", "a"]) == [["Q?"], ["a"]]


def test_asking_without_waiting_is_named():
    async def handler(chat: Chat):
        chat.ask("Q?")

    with pytest.raises(HandlerFailed, match=r"asked without waiting. Write `await chat.ask"):
        handled(handler)


def test_only_async_handlers_ask():
    def plain(chat: Chat):
        chat.ask("Q?")

    async def yields(chat: Chat):
        yield await chat.ask("Q?")

    with pytest.raises(HandlerFailed, match="without `async` cannot ask"):
        handled(plain)
    with pytest.raises(HandlerFailed, match="that yields cannot ask"):
        handled(yields)


def test_declining_ends_the_question():
    async def handler(chat: Chat):
        await chat.ask("Q?")
        raise Declined("No.")

    assert handled(handler, ["go", "a", "b"])[:2] == [["Q?"], ["No."]]
    assert "/help" in handled(handler, ["go", "a", "b"])[2][0]


def test_a_failure_after_the_answer_leaves_the_question():
    failing = True

    async def handler(chat: Chat):
        answer = await chat.ask("Q?")
        if failing:
            raise ValueError
        return answer

    bot = Bot("b")
    bot.command("go")(handler)

    async def run() -> None:
        nonlocal failing
        async with chat_with(bot) as chat:
            await chat.send("go")
            with pytest.raises(HandlerFailed):
                await chat.send("a")
            failing = False
            assert (await chat.duplicate()).texts == ["a"]

    asyncio.run(run())


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters="/"), min_size=1, max_size=5),
        min_size=1,
        max_size=5,
    )
)
def test_any_number_of_questions_in_order(answers):
    async def handler(chat: Chat, conversation: Conversation):
        got = conversation.state["got"] = []
        for number in range(len(answers)):
            got += [await chat.ask(f"{number}?")]
        return str(got)

    said = handled(handler, ["go", *answers])
    assert said == [*([f"{number}?"] for number in range(len(answers))), [str(answers)]]
