"""Bots behind HTTP: the Node program of HTTP.md, and servers that answer everything wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest

import botstead.bots
from botstead.bots.http import HttpBot
from botstead.core.errors import HandlerFailed
from botstead.core.messages import AnswerButton, Event, Kind, Refund, Send
from botstead.core.money import Payment, PaymentState
from botstead.core.ports import Incoming, Limits
from botstead.core.secret import Secret
from botstead.runtime.egress import EgressClient
from tests.doubles.webhook_receiver import Answer, receiver

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()
MANUAL = (Path(botstead.bots.__file__).parent / "HTTP.md").read_text("utf-8")


def incoming(text: str = "hello", *, state: bytes = b"{}", kind: Kind = Kind.MESSAGE, press: str = "") -> Incoming:
    return Incoming(
        id=4711,
        bot="shouter",
        channel="webchat",
        account=3,
        conversation="3.a",
        event=Event(kind, "a", "k", text=text, press=press),
        state=state,
    )


@asynccontextmanager
async def bot(url: str, *, secret: str = KEY, deadline: float = 5.0, allow=("127.0.0.1",)):
    egress = EgressClient(allow=allow)
    try:
        yield HttpBot("shouter", url=url, secret=Secret(secret), egress=egress, limits=Limits(deadline=deadline))
    finally:
        await egress.close()


def block(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", MANUAL, re.DOTALL)[1]


@contextmanager
def node_bot():
    """The program of the manual, on a free port."""
    if shutil.which("node") is None:
        pytest.skip("there is no node on this machine")
    environment = {"PATH": os.defpath, "BOT_SECRET": KEY, "PORT": "0"}
    with subprocess.Popen(
        [shutil.which("node"), "-e", block("js")], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            port = int(process.stdout.readline().rpartition(" ")[2])
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()


def test_the_node_program_of_the_manual():
    with node_bot() as url:

        async def story():
            async with bot(url) as shouter:
                first = await shouter.handle(incoming("grüß dich"))
                assert first.actions == (Send("GRÜSS DICH", plain=True),)
                second = await shouter.handle(incoming("again", state=first.state))
                assert json.loads(second.state) == {"count": 2}
            async with bot(url, secret=OTHER) as stranger:
                with pytest.raises(HandlerFailed, match=r"answered 401.*same secret"):
                    await stranger.handle(incoming())

        asyncio.run(story())


def test_the_manual_request_by_hand():
    for tool in ("curl", "openssl", "od"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} on this machine")
    with node_bot() as url:
        environment = {"PATH": os.environb[b"PATH"].decode(), "BOT_SECRET": KEY, "BOT_URL": url}
        answer = subprocess.run(
            ["sh", "-ec", block("sh")], env=environment, capture_output=True, text=True, check=True, timeout=20
        )
    assert json.loads(answer.stdout)["actions"][0]["text"] == "HELLO"


def test_the_manual_shows_the_request_as_it_is():
    shown = json.loads(block("json"))

    async def story():
        async with receiver(KEY) as double, bot(double.url) as shouter:
            await shouter.handle(incoming())
            (received,) = double.received
            assert received.id == "4711" == received.body["id"]
            assert received.body.keys() == shown.keys()
            assert received.body["event"].keys() == shown["event"].keys()

    asyncio.run(story())


def test_a_payment_is_told_signed_and_answered_with_a_refund():
    payment = Payment(id="pay_1", state=PaymentState.PAID, amount=1250, currency="EUR", reference="mug", provider="stripe")
    told = msgspec.structs.replace(incoming(), event=Event(Kind.PAYMENT, "a", "p", payment=payment))

    async def story():
        async with receiver(KEY) as double, bot(double.url) as shouter:
            double.answers.append(Answer(body=b'{"actions": [{"type": "refund", "payment": "pay_1", "amount": 250}]}'))
            effects = await shouter.handle(told)
            assert effects.actions == (Refund("pay_1", 250),)
            (received,) = double.received  # those with a wrong signature are not received
            assert received.body["event"]["payment"]["state"] == "paid"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "message", "after"),
    [
        (Answer(status=500, body=b"Traceback"), "The bot answered 500.", None),
        (Answer(status=503, headers={"Retry-After": "4"}), "The bot answered 503.", 4.0),
        (Answer(status=429, headers={"Retry-After": "4"}), "The bot answered 429.", 4.0),
        (Answer(status=404), "The bot answered 404.", None),
        (Answer(status=302, headers={"Location": "/x"}), "redirects are not followed", None),
        (Answer(body=b"OK"), "not JSON", None),
        (Answer(body=b"x" * 2_000_000), "gave no answer", None),
        (Answer(hang_up=True), "gave no answer", None),
        (Answer(wait=5), "gave no answer: .* did not answer within 0.4 s", None),
    ],
)
def test_every_wrong_answer_fails_the_event(answer, message, after):
    async def story():
        async with receiver(KEY) as double, bot(double.url, deadline=0.4) as shouter:
            double.answers.append(answer)
            with pytest.raises(HandlerFailed, match=message) as caught:
                await shouter.handle(incoming())
            assert caught.value.after == after
            if answer.body in (b"OK", b"Traceback"):
                assert answer.body.decode() in caught.value.__notes__[0]
                assert answer.body.decode() not in caught.value.message

    asyncio.run(story())


def test_nobody_there_and_a_guarded_address():
    async def story():
        async with bot("http://127.0.0.1:9/") as shouter:
            with pytest.raises(HandlerFailed, match="nothing was sent"):
                await shouter.handle(incoming())
        async with bot("http://127.0.0.1:9/", allow=()) as shouter:
            with pytest.raises(HandlerFailed, match="BOTSTEAD_EGRESS_ALLOW"):
                await shouter.handle(incoming())

    asyncio.run(story())


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_answer_is_nothing_to_do(status):
    async def story():
        async with receiver(KEY) as double, bot(double.url) as shouter:
            double.answers.append(Answer(status=status))
            assert (await shouter.handle(incoming())).actions == ()

    asyncio.run(story())


def test_a_press_is_acknowledged_once():
    async def story():
        async with receiver(KEY) as double, bot(double.url) as shouter:
            double.answers.extend([Answer(), Answer(body=b'{"actions":[{"type":"answer","press":"p1","text":"ok"}]}')])
            press = incoming(kind=Kind.BUTTON, press="p1")
            assert (await shouter.handle(press)).actions == (AnswerButton("p1"),)
            assert (await shouter.handle(press)).actions == (AnswerButton("p1", "ok"),)

    asyncio.run(story())


@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.UNKNOWN, Kind.SEND, Kind.MOVED])
def test_what_no_bot_could_answer_is_not_sent(kind):
    async def story():
        async with receiver(KEY) as double, bot(double.url) as shouter:
            await shouter.handle(incoming(kind=kind))
            assert not double.received

    asyncio.run(story())
