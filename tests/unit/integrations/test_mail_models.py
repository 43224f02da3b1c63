"""Mails are written such that every reader finds what the author said, and nothing that he did not."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.integrations.mail.errors import MailInvalid
from botstead.integrations.mail.models import LARGEST, LONGEST_SUBJECT, RECIPIENTS, write

USUAL = {"sender": "Shop <shop@example.org>", "to": "ann@example.com", "subject": "Your order", "text": "It is on its way."}
AT = 1_772_362_800.0


def written(**changes):
    return write(**{**USUAL, "html": None, "key": "1", "at": AT, **changes})


def read(letter):
    return email.message_from_bytes(letter.content, policy=email.policy.SMTP)


def test_a_mail_says_from_whom_to_whom_what_and_when():
    letter = written(to=["ann@example.com", "bob@example.com"], html="<p>It is on its <b>way</b>.</p>")
    message = read(letter)
    assert (letter.sender, letter.recipients) == ("shop@example.org", ("ann@example.com", "bob@example.com"))
    assert str(message["From"]) == "Shop <shop@example.org>"
    assert str(message["To"]) == "ann@example.com, bob@example.com"
    assert message["Date"].datetime.timestamp() == AT
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_body(("plain",)).get_content() == "It is on its way.\r\n"
    assert message.get_body(("html",)).get_content() == "<p>It is on its <b>way</b>.</p>\r\n"


def test_the_same_key_gives_the_same_message_id_and_another_another():
    assert written(key="a").message_id == written(key="a", text="else").message_id != written(key="b").message_id
    assert str(read(written(key="a"))["Message-ID"]) == written(key="a").message_id
    assert written().message_id.endswith("@example.org>")


@given(st.text(max_size=LONGEST_SUBJECT), st.text(max_size=300))
def test_any_subject_and_text_arrive_as_they_are_or_are_refused(subject, text):
    try:
        letter = written(subject=subject, text=text)
    except MailInvalid:
        assert any(ord(letter) < 32 or 127 <= ord(letter) < 160 or letter in "\u2028\u2029" for letter in subject) or "\0" in text
        return
    message = read(letter)
    assert set(message.keys()) == {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version",
                                   "Content-Type", "Content-Transfer-Encoding"}  # fmt: skip
    assert str(message["Subject"]).split() == subject.split()
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    assert message.get_content().replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").splitlines() == lines.splitlines()
    assert letter.content.isascii()


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: everybody@example.com"},
        {"subject": "Hello\nBcc: everybody@example.com"},
        {"subject": "Hello\u2028Bcc: everybody@example.com"},
        {"subject": "Hello\x85Bcc: everybody@example.com"},
        {"subject": "x" * (LONGEST_SUBJECT + 1)},
        {"to": "ann@example.com\r\nBcc: everybody@example.com"},
        {"to": "ann@example.com, bob@example.com"},
        {"to": "Ann <ann@example.com>"},
        {"to": "ann@example.com> SIZE=1"},
        {"to": ""},
        {"to": []},
        {"to": ["ann@example.com"] * (RECIPIENTS + 1)},
        {"text": "a\0b"},
        {"text": "x" * LARGEST},
        {"html": "\ud800"},
    ],
)
def test_what_could_smuggle_or_break_is_refused(changes):
    with pytest.raises(MailInvalid) as refused:
        written(**changes)
    assert "everybody" not in refused.value.message
