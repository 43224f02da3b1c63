"""A mail as it is sent: checked, and written as RFC 5322 wants it."""

from __future__ import annotations

import datetime as dt
import email.policy
import re
import uuid
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final

import msgspec

from botstead.core.declared import MAIL_ADDRESS
from botstead.integrations.mail.errors import MailInvalid

RECIPIENTS: Final = 50
LONGEST_SUBJECT: Final = 250
LARGEST: Final = 1_048_576
"""Bytes of text and HTML together."""

_NAMESPACE: Final = uuid.UUID("6f0d9a3e-0f4c-5a51-9d0e-8a1f4b1c2d3e")
_POLICY: Final = email.policy.SMTP.clone(cte_type="7bit")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail ready to be sent.

    Args:
        sender: the address in the envelope.
        recipients: addresses in the envelope.
        content: headers and body.
        message_id: of its header `Message-ID`.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    message_id: str


def write(  # noqa: PLR0913  the parts of a mail, each given by name
    *, sender: str, to: str | Sequence[str], subject: str, text: str, html: str | None, key: str, at: float
) -> Letter:
    """Write a mail.

    Args:
        sender: `shop@example.org` or `Shop <shop@example.org>`.
        to: an address, or several.
        subject: one line.
        text: what readers without HTML see.
        html: the same as HTML.
        key: names this mail: the same key gives the same `Message-ID`, by which a receiver knows a repeated one.
        at: Unix seconds, for `Date`.

    Raises:
        MailInvalid: an address is none, the subject has a line break, or all of it is too large.
    """
    recipients = (to,) if isinstance(to, str) else tuple(to)
    _check(recipients, subject, text, html)
    name, address = parseaddr(sender)
    user, _, domain = address.rpartition("@")
    message = EmailMessage(policy=_POLICY)
    message_id = f"<{uuid.uuid5(_NAMESPACE, key)}@{domain}>"
    message["From"] = Address(display_name=name, username=user, domain=domain)
    message["To"] = [Address(addr_spec=one) for one in recipients]
    message["Subject"] = subject
    message["Date"] = dt.datetime.fromtimestamp(at, dt.UTC)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"  # so that no absence notice answers (RFC 3834)
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return Letter(sender=address, recipients=recipients, content=message.as_bytes(), message_id=message_id)


def _check(recipients: tuple[str, ...], subject: str, text: str, html: str | None) -> None:
    if not 0 < len(recipients) <= RECIPIENTS:
        raise MailInvalid(f"A mail goes to 1 to {RECIPIENTS} addresses, not to {len(recipients)}.")
    if any(MAIL_ADDRESS.fullmatch(one) is None for one in recipients):
        raise MailInvalid("A recipient is no mail address. Give it as name@example.org, without a display name.")
    if _CONTROLS.search(subject) or len(subject) > LONGEST_SUBJECT:
        raise MailInvalid(f"A subject is one line of at most {LONGEST_SUBJECT} characters, without control characters.")
    parts = (subject, text, html or "")
    if any(_UNSENDABLE.search(part) for part in parts):
        raise MailInvalid("The mail holds a character that cannot be sent: NUL, or half of a surrogate pair.")
    if sum(len(part.encode()) for part in parts) > LARGEST:
        raise MailInvalid(f"The mail is larger than {LARGEST} bytes.")
