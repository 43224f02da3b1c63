"""`chat.mail`: the double of the mail server that `Mail` sends through."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser

import msgspec

from botstead.bots.testing import KitClock
from botstead.core.errors import EgressResting
from botstead.core.secret import Secret
from botstead.integrations.mail.errors import MailDelayed
from botstead.integrations.mail.models import Letter
from botstead.integrations.mail.service import MailServer
from botstead.processes.rehearsal.double import Double

_POLICY = email.policy.default


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that was sent.

    Args:
        to: addresses.
        subject: of the mail.
        text: what readers without HTML see.
        html: the same as HTML, or empty.
        message_id: of its header `Message-ID`.
    """

    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    message_id: str


class MailDouble(Double, MailServer):
    """Takes every mail, and keeps it in `sent`. `Mail` itself, with its checks, is the real one."""

    host = "mail.example"

    def __init__(self, clock: KitClock) -> None:
        """Build it.

        Args:
            clock: the kit's time.
        """
        Double.__init__(self, clock)
        self.sent: list[Sent] = []
        """The mails, oldest first."""

    async def send(self, letter: Letter, *, user: str, password: Secret | None, seconds: float) -> None:
        """Take a mail. See `MailServer.send`."""
        del user, password
        error = self.met(seconds)
        if isinstance(error, EgressResting):
            raise MailDelayed from error
        if error is not None:
            raise error
        message = BytesParser(EmailMessage, policy=_POLICY).parsebytes(letter.content)
        self.sent.append(
            Sent(
                to=letter.recipients,
                subject=str(message["Subject"]),
                text=_part(message, "plain"),
                html=_part(message, "html"),
                message_id=letter.message_id,
            )
        )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return "" if part is None else str(part.get_content()).replace("\r\n", "\n").removesuffix("\n")
