"""W3C trace context on its way: in by a verified delivery or the API, out to HTTP bots, webhooks and what handlers call."""

from __future__ import annotations

import asyncio
import base64
import time
import uuid

import msgspec
import pytest

from botstead.bots.http import HttpBot
from botstead.bots.http_client import Http
from botstead.channels.webhook import KIND as WEBHOOK
from botstead.core.errors import EgressRefused, EgressTimeout, EgressUnsent, HandlerFailed
from botstead.core.messages import Call, Event, Kind, Outcome, Send
from botstead.core.ports import Account, Effects, Incoming, Sending
from botstead.core.secret import Secret
from botstead.pipeline.answering import Answered, Noted, answering, note
from botstead.runtime.egress import EgressClient, RecordedEgress
from botstead.runtime.hosting import AnswerFailed
from botstead.runtime.outside import Outside
from botstead.telemetry import tracecontext, tracing
from botstead.telemetry.logs import trace_id
from botstead.telemetry.tracing import Run, call_stage
from tests.doubles.webhook_receiver import Answer, receiver
from tests.integration.api.served import told as on_api
from tests.unit.web.test_hooks import ACCOUNT, SIGNED, Door, call

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
TRACE = uuid.UUID(hex="4bf92f3577b34da6a3ce929d0e0e4736")
GIVEN = f"00-{TRACE.hex}-00f067aa0ba902b7-01"


def working(**more) -> Run:
    """A run that the code from here on works for."""
    run = Run(4711, TRACE, 1, time.time(), time.time(), 5.0, **more)
    tracing.current.set(run)
    return run


def expected(run: Run, number: int, flags: str = "00") -> str:
    return f"00-{TRACE.hex}-{tracecontext.span_id(TRACE, 4711, call_stage(run.began), number)}-{flags}"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ((), ""),
        (((b"traceparent", GIVEN.encode()),), GIVEN),
        (((b"traceparent", b"cc" + GIVEN.encode()[2:] + b"-more"),), GIVEN),  # kept as ours
        (((b"traceparent", b"\xff" * 99),), ""),
        (((b"traceparent", GIVEN.encode()),) * 2, ""),  # which one?
    ],
)
def test_a_verified_delivery_brings_its_trace(headers, kept):
    door = Door(ACCOUNT)
    assert call(door.app(), b'["a", "b"]', headers=(*SIGNED, *headers))[0] == 200
    assert [event.traceparent for event in door.kept] == [kept, kept]


def test_an_unsigned_one_brings_nothing():
    door = Door(ACCOUNT)
    assert call(door.app(), b'["a"]', headers=((b"traceparent", GIVEN.encode()),))[0] == 401
    assert door.kept == []


def test_the_api_takes_a_callers_trace_and_never_refuses_one(postgres_dsn):
    async def story(api):
        account = await api.deps.registry.ensure_webchat((await api.deps.registry.ensure_bot("shop", "python")) and "shop")
        path = f"/v1/conversations/{account.id}.a/messages"
        for header in (GIVEN, "nonsense", GIVEN.upper()):
            answer = await api.client.post(path, json={"text": "hi"}, headers={"traceparent": header})
            assert answer.status_code == 202
        rows = await api.sql("SELECT trace, payload FROM message WHERE direction = 2 ORDER BY id")
        assert rows[0]["trace"].hex == TRACE.hex
        assert msgspec.json.decode(rows[0]["payload"])["traceparent"] == GIVEN
        assert [row["trace"].hex == TRACE.hex for row in rows] == [True, False, False]

    on_api(postgres_dsn, story)


def told(story):
    async def main():
        egress = EgressClient(allow=("127.0.0.1",))
        try:
            async with receiver(KEY) as double:
                await story(double, RecordedEgress(egress))
        finally:
            await egress.close()

    asyncio.run(main())


def incoming(**more) -> Incoming:
    event = Event(Kind.MESSAGE, "a", "k", text="hello")
    return Incoming(id=4711, bot="b", channel="webchat", account=3, conversation="3.a", event=event, trace=TRACE.hex, **more)


def test_an_http_bot_is_told_and_the_call_is_noted():
    async def story(double, egress):
        bot = HttpBot("b", url=double.url, secret=Secret(KEY), egress=egress)
        await bot.handle(incoming())  # worked for no message: nothing to tell
        run = working(sampled=True)
        await bot.handle(incoming())
        await bot.handle(incoming())
        assert [got.headers.get("traceparent") for got in double.received] == [
            None,
            expected(run, 0, "01"),
            expected(run, 1, "01"),
        ]
        assert [(made.service, made.host, made.method, made.outcome, made.status, made.number) for made in run.calls] == [
            ("bot-b", "127.0.0.1", "POST", "ok", 200, 0),
            ("bot-b", "127.0.0.1", "POST", "ok", 200, 1),
        ]
        assert all(run.began <= made.began <= made.ended <= time.time() for made in run.calls)

    told(story)


def test_a_webhook_is_told_once_and_for_all_attempts():
    account = Account(id=1, public_id="p", kind="webhook", bot=1, bot_name="b", settings={}, secrets={"hook_secret": Secret(KEY)})

    async def story(double, egress):
        there = msgspec.structs.replace(account, settings={"url": double.url})
        double.answers += [Answer(status=503)]
        for _ in range(2):
            receipt = await WEBHOOK.deliver(Sending(id=9, conversation="a", action=Send("x"), trace=TRACE), there, egress)
        assert receipt.outcome is Outcome.SENT
        await WEBHOOK.deliver(Sending(id=9, conversation="a", action=Send("x"), trace=TRACE, sampled=True), there, egress)
        await WEBHOOK.deliver(Sending(id=9, conversation="a", action=Send("x")), there, egress)
        start = f"00-{TRACE.hex}-{tracecontext.span_id(TRACE, 9)}"
        assert [got.headers.get("traceparent") for got in double.received] == [f"{start}-00", f"{start}-00", f"{start}-01", None]

    told(story)


class Out:
    """A way out that keeps calls, and fails when told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.error: BaseException | None = None

    async def call(self, call, secrets=None):
        from botstead.core.messages import Response

        self.calls.append(call)
        if self.error is not None:
            raise self.error
        return Response(status=404)


def test_what_a_handler_calls_is_told_unless_the_author_says_otherwise():
    async def story():
        out = Out()
        http = Http(Outside(RecordedEgress(out)), ("api.example.org",))
        run = working()
        await http.get("https://api.example.org/x?q=secret")
        await http.post("https://api.example.org/", b"", headers={"TraceParent": "mine"})
        assert [call.headers for call in out.calls] == [{"traceparent": expected(run, 0)}, {"TraceParent": "mine"}]
        assert [(made.host, made.outcome, made.status) for made in run.calls] == [("api.example.org", "error", 404)] * 2
        assert "secret" not in repr(run.calls)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(EgressTimeout("x"), "timeout"), (EgressRefused("x"), "refused"), (EgressUnsent("x"), "unsent"), (asyncio.CancelledError(), "cancelled"), (OSError(), "broken")],
)  # fmt: skip
def test_failures_are_noted_by_kind(error, outcome):
    async def story():
        out = Out()
        out.error = error
        run = working()
        with pytest.raises(type(error)):
            await RecordedEgress(out).call(Call(method="GET", url="no url", service=""))
        (made,) = run.calls
        assert (made.service, made.host, made.outcome, made.status) == ("", "", outcome, 0)

    asyncio.run(story())


def test_a_handler_that_never_stops_calling_is_noted_up_to_a_bound():
    async def story():
        out, run = Out(), working()
        for _ in range(150):
            await RecordedEgress(out).call(Call(method="GET", url="http://a/"))
        assert (len(out.calls), len(run.calls)) == (150, 100)

    asyncio.run(story())


def test_a_bots_own_process_works_for_the_same_run():
    class Bot:
        async def handle(self, incoming):
            assert trace_id.get() == TRACE.hex
            await RecordedEgress(Out()).call(Call(method="GET", url="http://a/", headers={"traceparent": tracing.traceparent()}))
            return Effects(actions=(Send("x"),), state=b"{}")

    async def story():
        answer = await answering(Bot())(msgspec.json.encode(incoming(began=12.5, sampled=True)))
        found = msgspec.json.decode(answer, type=Answered)
        assert (found.actions, found.state) == ((Send("x"),), b"{}")
        assert [(made.service, made.number) for made in found.calls] == [("a", 0)]

    asyncio.run(story())


def test_of_a_failure_in_its_own_process_kind_and_calls_are_told():
    class Bot:
        async def handle(self, incoming):
            await RecordedEgress(Out()).call(Call(method="GET", url="http://a/"))
            raise HandlerFailed("It failed.", after=3.0) from ValueError("what somebody wrote")

    async def story():
        with pytest.raises(AnswerFailed) as caught:
            await answering(Bot())(msgspec.json.encode(incoming(began=12.5)))
        assert (caught.value.message, caught.value.after) == ("It failed.", 3.0)
        found = msgspec.json.decode(caught.value.attached, type=Noted)
        assert (found.kind, [made.service for made in found.calls]) == ("ValueError", ["a"])
        assert b"somebody" not in caught.value.attached
        run = working()
        for lie in (b"", b"nonsense", b'{"kind":1}', b"[" * 9_999, b"\xff"):
            note(lie)
        assert (run.error, run.calls) == ("", None)
        note(caught.value.attached)
        assert (run.error, len(run.calls)) == ("ValueError", 1)

    asyncio.run(story())
