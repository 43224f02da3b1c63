"""Calls over real sockets: tried again where that is safe, within deadlines, places, breaker and rate."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest

from botstead.core.errors import EgressBroken, EgressRefused, EgressResting, EgressTimeout, EgressUnsent
from botstead.core.secret import Secret
from botstead.runtime.outside import Outside, Policy, calling
from botstead.store.valkey import MemoryCache
from botstead.telemetry import tracing
from tests.integration.outside.setting import NAME, QUICK, Figures, Setting, fails, head, told


def test_a_good_answer_is_one_call():
    async def story(at: Setting) -> None:
        figures = Figures()
        call = at.provider.call("POST", "/x", headers={"Authorization": "Bearer {secret:key}"})
        answer = await at.service.ask(call, {"key": Secret("s3cret")})
        assert (answer.status, at.asked) == (200, 1)
        assert b"Bearer s3cret" in at.provider.requests[0]
        assert figures.since() == {"ok": 1, "requests": 1}

    told(story)


@pytest.mark.parametrize(
    ("method", "repeatable", "answers", "status", "asked"),
    [
        ("GET", None, [503, 200], 200, 2),
        ("GET", None, [503, 503, 503, 200], 503, 3),
        ("GET", False, [503, 200], 503, 1),
        ("POST", None, [503, 200], 503, 1),
        ("POST", True, [503, 429, 200], 200, 3),
        ("GET", None, [404, 200], 404, 1),
        ("GET", None, [302, 200], 302, 1),
    ],
)
def test_statuses_are_bettered_only_where_that_is_safe(method, repeatable, answers, status, asked):
    async def story(at: Setting) -> None:
        at.answers = [head(number, b"{}", "Location: http://127.0.0.1:1/") for number in answers]
        assert (await at.service.ask(at.call(method), repeatable=repeatable)).status == status
        assert at.asked == asked

    told(story)


@pytest.mark.parametrize(("method", "repeatable", "asked"), [("POST", None, 1), ("POST", True, 3), ("GET", None, 3)])
@pytest.mark.parametrize("silent", [False, True])
def test_what_may_have_arrived_is_repeated_only_where_that_is_safe(method, repeatable, asked, silent):
    async def story(at: Setting) -> None:
        service = at.outside.service("odd", Policy(first_wait=0.01, longest_try=0.1))
        at.usual = b"" if silent else b"no http\r\n\r\n"
        raised = await fails(service, at.call(method), repeatable=repeatable, seconds=0.6)
        assert type(raised) is (EgressTimeout if silent else EgressBroken)
        assert at.asked == asked

    told(story)


def test_what_was_not_sent_is_always_tried_again():
    async def story(at: Setting) -> None:
        figures = Figures()
        call = at.provider.call("POST")
        at.provider.port = 1
        raised = await fails(at.service, at.provider.call("POST", "/"), seconds=3)
        assert type(raised) is EgressUnsent
        assert figures.since() == {"error": 1, "requests": 3}
        assert call.url != ""

    told(story)


def test_an_answer_that_is_useless_is_tried_again_and_counted():
    async def story(at: Setting) -> None:
        figures = Figures()
        at.answers = [head(200, b"<html>"), head(200, b"[1]")]
        answer = await at.service.ask(at.call(), usable=lambda response: response.body.startswith(b"["))
        assert answer.body == b"[1]"
        at.usual = head(200, b"<html>")
        assert (await at.service.ask(at.call(), usable=lambda _: False)).body == b"<html>"
        assert figures.since() == {"ok": 1, "error": 1, "requests": 5}

    told(story)


@pytest.mark.parametrize(("fits", "statuses"), [(True, [200]), (False, [429])])
def test_a_pause_that_was_asked_for_is_kept_by_all_calls_of_that_bot(fits, statuses):
    async def story(at: Setting) -> None:
        at.answers = [head(429, b"{}", f"Retry-After: {0.2 if fits else 30}")]
        began = time.monotonic()
        with calling("one"):
            assert [(await at.service.ask(at.call(), seconds=5)).status] == statuses
            if fits:
                assert time.monotonic() - began >= 0.2
                return
            figures = Figures()
            raised = await fails(at.service, at.call(), seconds=5)
            assert isinstance(raised, EgressResting)
            assert 28 < raised.after <= 30
            assert figures.since() == {"limited": 1}
        with calling("another"):
            assert await fails(at.service, at.call()) == 200
        at.clock.moved = 31
        with calling("one"):
            assert await fails(at.service, at.call()) == 200

    told(story)


def test_the_breaker_opens_for_one_bot_and_lets_one_call_through_at_a_time():
    async def story(at: Setting) -> None:
        at.usual = head(500)
        with calling("one"):
            await asyncio.gather(*(fails(at.service, at.call("POST")) for _ in range(QUICK.failures)))
            before = at.asked
            assert before == QUICK.failures
            raised = [await fails(at.service, at.call("POST")) for _ in range(50)]
            assert all(isinstance(error, EgressResting) for error in raised)
            at.clock.moved += QUICK.rest
            raised = await asyncio.gather(*(fails(at.service, at.call("POST")) for _ in range(50)))
            assert sorted(map(str, {type(error) for error in raised})) == sorted(map(str, {int, EgressResting}))
            assert at.asked == before + 1
        with calling("another"):
            assert await fails(at.service, at.call("POST")) == 500
        at.usual = head(200)
        with calling("one"):
            at.clock.moved += 2 * QUICK.rest + 0.1
            assert await fails(at.service, at.call("POST")) == 200
            assert await asyncio.gather(*(fails(at.service, at.call("POST")) for _ in range(20))) == [200] * 20

    told(story)


def test_a_rest_is_logged_when_it_begins_and_when_it_ends(caplog):
    async def story(at: Setting) -> None:
        at.usual = head(500)
        with calling("one"):
            for _ in range(3):  # a probe that fails is no news
                await asyncio.gather(*(fails(at.service, at.call("POST"), at="api.example") for _ in range(QUICK.failures)))
                at.clock.moved += QUICK.longest_rest
            at.usual = head(200)
            await fails(at.service, at.call("POST"), at="api.example")

    caplog.set_level("INFO", "botstead.runtime.outside.dealings")
    told(story)
    assert [record.getMessage() for record in caplog.records] == ["service_rests", "service_well"]


def test_a_probe_that_is_cancelled_frees_its_place():
    async def story(at: Setting) -> None:
        at.usual = head(500)
        await asyncio.gather(*(fails(at.service, at.call("POST")) for _ in range(QUICK.failures)))
        at.clock.moved += QUICK.rest
        at.usual, at.gate, before = head(200), asyncio.Event(), at.asked
        probe = asyncio.create_task(at.service.ask(at.call("POST")))
        while at.asked == before:  # noqa: ASYNC110  the request arrives
            await asyncio.sleep(0.005)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        at.gate.set()
        assert isinstance(await fails(at.service, at.call("POST")), EgressResting)
        at.clock.moved += QUICK.rest
        assert await fails(at.service, at.call("POST")) == 200

    told(story)


def test_refusals_of_our_guard_open_nothing():
    async def story(at: Setting) -> None:
        figures = Figures()
        call = at.call()
        lured = type(call)(method="GET", url="http://169.254.169.254/")
        for _ in range(QUICK.failures + 1):
            assert isinstance(await fails(at.service, lured), EgressRefused)
        assert await fails(at.service, call) == 200
        assert figures.since()["refused"] == QUICK.failures + 1

    told(story)


def test_a_bot_fills_its_own_places_and_no_others():
    async def story(at: Setting) -> None:
        service = at.outside.service("narrow", Policy(places=2))
        at.gate = asyncio.Event()
        with calling("greedy"):
            waiting = [asyncio.create_task(fails(service, at.call("POST"), seconds=5)) for _ in range(6)]
            for _ in range(2):
                await at.provider.asked.acquire()
            late = await fails(service, at.call("POST"), seconds=0.1)
        assert isinstance(late, EgressResting)
        with calling("modest"):
            other = asyncio.create_task(fails(service, at.call("POST"), seconds=5))
            await at.provider.asked.acquire()
        assert at.asked == 3
        at.gate.set()
        assert await asyncio.gather(*waiting, other) == [200] * 7

    told(story)


def test_the_messages_own_deadline_counts():
    async def story(at: Setting) -> None:
        at.gate = asyncio.Event()
        began = time.monotonic()
        with calling("one", time.monotonic() + 0.2):
            assert isinstance(await fails(at.service, at.call("POST"), seconds=10), EgressTimeout)
            assert time.monotonic() - began < 1
            assert isinstance(await fails(at.service, at.call("POST"), seconds=10), EgressUnsent)
        assert at.asked == 1

    told(story)


def test_deadlines_that_were_too_short_are_no_failures_of_the_service():
    async def story(at: Setting) -> None:
        at.gate = asyncio.Event()
        for _ in range(QUICK.failures + 2):
            with calling("hasty", time.monotonic() + 0.02):
                await fails(at.service, at.call("POST"), seconds=10)
        at.gate.set()
        with calling("hasty"):
            assert await fails(at.service, at.call("POST")) == 200

    told(story)


def test_a_rate_makes_calls_wait_and_refuses_those_that_cannot():
    async def story(at: Setting) -> None:
        service = at.outside.service("rated", Policy(per_second=20, burst=2))
        began = time.monotonic()
        assert await asyncio.gather(*(fails(service, at.call(), seconds=5) for _ in range(6))) == [200] * 6
        assert time.monotonic() - began > 4 / 20
        figures = Figures("rated")
        refused = await asyncio.gather(*(fails(service, at.call(), seconds=0.3) for _ in range(30)))
        assert sum(isinstance(error, EgressResting) for error in refused) >= 20
        assert figures.since()["limited"] >= 20

    told(story)


def test_retries_have_a_budget():
    async def story(at: Setting) -> None:
        service = at.outside.service("hopeless", Policy(first_wait=0.0, failures=10_000))
        at.usual = head(500)
        for _ in range(100):
            await service.ask(at.call())
        assert 100 < at.asked <= 100 + 10 + 20 + 1

    told(story)


def test_each_try_is_noted_with_its_message_and_so_is_a_call_that_was_not_made():
    async def story(at: Setting) -> None:
        at.answers = [head(503)]
        run = tracing.Run(1, uuid.uuid4(), 1, 0.0, 0.0, 5.0)
        tracing.current.set(run)
        await at.service.ask(at.call())
        at.service.pause(60)
        await fails(at.service, at.call())
        assert [(made.service, made.host, made.outcome, made.status, made.number) for made in run.calls] == [
            (NAME, "127.0.0.1", "error", 503, 0),
            (NAME, "127.0.0.1", "ok", 200, 1),
            (NAME, "127.0.0.1", "limited", 0, 2),
        ]

    told(story)


def test_one_name_may_stand_for_several_hosts():
    async def story(at: Setting) -> None:
        at.service.pause(60, at="a.example")
        assert isinstance(await fails(at.service, at.call(), at="a.example"), EgressResting)
        assert await fails(at.service, at.call(), at="b.example") == 200

    told(story)


def test_a_service_that_knows_no_bots_rests_for_all_of_them():
    async def story(at: Setting) -> None:
        outside = Outside(at.egress, MemoryCache(), clock=at.clock)
        service = outside.service("common", Policy(together=True))
        with calling("one"):
            service.pause(60)
        with calling("another"):
            assert isinstance(await fails(service, at.call()), EgressResting)
        await outside.close()

    told(story)
