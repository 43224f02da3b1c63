"""Streams of a service: judged, counted, noted and bounded as its other calls are."""

from __future__ import annotations

import asyncio

import pytest

from botstead.core.errors import EgressBroken, EgressError, EgressResting, EgressTimeout
from botstead.runtime.outside import calling
from tests.integration.outside.setting import QUICK, Figures, Setting, head, told

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def read(at: Setting, **options) -> tuple[int, bytes]:
    async with at.service.stream(at.call("POST"), **options) as answer:
        return answer.status, b"".join([piece async for piece in answer])


def test_a_stream_to_its_end():
    async def story(at: Setting) -> None:
        figures = Figures()
        at.usual = EVENTS + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        assert await read(at) == (200, b"onetwo")
        assert figures.since() == {"ok": 1, "requests": 1}
        at.usual = head(401, b"no")
        assert await read(at) == (401, b"no")

    told(story)


@pytest.mark.parametrize(
    ("answer", "options", "raised", "outcome"),
    [
        (EVENTS + b"3\r\none\r\n", {"idle": 0.1}, EgressTimeout, "timeout"),
        (EVENTS, {"first": 0.1}, EgressTimeout, "timeout"),
        (EVENTS + b"3\r\none\r\n", {"seconds": 0.1}, EgressTimeout, "timeout"),
        (EVENTS + b"zz\r\n", {}, EgressBroken, "error"),
        (b"", {"first": 0.1}, EgressTimeout, "timeout"),
    ],
)
def test_streams_that_end_badly_open_the_breaker(answer, options, raised, outcome):
    async def story(at: Setting) -> None:
        figures = Figures()
        at.usual = answer
        for _ in range(QUICK.failures):
            with pytest.raises(raised):
                await read(at, **options)
        assert figures.since()[outcome] == QUICK.failures
        with pytest.raises(EgressResting):
            await read(at)

    told(story)


def test_what_goes_wrong_while_reading_elsewhere_is_no_fault_of_the_stream():
    async def story(at: Setting) -> None:
        at.usual = EVENTS + b"3\r\none\r\n"
        for _ in range(QUICK.failures + 1):
            with pytest.raises(EgressError, match="of another service"):
                await fail_elsewhere(at)
        at.usual = head(200)
        assert await read(at) == (200, b"{}")

    told(story)


def test_leaving_early_is_no_failure_and_a_stream_holds_a_place():
    async def story(at: Setting) -> None:
        at.usual = EVENTS + b"3\r\none\r\n"
        with calling("one"):
            async with asyncio.TaskGroup() as group:
                for _ in range(QUICK.places):
                    group.create_task(first_piece(at))
            assert at.asked == QUICK.places
            at.usual = head(200)
            assert await read(at) == (200, b"{}")

    told(story)


async def first_piece(at: Setting) -> None:
    async with at.service.stream(at.call("POST")) as answer:
        assert await anext(aiter(answer)) == b"one"


async def fail_elsewhere(at: Setting) -> None:
    async with at.service.stream(at.call("POST")) as answer:
        assert await anext(aiter(answer)) == b"one"
        raise EgressError("of another service")
