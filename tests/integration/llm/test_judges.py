"""The official client and ours against the same servers: the double, and one that others made."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import asynccontextmanager, contextmanager

import msgspec
import openai
import pytest

from tests.doubles.llm import KEY, WORDS, call, calling, llm, problem, words
from tests.integration.llm.conftest import PRICED, setting
from tests.servers import answers, free_port, wait_until

QUESTION = "How is the sea?"
MOCK = os.environ.get("BOTSTEAD_TEST_MOCK_LLM") or shutil.which("mock-llm")


@asynccontextmanager
async def official(base: str):
    async with openai.AsyncOpenAI(base_url=base, api_key=KEY, max_retries=0) as client:
        yield client


@asynccontextmanager
async def both():
    async with llm() as double, setting(double.base) as ours, official(double.base) as theirs:
        yield double, ours, theirs


def run(story):
    async def play():
        async with asyncio.timeout(30):
            await story()

    asyncio.run(play())


async def streamed(client: openai.AsyncOpenAI, **more) -> list:
    stream = await client.chat.completions.create(
        model="plain",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
        **more,
    )
    return [chunk async for chunk in stream]


def test_the_official_client_and_ours_read_the_same():
    async def story():
        async with both() as (double, ours, theirs):
            whole = await theirs.chat.completions.create(model="plain", messages=[{"role": "user", "content": QUESTION}])
            chunks = await streamed(theirs)
            answer = await ours.llm.ask(QUESTION)
            pieces = [piece async for piece in ours.llm.stream(QUESTION)]
            assert answer.text == whole.choices[0].message.content
            assert pieces == [
                chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content
            ]
            said = chunks[-1].usage
            assert (answer.usage.asked, answer.usage.answered) == (said.prompt_tokens, said.completion_tokens)
            assert answer.finish == whole.choices[0].finish_reason
            mine, their = double.asked[2], double.asked[1]
            assert mine == {**their, "max_tokens": PRICED.max_tokens}
            assert double.keys == [f"Bearer {KEY}"] * 4

    run(story)


def test_calls_of_tools_are_read_the_same():
    script = calling(
        call("weather", ""),
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]},
        call("clock", "{}", identity="call_b", index=1),
    )

    def weather(city: str) -> str:
        """Tell the weather."""
        return city

    async def story():
        async with both() as (double, ours, theirs):
            double.play(script, script)
            answer = await ours.llm.ask(QUESTION, tools=[weather])
            tools = double.asked[0]["tools"]
            grown: dict[int, list[str]] = {}
            for chunk in await streamed(theirs, tools=tools):
                for fragment in (chunk.choices[0].delta.tool_calls or ()) if chunk.choices else ():
                    parts = grown.setdefault(fragment.index, ["", "", ""])
                    parts[0] += fragment.id or ""
                    parts[1] += fragment.function.name or ""
                    parts[2] += fragment.function.arguments or ""
            assert [[one.id, one.name, one.arguments] for one in answer.calls] == list(grown.values())
            assert double.asked[1]["tools"] == tools

    run(story)


def test_refusals_are_read_the_same():
    async def story():
        async with both() as (double, _, theirs):
            double.play(problem(429, "Slow down", "rate_limit_exceeded"))
            with pytest.raises(openai.RateLimitError):
                await streamed(theirs)
            with pytest.raises(openai.BadRequestError, match="needed"):
                await theirs.chat.completions.create(model="plain", messages=[])
            double.play(words(*WORDS))
            assert len(await streamed(theirs)) == len(WORDS) + 3

    run(story)


@contextmanager
def mock_llm():
    """A server that others made (npm @dwmkerr/mock-llm): it says what it was told."""
    if MOCK is None:
        pytest.skip("no mock-llm on this machine; BOTSTEAD_TEST_MOCK_LLM names one (npm @dwmkerr/mock-llm)")
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port)}
    process = subprocess.Popen([MOCK], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), what="mock-llm")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(10)


def test_a_server_that_others_made_is_read_the_same():
    async def story(base: str):
        async with setting(base, msgspec.structs.replace(PRICED, model="gpt-4")) as ours, official(base) as theirs:
            chunks = await streamed(theirs)
            answer = await ours.llm.ask(QUESTION)
            pieces = [piece async for piece in ours.llm.stream(QUESTION)]
            read = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
            assert answer.text == "".join(pieces) == "".join(read) == QUESTION
            assert answer.usage.estimated == all(chunk.usage is None for chunk in chunks)

    with mock_llm() as base:
        run(lambda: story(base))
