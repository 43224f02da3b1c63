"""Sending over the real way out: what arrives, what fails and how, and where a retry goes on."""

from __future__ import annotations

import socket

import msgspec
import pytest

from botstead.channels.telegram import KIND
from botstead.core.messages import AnswerButton, Attachment, Button, Delete, Edit, Outcome, Reason, Send, Typing
from tests.doubles.telegram import Fault
from tests.integration.telegram.stories import sending, told


def test_a_message_arrives_and_is_named():
    async def story(stage):
        receipt = await KIND.deliver(sending(Send("**Hello**", buttons=((Button("OK"),),))), stage.account(), stage.egress)
        (sent,) = stage.bot.sent
        assert (receipt.outcome, receipt.external_id) == (Outcome.SENT, str(sent.message_id))
        assert sent.text == "<b>Hello</b>"

    told(story)


def test_every_action_is_within_the_rules():
    async def story(stage):
        account, egress = stage.account(), stage.egress
        first = await KIND.deliver(sending(), account, egress)
        files = (Attachment("image", "p"), Attachment("file", url="https://example.org/a.pdf"), Attachment("location", "1,2"))
        for action in (
            Send("look", attachments=files, reply_to=first.external_id),
            Edit(first.external_id, "new", buttons=((Button("Yes", "y"), Button("Site", url="https://example.org")),)),
            Edit(first.external_id, buttons=((Button("No", "n"),),)),
            Typing(),
            AnswerButton("99", "seen"),
            Delete(first.external_id),
        ):
            receipt = await KIND.deliver(sending(action), account, egress)
            assert receipt.outcome is Outcome.SENT, receipt
        methods = " ".join(method for method, _ in stage.bot.requests)
        assert methods == (
            "sendMessage sendPhoto sendDocument sendLocation editMessageText editMessageReplyMarkup "
            "sendChatAction answerCallbackQuery deleteMessage"
        )

    told(story)


def test_what_is_so_already_counts_as_done():
    async def story(stage):
        first = await KIND.deliver(sending(), stage.account(), stage.egress)
        for action in (Edit(first.external_id, "hi"), Delete("9999")):
            receipt = await KIND.deliver(sending(action), stage.account(), stage.egress)
            assert receipt.outcome is Outcome.SENT

    told(story)


def test_a_retry_goes_on_where_it_stopped():
    async def story(stage):
        stage.bot.fault(Fault(method="sendMessage", every=2, status=429, retry_after=3, description="Too Many Requests"))
        long = sending(Send("a" * 4000 + "\n\n" + "b" * 4000 + "\n\n" + "c" * 4000))
        receipt = await KIND.deliver(long, stage.account(), stage.egress)
        first_id = str(stage.bot.sent[0].message_id)
        assert (receipt.outcome, receipt.after, receipt.counted) == (Outcome.LATER, 3.0, False)
        assert (long.parts_sent, long.external_id, receipt.external_id) == (1, first_id, first_id)
        receipt = await KIND.deliver(long, stage.account(), stage.egress)
        assert (receipt.outcome, receipt.external_id) == (Outcome.SENT, first_id)
        assert [text[0] for text in stage.bot.texts] == ["a", "b", "c"]

    told(story)


def test_formatting_that_telegram_refuses_is_left_out():
    async def story(stage):
        stage.bot.fault(Fault(status=400, description="Bad Request: can't parse entities: Unsupported start tag"))
        receipt = await KIND.deliver(sending(Send("**Hello** & <you>")), stage.account(), stage.egress)
        assert receipt.outcome is Outcome.SENT
        assert stage.bot.texts == ["Hello & <you>"]
        assert "parse_mode" not in stage.bot.sent[0].fields

    told(story)


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        (Fault(status=403, description="Forbidden: bot was blocked by the user"), Outcome.FAILED, Reason.GONE),
        (Fault(status=400, description="Bad Request: chat not found"), Outcome.FAILED, Reason.GONE),
        (Fault(status=400, description="Bad Request: upgraded", migrate_to=-100123), Outcome.LATER, Reason.MOVED),
        (Fault(status=502, description="Bad Gateway"), Outcome.LATER, Reason.UNAVAILABLE),
        (Fault(kind="foreign", status=503), Outcome.LATER, Reason.UNAVAILABLE),
        (Fault(kind="foreign", status=200), Outcome.UNKNOWN, Reason.UNAVAILABLE),
        (Fault(kind="close"), Outcome.UNKNOWN, Reason.UNAVAILABLE),
    ],
)
def test_faults(fault, outcome, reason):
    async def story(stage):
        stage.bot.fault(fault)
        receipt = await KIND.deliver(sending(), stage.account(), stage.egress)
        assert (receipt.outcome, receipt.reason) == (outcome, reason), receipt
        assert receipt.moved_to == ("-100123" if reason is Reason.MOVED else "")
        again = await KIND.deliver(sending(), stage.account(), stage.egress)
        assert again.outcome is Outcome.SENT

    told(story)


class Hurried:
    """A way out with less patience; that the real deadline is below the worker's lease is a test of its own."""

    def __init__(self, egress):
        self._egress = egress

    async def call(self, call, secrets):
        return await self._egress.call(msgspec.structs.replace(call, timeout=0.2), secrets)


def test_an_answer_that_does_not_come():
    async def story(stage):
        stage.bot.fault(Fault(kind="hang", seconds=1, times=2))
        receipt = await KIND.deliver(sending(), stage.account(), Hurried(stage.egress))
        assert (receipt.outcome, receipt.reason) == (Outcome.UNKNOWN, Reason.TIMEOUT)
        assert len(stage.bot.sent) == 1  # it had arrived
        receipt = await KIND.deliver(sending(Typing()), stage.account(), Hurried(stage.egress))
        assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, Reason.TIMEOUT)

    told(story)


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"

        async def story(stage):
            receipt = await KIND.deliver(sending(), stage.account(base=base), stage.egress)
            assert (receipt.outcome, receipt.reason) == (Outcome.LATER, Reason.UNAVAILABLE)

        told(story)


def test_an_address_that_the_guard_refuses():
    async def story(stage):
        receipt = await KIND.deliver(sending(), stage.account(base="http://169.254.169.254"), stage.egress)
        assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, Reason.REFUSED)

    told(story)


def test_a_revoked_token():
    async def story(stage):
        stage.bot.revoked = True
        receipt = await KIND.deliver(sending(), stage.account(), stage.egress)
        assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, Reason.REVOKED)
        assert "ABC" not in receipt.detail

    told(story)


def test_what_cannot_be_rendered_fails_with_words():
    async def story(stage):
        receipt = await KIND.deliver(sending(Send("")), stage.account(), stage.egress)
        assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, Reason.INVALID)
        assert "nothing to send" in receipt.detail
        assert not stage.bot.requests

    told(story)


@pytest.mark.parametrize("action", [Typing(), AnswerButton("99")])
@pytest.mark.parametrize("fault", [Fault(status=502), Fault(kind="close"), Fault(status=429, retry_after=5)])
def test_small_things_are_tried_once(action, fault):
    async def story(stage):
        stage.bot.fault(fault)
        receipt = await KIND.deliver(sending(action), stage.account(), stage.egress)
        assert receipt.outcome is Outcome.FAILED

    fault.times = 1
    told(story)
