"""`Mail`: what handlers send with. One object a run, so that each mail of a message has a name that no repetition changes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parseaddr

from botstead.core.declared import MailDeclared, needed
from botstead.core.ports import BotSecrets, Incoming
from botstead.integrations.mail import measures
from botstead.integrations.mail.models import write
from botstead.integrations.mail.service import MailServer
from botstead.runtime.egress import Dialer
from botstead.runtime.outside.caller import caller


class MailOffice:
    """The mail of one bot; makes a `Mail` for each run."""

    def __init__(self, declared: MailDeclared, *, secrets: BotSecrets, dialer: Dialer) -> None:
        """Build it; `processes/` does.

        Args:
            declared: `[mail]` of `bot.toml`.
            secrets: has the password.
            dialer: makes connections.
        """
        self.declared = declared
        self.secrets = secrets
        self.server = MailServer(declared, dialer)
        measures.start()

    def __call__(self, incoming: Incoming) -> Mail:
        """Return what one run sends with.

        Args:
            incoming: the event that the run is about.
        """
        return Mail(self, incoming)


class Mail:
    """Sends mail by the server that `bot.toml` declares: `mail: Mail` in a handler's parameters."""

    def __init__(self, office: MailOffice, incoming: Incoming) -> None:
        """Build it; the platform does."""
        self._office = office
        self._incoming = incoming
        self._sent = 0

    async def send(self, to: str | Sequence[str], subject: str, text: str, html: str | None = None) -> str:
        """Send a mail, to all recipients or to none.

        A handler that is run again sends it with the same `Message-ID`, so most receivers show it once.

        Args:
            to: an address, or up to 50; each sees the others.
            subject: one line.
            text: what readers without HTML see.
            html: the same as HTML.

        Returns:
            The mail's `Message-ID`.

        Raises:
            MailInvalid: an address is none, or the subject has a line break.
            MailRefused: the server refuses the mail or the login.
            MailDelayed: the server cannot take it now.
            SecretMissing: the password is not set; the message says how to set it.
            EgressError: the server could not be reached, or it broke off; see its subclasses.
        """
        office, declared = self._office, self._office.declared
        self._sent += 1
        bot, run = self._incoming.bot, self._incoming
        key, at = f"{run.trace}|{bot}|{run.id}|{self._sent}", run.received or time.time()
        letter = write(sender=declared.sender, to=to, subject=subject, text=text, html=html, key=key, at=at)
        password = needed(office.secrets.of(bot), declared.secret, bot=bot) if declared.secret else None
        user = declared.user or parseaddr(declared.sender)[1]
        seconds = min(declared.timeout, caller.get().until - time.monotonic())
        with measures.measured(office.server.host):
            await office.server.send(letter, user=user, password=password, seconds=seconds)
        return letter.message_id
