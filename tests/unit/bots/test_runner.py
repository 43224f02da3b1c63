"""Running handlers: what they return, how they fail, and that it is all or nothing."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from botstead import Bot, Button, Chat, Conversation, Declined, Delete, Edit, Message, Outbox, Send, Typing, chat_with
from botstead.bots.manifest import Manifest
from botstead.bots.runner import THREADS, PythonBot
from botstead.core.errors import HandlerFailed
from botstead.core.messages import AnswerButton, Event, Kind
from botstead.core.ports import Effects, Forward, Incoming, Limits


def incoming(text="go", *, state=b"{}", **event) -> Incoming:
    return Incoming(
        id=1,
        bot="b",
        channel="test",
        account=1,
        conversation="1.c",
        event=Event(event.pop("kind", Kind.MESSAGE), "c", "k", text=text, **event),
        state=state,
    )


def one(function) -> Bot:
    """A bot of one handler."""
    bot = Bot("b")
    bot.on.message(function)
    bot.on.button(function)
    return bot


def run(function, *, limits=None, **event) -> Effects:
    async def story() -> Effects:
        handler = PythonBot(one(function), Manifest(limits=limits or Limits()))
        try:
            return await handler.handle(incoming(**event))
        finally:
            handler.close()

    return asyncio.run(story())


async def pieces():
    yield "one "
    yield "text"


async def gives_pieces():
    return pieces()


@pytest.mark.parametrize(
    ("returned", "actions"),
    [
        (None, ()),
        ("", ()),
        ("hi", (Send("hi"),)),
        (Send("hi", plain=True), (Send("hi", plain=True),)),
        (["a", None, Edit("m", "b"), Delete("m"), Typing()], (Send("a"), Edit("m", "b"), Delete("m"), Typing())),
        ((), ()),
    ],
)
def test_what_is_returned_is_the_reply(returned, actions):
    assert run(lambda: returned).actions == actions


def test_pieces_of_a_text_are_joined():
    assert run(pieces).actions == (Send("one text"),)
    assert run(gives_pieces).actions == (Send("one text"),)


async def number_pieces():
    yield 1


class Shown:
    """What people saw while it was written (implements `core.drafting.Drafts` and `Growing`)."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.ended = 0

    def begin(self, _incoming):
        return self

    def show(self, text: str) -> None:
        self.texts.append(text)

    def end(self) -> None:
        self.ended += 1


def shown_by(function) -> tuple[Shown, Effects | HandlerFailed]:
    async def story():
        handler, shown = PythonBot(one(function)), Shown()
        handler.drafts = shown
        try:
            return shown, await handler.handle(incoming())
        except HandlerFailed as error:
            return shown, error
        finally:
            handler.close()

    return asyncio.run(story())


def test_a_text_in_pieces_is_shown_while_it_grows():
    async def yields():
        yield "one "
        yield "text"

    async def streams(chat: Chat):
        assert await chat.stream(pieces(), ["Go on"]) == "one text"
        chat.send("between")
        return pieces()

    shown, effects = shown_by(yields)
    assert (shown.texts, effects.actions, shown.ended) == (["one ", "one text"], (Send("one text"),), 1)
    shown, effects = shown_by(streams)
    assert effects.actions == (Send("one text", ((Button("Go on"),),)), Send("between"), Send("one text"))
    assert shown.texts == ["one ", "one text", "one text\n\none ", "one text\n\none text"]


def test_a_draft_ends_with_its_run_however_that_ends():
    async def breaks():
        yield "one "
        raise ValueError

    async def declines():
        yield "one "
        raise Declined("No.")

    assert shown_by(breaks)[0].ended == 1
    shown, effects = shown_by(declines)
    assert (shown.ended, effects.actions) == (1, (Send("No.", plain=True),))


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda: 42, r"b: <lambda>\(\) returned int; a handler returns a text"),
        (lambda: ["a", ["b"]], "returned list"),
        (lambda: {"text": "x"}, "returned dict"),
        (number_pieces, "yielded int"),
    ],
)
def test_anything_else_is_named(function, why):
    with pytest.raises(HandlerFailed, match=why):
        run(function)


def test_a_failure_names_the_line_and_not_the_text():
    async def handler(message: Message):
        raise KeyError(message.text)

    with pytest.raises(HandlerFailed) as caught:
        run(handler, text="my password")
    assert "handler() raised KeyError at test_runner.py line " in caught.value.message
    assert "password" not in caught.value.message
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_handler_that_wants_to_end_the_process_only_fails(asynchronous):
    def leave():
        raise SystemExit(3)

    async def leave_async():
        raise SystemExit(3)

    with pytest.raises(HandlerFailed, match="raised"):
        run(leave_async if asynchronous else leave)


def test_the_deadline_ends_async_and_sync_handlers():
    async def waits():
        await asyncio.Event().wait()

    released = threading.Event()

    def blocks():
        released.wait(10)

    for handler in (waits, blocks):
        began = time.monotonic()
        with pytest.raises(HandlerFailed, match=r"ran longer than its deadline of 0\.05 s"):
            run(handler, limits=Limits(deadline=0.05))
        assert time.monotonic() - began < 5
    released.set()


def test_an_own_timeout_is_no_deadline():
    async def handler():
        raise TimeoutError

    with pytest.raises(HandlerFailed, match="raised TimeoutError"):
        run(handler)


def test_cancellation_passes():
    async def story() -> None:
        started = asyncio.Event()

        async def waits():
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(PythonBot(one(waits)).handle(incoming()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())


def test_sync_handlers_leave_the_loop_free_and_are_bounded():
    lock = threading.Lock()
    running = most = 0
    together = threading.Barrier(THREADS + 1)  # the last one waits on behalf of the loop

    def blocks():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(10)
        with lock:
            running -= 1
        return "done"

    async def story() -> None:
        handler = PythonBot(one(blocks))
        runs = [asyncio.create_task(handler.handle(incoming())) for _ in range(2 * THREADS)]
        for _ in range(2):
            await asyncio.to_thread(together.wait, 10)
        assert [(await task).actions for task in runs] == [(Send("done"),)] * 2 * THREADS
        handler.close()

    asyncio.run(story())
    assert most == THREADS


def test_sync_handlers_keep_the_context():
    variable = contextvars.ContextVar("variable", default="unset")

    def reads():
        return variable.get()

    async def story() -> Effects:
        variable.set("set")
        return await PythonBot(one(reads)).handle(incoming())

    assert asyncio.run(story()).actions == (Send("set"),)


def test_everything_said_keeps_its_order():
    async def handler(chat: Chat, outbox: Outbox, conversation: Conversation, message: Message):
        chat.typing()
        await chat.send("first", [["a", Button("b", "B")], "c"], reply_to=message.id)
        chat.edit("m1", "second", ["x"])
        chat.delete("m2")
        chat.photo("https://example.org/p.png", "a picture")
        chat.document("file-7", name="list.pdf")
        outbox.send("1.other", "there", ["y"])
        outbox.send("1.other", Typing())
        outbox.send(conversation.key, "to myself")
        return "last"

    effects = run(handler, message_id="m0")
    shown = [getattr(action, "text", "") or type(action).__name__ for action in effects.actions]
    assert shown == ["Typing", "first", "second", "Delete", "Send", "Send", "to myself", "last"]
    first = effects.actions[1]
    assert first.buttons == ((Button("a"), Button("b", "B")), (Button("c"),))
    assert first.reply_to == "m0"
    assert effects.actions[4].attachments[0].url == "https://example.org/p.png"
    assert effects.actions[5].attachments[0].reference == "file-7"
    assert effects.forwards == (Forward("1.other", (Send("there", ((Button("y"),),)), Typing())),)


def test_a_press_is_answered_by_itself_or_with_a_notice():
    assert run(lambda: "hi", kind=Kind.BUTTON, button="x", press="p7").actions == (AnswerButton("p7"), Send("hi"))

    async def handler(chat: Chat):
        chat.notice("Saved")

    assert run(handler, kind=Kind.BUTTON, button="x", press="p7").actions == (AnswerButton("p7", "Saved"),)
    assert run(handler, kind=Kind.BUTTON, button="x").actions == ()


def test_buttons_need_a_text_and_be_buttons():
    with pytest.raises(HandlerFailed, match="buttons need a text"):
        run(lambda chat: chat.send("", ["a"]) and None)
    with pytest.raises(HandlerFailed, match="int is no button"):
        run(lambda chat: chat.send("x", [1]) and None)


def test_declining_says_only_that():
    async def handler(chat: Chat, conversation: Conversation):
        chat.send("lost")
        conversation.state["lost"] = True
        raise Declined("Only on Mondays.")

    assert run(handler) == Effects(actions=(Send("Only on Mondays.", plain=True),), understood=True)


def test_a_failure_takes_nothing_and_a_repetition_is_handled_then():
    async def story() -> None:
        fails = True

        async def handler(conversation: Conversation, chat: Chat):
            conversation.state["n"] = conversation.state.get("n", 0) + 1
            chat.send("said")
            if fails:
                raise ValueError
            return "done"

        async with chat_with(one(handler)) as chat:
            with pytest.raises(HandlerFailed):
                await chat.send("x")
            assert (chat.state, chat.replies, chat.version) == ({}, [], 0)
            fails = False
            assert (await chat.duplicate()).texts == ["said", "done"]
            assert not await chat.duplicate()
            assert chat.state == {"n": 1}

    asyncio.run(story())


def test_a_state_that_cannot_be_kept_fails_the_handler():
    def handler(conversation: Conversation):
        conversation.state["when"] = object()

    with pytest.raises(HandlerFailed, match=r"b: .*handler\(\): conversation.state\['when'\] is a object"):
        run(handler)


def test_kinds_that_are_not_for_handlers_say_nothing():
    for kind in (Kind.STATUS, Kind.UNKNOWN, Kind.SEND, Kind.DELETED, Kind.MOVED, Kind.JOINED):
        assert run(lambda: "hi", kind=kind) == Effects()


def test_the_apology_is_one_sentence_and_ends_a_question():
    handler = PythonBot(Bot("b"))
    assert "Sorry" in handler.apology().actions[0].text
    assert handler.apology().state is None
    stuck = b'{"a":1,"$ask":{"handler":"h","event":{"kind":"message","conversation":"c","key":"k"},"before":{},"until":9e9}}'
    assert handler.apology(incoming(state=stuck)).state == b'{"a":1}'
