"""What can go wrong with mail. Messages name the server and its code, never people, texts or passwords."""

from __future__ import annotations

from typing import ClassVar

from botstead.core.errors import EgressError, RetryAdvice


class MailError(EgressError):
    """The mail was not sent."""

    code = "mail"


class MailInvalid(MailError):
    """The mail cannot be sent as it is: an address, the subject, or its size is wrong."""

    code = "mail_invalid"
    retry: ClassVar[RetryAdvice] = "never"


class MailRefused(MailError):
    """The mail server refuses this mail, or us, for good."""

    code = "mail_refused"
    retry: ClassVar[RetryAdvice] = "never"


class MailDelayed(MailError):
    """The mail server cannot take the mail now. Nothing was sent; try again later."""

    code = "mail_delayed"
