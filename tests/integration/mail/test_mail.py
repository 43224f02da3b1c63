"""Mail over real SMTP: aiosmtpd takes what we send, and says what it likes."""

from __future__ import annotations

import asyncio
import email
import email.policy
import time

import pytest
import uvloop

from botstead.core.declared import MailDeclared
from botstead.core.errors import (
    EgressBroken,
    EgressRefused,
    EgressTimeout,
    EgressUnsent,
    SecretMissing,
)
from botstead.core.messages import Event, Kind
from botstead.core.ports import Incoming
from botstead.core.secret import Secret
from botstead.integrations.mail.client import Mail, MailOffice
from botstead.integrations.mail.errors import MailDelayed, MailRefused
from botstead.integrations.mail.service import PLACES
from botstead.runtime.egress import Dialer
from botstead.runtime.outside.caller import Caller, caller
from botstead.telemetry.catalog import INTEGRATION_REQUESTS
from tests.doubles.mail_server import MailDouble, authority, mail_server

PASSWORD = "canary-password-1234"
LETTER = ("ann@example.com", "Your order", "It is on its way.\n.\n..dots stay dots")


class Given:
    """Secrets as a test wants them."""

    def __init__(self, **values: str) -> None:
        self.values = {name: Secret(value) for name, value in values.items()}

    def of(self, _bot: str) -> dict[str, Secret]:
        return self.values


def incoming(number: int = 7) -> Incoming:
    event = Event(kind=Kind.MESSAGE, conversation="a", key="k", text="x")
    return Incoming(
        id=number, bot="shop", channel="t", account=1, conversation="1.a", event=event, trace="ab" * 16, received=1.7e9
    )


def mail(double: MailDouble, *, tls=None, scheme="smtp", secrets=None, allow=("127.0.0.1",), run=7, **more) -> Mail:
    """A `Mail` for one run, to this double. Retries wait hardly at all."""
    usual = {"starttls": tls is not None, "secret": "mail_password" if double.password else "", "timeout": 5.0}
    declared = MailDeclared(url=f"{scheme}://127.0.0.1:{double.port}", sender="Shop <shop@example.org>", **{**usual, **more})
    given = secrets or Given(mail_password=double.password)
    office = MailOffice(declared, secrets=given, dialer=Dialer(allow=allow, tls=tls))
    office.server._chance = lambda: -0.998
    return office(incoming(run))


def told(story, **more) -> None:
    """Run a story with a mail server."""

    async def main() -> None:
        async with mail_server(**more) as double:
            await story(double)

    asyncio.run(main())


def counted(outcome: str) -> float:
    return INTEGRATION_REQUESTS.at("mail", outcome).value


def read(envelope):
    return email.message_from_bytes(envelope.content, policy=email.policy.SMTP)


def test_a_mail_arrives_as_it_was_written():
    async def story(double):
        before = counted("ok")
        message_id = await mail(double).send(*LETTER)
        (envelope,) = double.taken
        assert (envelope.mail_from, envelope.rcpt_tos) == ("shop@example.org", ["ann@example.com"])
        message = read(envelope)
        assert str(message["Message-ID"]) == message_id
        assert message.get_content().split() == LETTER[2].split()
        assert counted("ok") == before + 1

    told(story)


def test_451_then_250_is_sent_once():
    async def story(double):
        double.answer("data", "451 Try again later")
        double.answer("rcpt", "450 Greylisted")
        await mail(double).send(*LETTER)
        assert len(double.taken) == 1
        assert double.steps.count("data") == 2
        assert double.steps.count("mail") == 3

    told(story)


def test_a_server_that_never_can_is_asked_no_more_than_its_tries():
    async def story(double):
        double.answer("mail", *["421 Busy with ann@example.com"] * 9)
        with pytest.raises(MailDelayed) as delayed:
            await mail(double, tries=4).send(*LETTER)
        assert double.steps == ["mail"] * 4
        assert "ann" not in delayed.value.message
        assert "421" in delayed.value.message

    told(story)


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
def test_5xx_is_final_and_names_server_and_code_only(step):
    async def story(double):
        double.answer(step, "550 5.1.1 No such user ann@example.com")
        with pytest.raises(MailRefused) as refused:
            await mail(double).send(*LETTER)
        assert double.steps.count(step) == 1
        assert "127.0.0.1 answered 550" in refused.value.message
        assert "ann" not in refused.value.message
        assert refused.value.__suppress_context__
        assert double.taken == []

    told(story)


def test_to_all_recipients_or_to_none():
    async def story(double):
        double.answer("rcpt", "", "550 Unknown")
        with pytest.raises(MailRefused):
            await mail(double).send(["ann@example.com", "bob@example.com"], "s", "t")
        assert double.taken == []
        await mail(double).send(["ann@example.com", "bob@example.com"], "s", "t")
        assert double.taken[0].rcpt_tos == ["ann@example.com", "bob@example.com"]

    told(story)


def test_a_run_again_repeats_its_message_ids_and_no_two_mails_share_one():
    async def story(double):
        first, again, other = mail(double), mail(double), mail(double, run=8)
        ids = [await first.send(*LETTER), await first.send(*LETTER)]
        assert [await again.send(*LETTER), await again.send(*LETTER)] == ids
        assert len({*ids, await other.send(*LETTER)}) == 3

    told(story)


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("without", [("LOGIN",), ("PLAIN",)])
def test_tls_of_a_private_authority_and_a_login(tmp_path, implicit, loop, without):
    serving, trusting = authority(tmp_path)

    async def main():
        async with mail_server(serving, implicit=implicit, password=PASSWORD, without=without) as double:
            await mail(double, tls=trusting, scheme="smtps" if implicit else "smtp").send(*LETTER)
            assert len(double.taken) == 1
            mechanism = "LOGIN" if without == ("PLAIN",) else "PLAIN"
            assert double.logins == [(mechanism, "shop@example.org", PASSWORD)]

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


def test_a_stranger_with_another_certificate_gets_no_password(tmp_path):
    serving, _ = authority(tmp_path)
    (tmp_path / "other").mkdir()
    _, trusting = authority(tmp_path / "other")

    async def main():
        for implicit in (False, True):
            async with mail_server(serving, implicit=implicit, password=PASSWORD) as double:
                with pytest.raises(EgressRefused, match="certificate is not valid"):
                    await mail(double, tls=trusting, scheme="smtps" if implicit else "smtp").send(*LETTER)
                assert double.logins == []

    asyncio.run(main())


def test_a_server_that_offers_no_tls_gets_no_password(tmp_path):
    _, trusting = authority(tmp_path)

    async def story(double):
        double.password = PASSWORD
        with pytest.raises(MailRefused, match="lacks what is needed: STARTTLS"):
            await mail(double, tls=trusting).send(*LETTER)
        assert (double.logins, double.steps) == ([], [])

    told(story)


def test_a_wrong_password_is_told_by_the_name_of_its_secret(tmp_path):
    serving, trusting = authority(tmp_path)

    async def story(double):
        with pytest.raises(MailRefused, match="Check user and the secret mail_password") as refused:
            await mail(double, tls=trusting, secrets=Given(mail_password="wrong-canary")).send(*LETTER)
        assert len(double.logins) == 1
        assert "canary" not in "".join(map(str, (refused.value, refused.value.__cause__)))

    told(story, tls=serving, password=PASSWORD)


def test_a_missing_password_is_told_with_the_command_that_sets_it():
    async def story(double):
        double.password = PASSWORD
        with pytest.raises(SecretMissing, match="botstead bots secrets set shop mail_password --file"):
            await mail(double, secrets=Given()).send(*LETTER)
        assert double.steps == []

    told(story)


def test_the_address_guard_decides_where_mail_goes():
    async def story(double):
        before = counted("refused")
        with pytest.raises(EgressRefused, match="BOTSTEAD_EGRESS_ALLOW"):
            await mail(double, allow=()).send(*LETTER)
        assert double.steps == []
        assert counted("refused") == before + 1

    told(story)


@pytest.mark.parametrize(("step", "kind"), [("rcpt", EgressUnsent), ("data", EgressTimeout)])
def test_a_silent_server_costs_the_deadline_and_says_whether_it_may_have_arrived(step, kind):
    async def story(double):
        double.hang = step
        began = time.monotonic()
        with pytest.raises(kind):
            await mail(double, timeout=0.3).send(*LETTER)
        assert 0.25 < time.monotonic() - began < 1.5

    told(story)


def test_the_runs_own_deadline_counts():
    async def story(double):
        double.hang = "mail"
        caller.set(Caller("shop", time.monotonic() + 0.2))
        began = time.monotonic()
        with pytest.raises(EgressUnsent):
            await mail(double, timeout=30.0).send(*LETTER)
        assert time.monotonic() - began < 1.5

    told(story)


def test_a_connection_that_breaks_is_tried_again_before_the_mail_was_handed_over_and_not_after():
    async def story(double):
        double.answer("rcpt", "drop")
        await mail(double).send(*LETTER)
        assert len(double.taken) == 1
        double.answer("data", "drop")
        with pytest.raises(EgressBroken, match="may have arrived"):
            await mail(double).send(*LETTER)
        assert double.steps.count("data") == 2

    told(story)


def test_more_than_its_places_wait_and_a_cancelled_one_gives_its_place_back():
    async def story(double):
        double.hang = "mail"
        one = mail(double, timeout=20.0)
        many = [asyncio.create_task(one.send(*LETTER)) for _ in range(PLACES + 3)]
        async with asyncio.timeout(5):
            while double.steps.count("mail") < PLACES:
                await double.hanging.wait()
                await asyncio.sleep(0)
        assert double.steps.count("mail") == PLACES
        for task in many:
            task.cancel()
        await asyncio.gather(*many, return_exceptions=True)
        double.hang = ""
        await asyncio.gather(*(one.send(*LETTER) for _ in range(PLACES + 1)))
        assert len(double.taken) == PLACES + 1

    told(story)
