"""Every error of ours, one tree. The docstring is the default message and says the next step.

BotsteadError
├── ConfigurationError      a setting, file or environment is wrong; the process does not start
│   ├── UnsafePostgres
│   ├── SchemaMismatch
│   ├── SealBroken          a stored secret does not open with this key ring, or not in this row
│   └── BotBroken           a bot cannot be imported or wired; other bots run on
├── RequestError            the caller's fault: 4xx
│   ├── Unreadable          400
│   ├── Rejected            401  a delivery's signature, or an API key
│   ├── Forbidden           403
│   ├── NotFound            404
│   ├── Conflict            409
│   ├── TooLarge            413
│   ├── Invalid             422
│   └── TooMany             429 with Retry-After
├── Unavailable             503 with Retry-After: database away, backlog full, draining
├── EgressError             a call to the outside did not succeed
│   ├── EgressRefused       our guard refused it; nothing was sent
│   ├── EgressUnsent        no connection; nothing was sent
│   │   └── EgressResting   the service failed or asked for a pause a moment ago; nothing was sent
│   ├── EgressTimeout       the deadline passed after the request was written: outcome unknown
│   └── EgressBroken        no whole answer came, or one that is too large, after the request was written: outcome unknown
├── PaymentRefused          a payment provider says no
├── Fenced                  this worker's lease is gone; its work was rolled back
├── HandlerFailed           a bot's handler raised, ran out of time, or answered nonsense
│   └── SecretMissing       a secret that `bot.toml` names is not set
└── Declined                a bot says no in words meant for the person; the message is the reply
"""

from __future__ import annotations

import inspect
from typing import ClassVar, Literal

RetryAdvice = Literal["never", "later", "after"]


class BotsteadError(Exception):
    """Something went wrong inside botstead. The log entry with the same trace id has the details."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    retry: ClassVar[RetryAdvice] = "never"
    expected: ClassVar[bool] = False

    def __init__(self, message: str | None = None, *, after: float | None = None) -> None:
        """Build the error.

        Args:
            message: what happened and the next step; by default the class's docstring.
            after: seconds after which a retry makes sense, for `retry = "after"`.
        """
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.after = after
        super().__init__(self.message)


class ConfigurationError(BotsteadError):
    """The configuration is wrong. Run `botstead doctor` to see the effective settings."""

    code = "configuration"


class UnsafePostgres(ConfigurationError):
    """Postgres may lose acknowledged messages as it is set. Turn fsync, full_page_writes and synchronous_commit on."""

    code = "unsafe_postgres"


class SchemaMismatch(ConfigurationError):
    """The database has another schema than this version needs. Run `botstead migrate`."""

    code = "schema_mismatch"


class SealBroken(ConfigurationError):
    """A stored secret cannot be opened. Bring back the key ring that it was sealed with, or enter the secret again."""

    code = "seal_broken"


class BotBroken(ConfigurationError):
    """A bot cannot be loaded. Fix the file and line named; other bots run on."""

    code = "bot_broken"


class RequestError(BotsteadError):
    """The request cannot be served as it is."""

    status = 400
    code = "bad_request"
    expected = True


class Unreadable(RequestError):
    """The body is not what this address reads. Send valid UTF-8 JSON, nested at most 64 deep."""

    code = "unreadable"


class Rejected(RequestError):
    """The request is not signed by who it says it is from."""

    status = 401
    code = "unauthorized"

    def __init__(self, message: str | None = None, *, reason: str = "signature", after: float | None = None) -> None:
        """Build the error.

        Args:
            message: see `BotsteadError`.
            reason: from a closed list, for counting: missing, malformed, signature, replay, clock, unknown.
            after: see `BotsteadError`.
        """
        super().__init__(message, after=after)
        self.reason = reason


class Forbidden(RequestError):
    """This key may not do that. Ask for a key with the scope that the message names."""

    status = 403
    code = "forbidden"


class NotFound(RequestError):
    """There is nothing by that name."""

    status = 404
    code = "not_found"


class Conflict(RequestError):
    """That is already so, or somebody else changed it meanwhile. Read it again, then retry."""

    status = 409
    code = "conflict"


class TooLarge(RequestError):
    """The body is larger than this address takes."""

    status = 413
    code = "too_large"


class Invalid(RequestError):
    """A field is missing or wrong."""

    status = 422
    code = "invalid"


class TooMany(RequestError):
    """Too many requests. Wait the seconds named, then send them more slowly."""

    status = 429
    code = "too_many"
    retry: ClassVar[RetryAdvice] = "after"


class Unavailable(BotsteadError):
    """The service cannot take this now. Retry after the seconds named."""

    status = 503
    code = "unavailable"
    retry: ClassVar[RetryAdvice] = "after"
    expected = True


class EgressError(BotsteadError):
    """A call to an outside service did not succeed."""

    status = 502
    code = "egress_failed"
    retry: ClassVar[RetryAdvice] = "later"
    expected = True


class EgressRefused(EgressError):
    """The address is not allowed. To reach a private address, list it in BOTSTEAD_EGRESS_ALLOW."""

    code = "egress_refused"
    retry: ClassVar[RetryAdvice] = "never"


class EgressUnsent(EgressError):
    """The service could not be connected to; nothing was sent."""

    code = "egress_unsent"


class EgressTimeout(EgressError):
    """The service did not answer in time; the request may have arrived."""

    code = "egress_timeout"


class EgressBroken(EgressError):
    """The connection broke before the answer was complete; the request may have arrived."""

    code = "egress_broken"


class EgressResting(EgressUnsent):
    """The service failed too often, or asked for a pause; nothing was sent. Try again after the seconds named."""

    code = "egress_resting"
    retry: ClassVar[RetryAdvice] = "after"


class PaymentRefused(BotsteadError):
    """The payment provider refused. Its words say why; check the account's key, currency and amount."""

    status = 502
    code = "payment_refused"
    expected = True


class Fenced(BotsteadError):
    """This worker's lease has ended and another has taken over; nothing of it was committed."""

    code = "fenced"
    retry: ClassVar[RetryAdvice] = "later"


class HandlerFailed(BotsteadError):
    """A bot's handler failed. The dead letter or log entry with this message id has the trace."""

    code = "handler_failed"
    retry: ClassVar[RetryAdvice] = "later"


class SecretMissing(HandlerFailed):
    """The bot lacks a secret that its bot.toml names. Set it with `botstead bots secrets set`."""

    code = "secret_missing"


class Declined(BotsteadError):
    """That is not possible right now.

    Raise it in a handler, or in a service that handlers call, with a sentence for the person. That sentence becomes the
    reply, and nothing else of what the handler did takes effect.
    """

    status = 422
    code = "declined"
    expected = True
