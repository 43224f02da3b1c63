"""What travels the road: deliveries, events, actions, receipts.

A provider's HTTP request is a `Delivery`. A channel's `parse` turns it into `Event`s. A bot answers an event with
`Action`s. A channel renders an action into `Call`s, and judging the provider's answer yields a `Receipt`.
All of them are frozen values. The raw provider payload always stays with the event, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from botstead.core.money import Payment


class Delivery(msgspec.Struct, frozen=True):
    """One HTTP request as it came from a provider, before any of it is believed.

    Args:
        body: the raw bytes; signatures are checked over these and nothing else.
        headers: (lower-case name, value) pairs as received, duplicates kept.
        method: the HTTP method, upper case.
        query: the raw query string.
    """

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    method: str = "POST"
    query: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, or None when it is absent or given more than once.

        A repeated security header is ambiguous, and ambiguity is refused.

        Args:
            name: lower-case header name.
        """
        found = [value for key, value in self.headers if key == name]
        return found[0] if len(found) == 1 else None


class Kind(StrEnum):
    """What an event says happened."""

    MESSAGE = "message"
    EDITED = "edited"
    DELETED = "deleted"
    BUTTON = "button"
    JOINED = "joined"
    LEFT = "left"
    MOVED = "moved"
    """The conversation got a new external id (`Event.moved_to`); the conversation itself stays the same."""
    STATUS = "status"
    SEND = "send"
    """Ours: somebody (operator, another conversation) asks for `Event.actions` to be sent here, in order."""
    SCHEDULE = "schedule"
    PAYMENT = "payment"
    """Ours: a payment that was asked for in this conversation stands otherwise now (`Event.payment`)."""
    UNKNOWN = "unknown"
    """Kept raw and acknowledged; no handler is called."""


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who wrote, joined, or pressed: `id` is the provider's own opaque id."""

    id: str
    name: str = ""
    username: str = ""
    locale: str = ""
    is_bot: bool = False


class Attachment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file by reference.

    Args:
        kind: image, audio, voice, video, file, sticker, location, contact.
        reference: the provider's own file id (inbound and outbound).
        url: an address the provider may fetch it from (outbound), if public.
        size: bytes, 0 when unknown.
    """

    kind: str
    reference: str = ""
    url: str = ""
    name: str = ""
    mime: str = ""
    size: int = 0
    caption: str = ""


class Button(msgspec.Struct, frozen=True, omit_defaults=True):
    """A button under a message: pressing it sends `value` back, or opens `url`.

    Args:
        label: what people read.
        value: what `on.button` gets; empty means the label itself. At most 64 bytes, the smallest provider limit.
        url: opens this address instead of sending a value.
    """

    label: str
    value: str = ""
    url: str = ""

    @property
    def token(self) -> str:
        """What travels back when the button is pressed."""
        return self.value or self.label


class Send(msgspec.Struct, frozen=True, omit_defaults=True, tag="send"):
    """Send a new message: text in Markdown, buttons (rows of buttons), attachments.

    Args:
        text: Markdown, or plain text when `plain` is set.
        buttons: rows of buttons.
        attachments: files by reference or URL.
        reply_to: the provider's id of a message that this one answers.
        plain: take the text literally.
    """

    text: str = ""
    buttons: tuple[tuple[Button, ...], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    reply_to: str = ""
    plain: bool = False


class Edit(msgspec.Struct, frozen=True, omit_defaults=True, tag="edit"):
    """Replace the text and buttons of a message that was sent before.

    Args:
        target: the provider's id of the message (`Receipt.external_id`, `Event.message_id`).
    """

    target: str
    text: str = ""
    buttons: tuple[tuple[Button, ...], ...] = ()
    plain: bool = False


class Delete(msgspec.Struct, frozen=True, omit_defaults=True, tag="delete"):
    """Delete a message that was sent before, by the provider's id."""

    target: str


class Typing(msgspec.Struct, frozen=True, omit_defaults=True, tag="typing"):
    """Show that the bot is writing. Best effort: never retried."""


class AnswerButton(msgspec.Struct, frozen=True, omit_defaults=True, tag="answer"):
    """Tell the provider that a button press was seen, so that its spinner stops.

    Args:
        press: `Event.press`, the provider's id of the press.
        text: a short notice shown to the person, may be empty.
    """

    press: str
    text: str = ""


class Pay(msgspec.Struct, frozen=True, omit_defaults=True, tag="pay"):
    """Ask the person for money: sent as a message with a button that leads to the provider's page.

    The order is made when the message is sent, under a key of the message, so that no retry charges twice.

    Args:
        amount: in the currency's smallest unit, see `core.money.Money`.
        currency: ISO 4217.
        title: what is paid for.
        reference: the bot's own word for it; comes back with the payment.
        text: Markdown above the button; empty: title and amount.
        label: of the button; empty: «Pay 12.50 EUR».
        provider: the kind of payment account; empty: the bot's only one.
    """

    amount: int
    currency: str
    title: str
    reference: str = ""
    text: str = ""
    label: str = ""
    provider: str = ""


class Refund(msgspec.Struct, frozen=True, omit_defaults=True, tag="refund"):
    """Give money back. Done when it would be sent, under a key of the message.

    Args:
        payment: its id, `pay_…`.
        amount: in the smallest unit; 0: all that is left.
    """

    payment: str
    amount: int = 0


Action: TypeAlias = Send | Edit | Delete | Typing | AnswerButton | Pay | Refund


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened in one conversation.

    Args:
        kind: what happened.
        conversation: the provider's id of the conversation, an opaque string. Events that belong to no
            conversation use an empty string.
        key: the dedup key, unique within the channel for at least eight days (update id, event id, message id).
        text: message text, or the label or value of a button's message; "" when there is none.
        author: who did it.
        message_id: the provider's id of the message it is about.
        reply_to: the provider's id of the message it answers.
        button: the pressed button's token.
        press: the provider's id of a button press (see `AnswerButton`).
        attachments: files by reference.
        members: people who joined or left.
        moved_to: the new external id of the conversation.
        group: whether more than two take part.
        at: the provider's timestamp, Unix seconds; 0 when it gave none.
        actions: for `Kind.SEND` only.
        payment: for `Kind.PAYMENT` only.
        traceparent: the W3C trace context of whoever sent it, when they gave one.
        raw: the provider's own JSON for this event, untouched.
    """

    kind: Kind
    conversation: str
    key: str
    text: str = ""
    author: Person | None = None
    message_id: str = ""
    reply_to: str = ""
    button: str = ""
    press: str = ""
    attachments: tuple[Attachment, ...] = ()
    members: tuple[Person, ...] = ()
    moved_to: str = ""
    group: bool = False
    at: float = 0.0
    actions: tuple[Action, ...] = ()
    payment: Payment | None = None
    traceparent: str = ""
    raw: msgspec.Raw = msgspec.Raw(b"null")


class Answer(msgspec.Struct, frozen=True):
    """What the HTTP answer to a delivery must carry, where a provider wants more than an empty 200."""

    body: bytes = b""
    content_type: bytes = b"application/json"
    status: int = 200


class Parsed(msgspec.Struct, frozen=True):
    """What a delivery holds: any number of events, and an answer if the provider wants one (a challenge)."""

    events: tuple[Event, ...] = ()
    answer: Answer | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request to the outside, still without its secrets.

    `{secret:name}` in the URL or in a header value is replaced at the transport, just before bytes go out. Code,
    logs, spans and exceptions above it only ever see the placeholder.

    Args:
        method: upper case.
        url: absolute, may hold placeholders.
        headers: name to value, may hold placeholders.
        body: bytes to send, or None.
        timeout: total deadline in seconds: connect, write, wait, read together.
        limit: the most bytes of answer that are read before the call fails.
        service: short name for metrics and spans ("telegram", "weather").
        places: whose places at the way out it takes; by default the service's.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    timeout: float = 8.0
    limit: int = 1_048_576
    service: str = ""
    places: str = ""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a `Call`: status, lower-case headers, at most `Call.limit` bytes of body."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def json(self) -> Any:
        """Decode the body as JSON; raises `msgspec.DecodeError` when it is none."""
        return msgspec.json.decode(self.body)


class Outcome(StrEnum):
    """How one attempt to send ended."""

    SENT = "sent"
    LATER = "later"
    """Try again after `Receipt.after` seconds (obeyed exactly when the provider named it)."""
    FAILED = "failed"
    """Never will succeed as it is: bad request, recipient gone, credentials revoked."""
    UNKNOWN = "unknown"
    """The request was written and no answer came: it may have arrived. Chat resends, money holds."""


class Reason(StrEnum):
    """Why a send failed or waits: one closed list for all channels (safe as a metric label)."""

    NONE = ""
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    """Our own guard refused to connect there."""
    INVALID = "invalid"
    GONE = "gone"
    MOVED = "moved"
    REVOKED = "revoked"
    UNSUPPORTED = "unsupported"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt to send.

    Args:
        outcome: sent, later, failed or unknown.
        external_id: the provider's id of what was sent.
        reason: why not, from the closed list.
        detail: the provider's words, at most a few hundred characters, never a secret.
        after: seconds to wait before the next attempt, when the provider named them; None lets the retry
            schedule choose.
        counted: whether this attempt counts towards the limit (a throttled one does not).
        moved_to: the new external id of the conversation, with `Reason.MOVED`.
    """

    outcome: Outcome
    external_id: str = ""
    reason: Reason = Reason.NONE
    detail: str = ""
    after: float | None = None
    counted: bool = True
    moved_to: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel or dependency says of itself.

    Args:
        status: ok, degraded, failing, unknown.
        detail: one sentence for the operator; says the next step when it is not ok.
        facts: numbers and short strings worth showing ("pending_updates": 12).
    """

    status: str
    detail: str = ""
    facts: Mapping[str, Any] = {}
