"""What can go wrong with a REST service. Messages name the service and its status, never bodies, queries or secrets."""

from __future__ import annotations

from typing import ClassVar

from botstead.core.errors import EgressError, RetryAdvice


class RestError(EgressError):
    """The service did not do what it was asked."""

    code = "rest"


class RestInvalid(RestError):
    """The call cannot be made as it is: its path leads out of the service, or a header is not for callers to set."""

    code = "rest_invalid"
    retry: ClassVar[RetryAdvice] = "never"


class RestKeyRefused(RestError):
    """The service does not know who asks. Check its table in bot.toml, and set its secret again."""

    code = "rest_key_refused"
    retry: ClassVar[RetryAdvice] = "never"


class RestAnswered(RestError):
    """The service answered with a status that is no success."""

    code = "rest_answered"

    def __init__(self, message: str | None = None, *, answered: int = 0, after: float | None = None) -> None:
        """Build the error.

        Args:
            message: see `BotsteadError`.
            answered: the service's status; 0 when the status was good and the body was not what was asked for.
            after: see `BotsteadError`.
        """
        super().__init__(message, after=after)
        self.answered = answered
