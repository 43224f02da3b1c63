"""Replies over the real egress to a receiver that checks them with the official library."""

from __future__ import annotations

import asyncio
import base64

import msgspec
import pytest

from botstead.channels.webhook import KIND, render
from botstead.core.messages import Outcome, Reason, Send, Typing
from botstead.core.ports import Account, Sending
from botstead.core.secret import Secret
from botstead.runtime.egress import EgressClient
from tests.doubles.webhook_receiver import Answer, receiver

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()


def account(url: str, **secrets: str) -> Account:
    return Account(
        id=1,
        public_id="p",
        kind="webhook",
        bot=1,
        bot_name="shop",
        settings={"url": url} if url else {},
        secrets={name: Secret(value) for name, value in (secrets or {"hook_secret": KEY}).items()},
    )


def sending(action=None, number=77):
    return Sending(id=number, conversation="abc", action=action or Send("hi"))


def told(story, *, secret=KEY, allow=("127.0.0.1",)):
    """Run a story with a receiver and a client."""

    async def run():
        egress = EgressClient(allow=allow)
        try:
            async with receiver(secret) as double:
                await story(double, egress)
        finally:
            await egress.close()

    asyncio.run(run())


def test_a_reply_arrives_signed_and_named():
    async def story(double, egress):
        receipt = await KIND.deliver(sending(), account(double.url), egress)
        assert (receipt.outcome, receipt.external_id) == (Outcome.SENT, "77")
        (received,) = double.received
        assert received.id == "77"
        assert received.body["type"] == "message.created"
        assert received.body["data"]["text"] == "hi"
        assert received.headers["content-type"] == "application/json"

    told(story)


@pytest.mark.parametrize(
    "secrets",
    [
        {"hook_secret": NEW, "send_secret": KEY},
        {"hook_secret": NEW, "hook_secret_previous": KEY},
        {"hook_secret": NEW, "send_secret": NEW, "send_secret_previous": KEY},
    ],
)
def test_either_side_may_rotate_first(secrets):
    async def story(double, egress):
        assert (await KIND.deliver(sending(), account(double.url, **secrets), egress)).outcome is Outcome.SENT

    told(story)


def test_a_wrong_secret_is_named():
    async def story(double, egress):
        receipt = await KIND.deliver(sending(), account(double.url, hook_secret=NEW), egress)
        assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, Reason.REVOKED)
        assert "send secret" in receipt.detail
        assert double.refused == 1

    told(story)


@pytest.mark.parametrize("secrets", [{"send_secret": "broken"}, {"other": KEY}, {"hook_secret": "whpk_" + "A" * 43}])
def test_without_a_usable_secret_nothing_goes_out(secrets):
    async def story(double, egress):
        receipt = await KIND.deliver(sending(), account(double.url, **secrets), egress)
        assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, Reason.REVOKED)
        assert not double.received
        assert not double.refused

    told(story)


def test_a_retry_repeats_the_id():
    async def story(double, egress):
        double.answers.extend([Answer(status=503, headers={"Retry-After": "3"}), Answer(body=b'{"id":"m1"}')])
        first = await KIND.deliver(sending(), account(double.url), egress)
        assert (first.outcome, first.after) == (Outcome.LATER, 3.0)
        second = await KIND.deliver(sending(), account(double.url), egress)
        assert (second.outcome, second.external_id) == (Outcome.SENT, "m1")
        assert [received.id for received in double.received] == ["77", "77"]

    told(story)


def test_a_redirect_is_not_followed():
    async def story(double, egress):
        double.answers.append(Answer(status=307, headers={"Location": double.url}))
        receipt = await KIND.deliver(sending(), account(double.url), egress)
        assert receipt.outcome is Outcome.FAILED
        assert len(double.received) == 1

    told(story)


def test_silence_is_unknown(monkeypatch):
    monkeypatch.setattr(render, "TIMEOUT", 0.3)

    async def story(double, egress):
        double.answers.append(Answer(wait=5))
        receipt = await KIND.deliver(sending(), account(double.url), egress)
        assert (receipt.outcome, receipt.reason) == (Outcome.UNKNOWN, Reason.TIMEOUT)

    told(story)


def test_a_broken_connection_is_unknown():
    async def story(double, egress):
        double.answers.append(Answer(hang_up=True))
        receipt = await KIND.deliver(sending(), account(double.url), egress)
        assert (receipt.outcome, receipt.reason) == (Outcome.UNKNOWN, Reason.UNAVAILABLE)

    told(story)


def test_nobody_there_is_later_and_a_private_address_is_refused():
    async def story(double, egress):
        nobody = await KIND.deliver(sending(), account("http://127.0.0.1:9/x"), egress)
        assert (nobody.outcome, nobody.reason) == (Outcome.LATER, Reason.UNAVAILABLE)
        guarded = EgressClient(allow=())
        refused = await KIND.deliver(sending(), account(double.url), guarded)
        assert (refused.outcome, refused.reason) == (Outcome.FAILED, Reason.REFUSED)
        await guarded.close()

    told(story)


def test_typing_is_tried_once():
    async def story(double, egress):
        double.answers.append(Answer(status=503))
        assert (await KIND.deliver(sending(Typing()), account(double.url), egress)).outcome is Outcome.FAILED

    told(story)


def test_without_an_address_replies_are_kept():
    async def story(double, egress):
        receipt = await KIND.deliver(sending(), account(""), egress)
        assert receipt == msgspec.structs.replace(receipt, outcome=Outcome.SENT, external_id="77")
        assert not double.received

    told(story)
