"""`Llm` over the real way out, from a double that deviates, dawdles and drops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from contextlib import aclosing
from decimal import Decimal
from typing import Literal

import msgspec
import pytest

from botstead.core.errors import HandlerFailed
from botstead.core.metering import LlmUsage
from botstead.integrations.llm import server as serving
from botstead.integrations.llm.errors import (
    LlmInterrupted,
    LlmLimit,
    LlmNonsense,
    LlmRefused,
    LlmSpent,
    LlmUnavailable,
)
from botstead.integrations.llm.models import ToolCall, Usage
from botstead.runtime.egress import client
from tests.doubles.llm import DROP, KEY, WORDS, Script, call, calling, chunk, event, llm, problem, usage, whole, words
from tests.integration.llm.conftest import PRICED, setting

SENTENCE = "".join(WORDS)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(serving, "FIRST_WAIT", 0.02)


def run(story):
    async def play():
        async with llm() as double, setting(double.base) as here:
            async with asyncio.timeout(20):
                await story(double, here)
            assert not here.books.open, "something stayed reserved"

    asyncio.run(play())


def test_a_question_is_answered_and_counted():
    async def story(double, here):
        answer = await here.llm.ask("How is the sea?", system="You are a poet.", temperature=0.5)
        assert (answer.text, answer.usage, answer.finish, answer.model) == (SENTENCE, Usage(11, 6), "stop", "double-1")
        assert (answer.cost, answer.currency) == (Decimal("0.00000525"), "EUR")
        assert here.books.taken == [LlmUsage(asked=11, answered=6, cost=5_250, requests=1)]
        (asked,) = double.asked
        assert asked == {
            "model": "plain",
            "messages": [{"role": "system", "content": "You are a poet."}, {"role": "user", "content": "How is the sea?"}],
            "stream": True,
            "max_tokens": 200,
            "temperature": 0.5,
            "stream_options": {"include_usage": True},
        }
        assert double.keys == [f"Bearer {KEY}"]

    run(story)


def test_pieces_come_while_the_server_still_writes():
    async def story(double, here):
        gate = asyncio.Event()
        first, *others = words(*WORDS)[1:]
        double.play([first, gate, *others])
        async with aclosing(here.llm.stream("?")) as pieces:
            assert await anext(pieces) == WORDS[0]
            gate.set()
            assert [piece async for piece in pieces] == list(WORDS[1:])

    run(story)


@pytest.mark.parametrize(
    ("script", "estimated"),
    [
        pytest.param([event(chunk({"content": SENTENCE}, finish="stop"))], True, id="no [DONE], no usage"),
        pytest.param([b": ping\r\n\r\n", event(chunk({"content": SENTENCE}), "\r\n\r\n"), event("[DONE]", "\r\n\r\n")], True, id="CRLF"),
        pytest.param([event(chunk({"content": SENTENCE}))[:-2]], True, id="no end of the last event"),
        pytest.param([bytes([byte]) for byte in b"".join(words(SENTENCE))], False, id="byte by byte"),
        pytest.param([b"".join(words(SENTENCE))], False, id="all at once"),
        pytest.param([event(chunk({"content": SENTENCE}, usage=usage(11, 1))), event("[DONE]")], False, id="usage beside the text"),
        pytest.param(Script([json.dumps(whole("x")).encode()], content_type="application/json"), False, id="no stream at all"),
    ],
)  # fmt: skip
def test_whatever_a_server_does_otherwise_the_answer_is_the_same(script, estimated):
    async def story(double, here):
        double.play(script)
        answer = await here.llm.ask("How is the sea?")
        assert (answer.text, answer.usage.estimated) == (SENTENCE, estimated)
        assert here.books.taken[0].estimated == estimated
        assert here.books.taken[0].cost > 0

    run(story)


def test_after_done_nothing_is_waited_for():
    async def story(double, here):
        never = asyncio.Event()
        double.play([*words(*WORDS), never])
        assert (await here.llm.ask("?")).text == SENTENCE
        await double.left.wait()

    run(story)


@pytest.mark.parametrize("script", [problem(429, "busy"), problem(503, "away"), problem(429, "busy", retry_after_ms="20")])
def test_a_busy_server_is_asked_again_before_the_first_token(script):
    async def story(double, here):
        double.play(script, script)
        assert (await here.llm.ask("?")).text == SENTENCE
        assert len(double.asked) == 3
        double.play(*[script] * 3)
        with pytest.raises(LlmUnavailable):
            await here.llm.ask("?")
        assert len(double.asked) == 6
        assert here.books.taken[-1] == LlmUsage()

    run(story)


def test_a_long_pause_is_not_waited_for():
    async def story(double, here):
        double.play(problem(429, "busy", retry_after="3600"))
        began = time.monotonic()
        with pytest.raises(LlmUnavailable):
            await here.llm.ask("?")
        assert len(double.asked) == 1
        assert time.monotonic() - began < 5

    run(story)


@pytest.mark.parametrize(
    "parts",
    [[*words(*WORDS)[:3], DROP], [*words(*WORDS)[:3], event({"error": {"message": "out of memory", "code": 500}})]],
    ids=["dropped", "an error in the stream"],
)
def test_after_the_first_token_nothing_is_repeated(parts):
    async def story(double, here):
        double.play(parts)
        got = []
        with pytest.raises(LlmInterrupted):  # noqa: PT012  # what came before it broke is the point
            async for piece in here.llm.stream("?"):
                got.append(piece)  # noqa: PERF401  # likewise
        assert got == list(WORDS[:2])
        assert len(double.asked) == 1
        (taken,) = here.books.taken
        assert taken.estimated == 1
        assert taken.answered == 2

    run(story)


def test_a_server_that_fell_silent_costs_its_deadline(monkeypatch):
    monkeypatch.setattr(serving, "FIRST", 0.2)
    monkeypatch.setattr(serving, "IDLE", 0.2)

    async def story(double, here):
        never = asyncio.Event()
        double.play([never])
        with pytest.raises(LlmUnavailable):
            await here.llm.ask("?")
        double.play([*words(*WORDS)[:3], never])
        with pytest.raises(LlmInterrupted):
            await here.llm.ask("?")
        assert len(double.asked) == 2
        assert [(taken.estimated, taken.answered) for taken in here.books.taken] == [(1, 0), (1, 2)]
        double.play([part for each in words(*WORDS) for part in (each, 0.1)])
        with pytest.raises(LlmInterrupted):
            await here.llm.ask("?", seconds=0.5)

    run(story)


def test_who_stops_reading_stops_the_server():
    async def story(double, here):
        double.play([*words(*WORDS)[:2], asyncio.Event()])
        async with aclosing(here.llm.stream("?")) as pieces:
            assert await anext(pieces) == WORDS[0]
        await double.left.wait()
        assert here.books.taken[0].answered == 1

    run(story)


def test_a_cancelled_run_stops_the_server_and_is_counted():
    async def story(double, here):
        double.play([*words(*WORDS)[:3], asyncio.Event()])
        begun = asyncio.Event()

        async def read():
            async for _ in here.llm.stream("?"):
                begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        await double.left.wait()
        assert task.cancelled()
        assert here.books.taken[0].answered >= 1

    run(story)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (problem(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"), LlmRefused),
        (problem(404, "no such model"), LlmRefused),
        (Script([b"<html>"], content_type="text/html"), LlmNonsense),
        ([b"data: {\n\n"], LlmNonsense),
        ([], LlmNonsense),
        ([event({"error": {"message": KEY, "code": "overloaded"}})], LlmUnavailable),
    ],
)
def test_what_is_no_answer_is_said_so_without_secrets(script, kind):
    async def story(double, here):
        double.play(script)
        with pytest.raises(kind) as raised:
            await here.llm.ask("?")
        error: BaseException | None = raised.value
        while error is not None:
            assert KEY not in f"{error!r} {error} {getattr(error, '__notes__', '')}"
            error = error.__cause__ or error.__context__
        assert len(double.asked) == 1

    run(story)


def test_what_a_server_does_not_understand_is_left_out_from_then_on():
    async def story(double, here):
        double.play(
            problem(400, "Unrecognized request argument supplied: stream_options"),
            problem(400, "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
        )
        assert (await here.llm.ask("?")).text == SENTENCE
        assert (await here.llm.ask("?")).text == SENTENCE
        assert [("stream_options" in asked, "max_completion_tokens" in asked) for asked in double.asked] == [
            (True, False),
            (False, False),
            (False, True),
            (False, True),
        ]

    run(story)


class Place(msgspec.Struct):
    city: str
    country: str = "NO"


async def weather(place: Place, unit: Literal["C", "F"] = "C") -> dict:
    """Tell the weather in a place."""
    return {"city": place.city, "degrees": 7, "unit": unit}


def clock(hours: int = 0) -> str:
    """Tell the time, some hours from now."""
    return f"It is {12 + hours} o'clock."


def test_tools_are_called_until_the_answer_is_there():
    async def story(double, here):
        both = [call("weather", '{"place":{"city":"Oslo"}}'), call("clock", '{"hours":"2"}', identity="call_b", index=1)]
        double.play(calling(*both, finish="stop"), words("Seven."))
        answer = await here.llm.run("How is it?", tools=[weather, clock])
        assert (answer.text, answer.calls, answer.usage) == ("Seven.", (), Usage(22, 7))
        assert answer.cost == Decimal("0.0000075")
        assert len(here.books.taken) == 2
        tools = double.asked[0]["tools"]
        assert tools[1]["function"] == {
            "name": "clock",
            "description": "Tell the time, some hours from now.",
            "parameters": {
                "type": "object",
                "properties": {"hours": {"type": "integer", "default": 0}},
                "required": [],
                "additionalProperties": False,
            },
        }
        assert tools[0]["function"]["parameters"]["$defs"]["Place"]["required"] == ["city"]
        assert [message.get("content") for message in double.asked[1]["messages"][2:]] == [
            '{"city":"Oslo","degrees":7,"unit":"C"}',
            "It is 14 o'clock.",
        ]

    run(story)


def test_what_a_model_gets_wrong_is_told_to_it():
    async def story(double, here):
        wrong = [call("weather", "{broken"), call("nothing", "{}", identity="b", index=1), call("clock", '{"days":1}', identity="c", index=2)]  # fmt: skip
        double.play(calling(*wrong), words("Sorry."))
        await here.llm.run("?", tools=[weather, clock])
        said = [message["content"] for message in double.asked[1]["messages"][-3:]]
        assert said[0].startswith("These arguments do not fit: JSON is malformed")
        assert said[1] == "There is no tool nothing."
        assert "unknown field `days`" in said[2]

    run(story)


def test_a_run_has_limits():
    async def story(double, here):
        again = calling(call("clock", "{}"))
        double.play(*[again] * 3)
        with pytest.raises(LlmLimit):
            await here.llm.run("?", tools=[clock], rounds=2)
        assert len(double.asked) == 3
        double.play(again)
        with pytest.raises(LlmLimit):
            await here.llm.run("?", tools=[clock], tokens=17)
        double.play(again)
        with pytest.raises(LlmLimit):
            await here.llm.run("?", tools=[clock], money="0.000005")
        assert len(double.asked) == 5
        double.play([asyncio.Event()])
        with pytest.raises(LlmLimit):
            await here.llm.run("?", tools=[clock], seconds=0.2)

    run(story)


def test_what_a_tool_raises_ends_the_run():
    def broken(x: int) -> int:
        raise ZeroDivisionError(x)

    async def story(double, here):
        double.play(calling(call("broken", '{"x":1}')))
        with pytest.raises(ZeroDivisionError):
            await here.llm.run("?", tools=[broken])

    run(story)


@pytest.mark.parametrize("tools", [[lambda x: x], [clock, clock], [asyncio.gather]])
def test_tools_that_cannot_be_described_are_the_authors_mistake(tools):
    async def story(double, here):
        with pytest.raises(HandlerFailed):
            await here.llm.ask("?", tools=tools)
        assert not double.asked

    run(story)


def test_calls_are_left_to_who_only_asks():
    async def story(double, here):
        double.play(calling(call("clock", '{"hours": 1}')))
        answer = await here.llm.ask([{"role": "user", "content": "?"}], tools=[clock])
        assert answer.calls == (ToolCall("call_a", "clock", '{"hours": 1}'),)

    run(story)


def test_a_used_up_day_asks_nobody():
    async def story(double, here):
        here.books.left = 100
        with pytest.raises(LlmSpent, match="tomorrow"):
            await here.llm.ask("?")
        assert not double.asked
        assert here.books.left == 100

    run(story)


def test_one_message_cannot_use_up_the_day():
    async def play():
        declared = msgspec.structs.replace(PRICED, share=0.02)
        async with llm() as double, setting(double.base, declared) as here:
            mine = here.llm
            double.play([*words("x")[:-2], event(chunk(usage=usage(1, 200))), event("[DONE]")])
            await mine.ask("?")
            with pytest.raises(LlmLimit):
                await mine.ask("?")
            await here.llm.ask("?")
            assert len(double.asked) == 2

    asyncio.run(play())


def test_a_server_that_cannot_be_connected_to_is_given_up_long_before_the_first_byte(monkeypatch):
    """A full backlog: the kernel answers no connection attempt."""
    monkeypatch.setattr(client, "CONNECT", 0.2)

    async def play():
        with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, contextlib.ExitStack() as waiting:
            address = silent.getsockname()
            for _ in range(4):
                caller = waiting.enter_context(socket.socket())
                caller.setblocking(False)
                caller.connect_ex(address)
            async with setting(f"http://127.0.0.1:{address[1]}/v1") as here:
                began = time.monotonic()
                with pytest.raises(LlmUnavailable):
                    await here.llm.ask("?")
                assert time.monotonic() - began < 5
                assert here.books.taken == [LlmUsage()]

    asyncio.run(play())
