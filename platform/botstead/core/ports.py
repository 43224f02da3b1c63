"""Where siblings meet: the Protocols that bots, channels, integrations and store are joined by in `processes/`."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from botstead.core.messages import Action, Call, Delivery, Event, Health, Parsed, Receipt, Response
from botstead.core.secret import Secret


class Streamed(Protocol):
    """An answer whose body is read while it comes. Iterating gives pieces of bytes as they arrive, each once."""

    @property
    def status(self) -> int:
        """Of the answer."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the answer, names in lower case."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body.

        Raises:
            EgressTimeout: the next piece, or the end, did not come in time.
            EgressBroken: the connection broke before the end, or the body exceeds `Call.limit`.
        """
        ...


class Egress(Protocol):
    """The one guarded way out."""

    async def call(self, call: Call, secrets: Mapping[str, Secret] = ...) -> Response:
        """Make one HTTP request.

        Args:
            call: the request, secrets still as placeholders.
            secrets: values for the placeholders, injected at the transport.

        Raises:
            EgressRefused: the address is not allowed, or the answer exceeds `call.limit`.
            EgressUnsent: no connection could be made; nothing was sent.
            EgressTimeout: `call.timeout` passed; the request may have arrived.
            EgressBroken: the connection broke before the answer was complete.
        """
        ...

    def stream(
        self, call: Call, secrets: Mapping[str, Secret] = ..., *, first: float, idle: float
    ) -> AbstractAsyncContextManager[Streamed]:
        """Make one HTTP request, and read the body of its answer while it comes. Leaving the context ends the request.

        Args:
            call: as for `call`; its `timeout` ends the body too, its `limit` counts all of it.
            secrets: values for the placeholders, injected at the transport.
            first: seconds until the first byte of the body at most.
            idle: seconds between two pieces at most.

        Raises:
            EgressError: on entering as `call`; later see `Streamed`.
        """
        ...


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One bot's installation on one channel (a Telegram bot token, a web chat, a webhook).

    Args:
        id: the channel's number; part of every conversation key.
        public_id: the random id in `/hooks/{public_id}` and `/v1/channels/{public_id}`.
        kind: telegram, webchat, webhook, …
        bot: the bot's number.
        bot_name: the bot's name.
        name: what the operator calls it.
        settings: open settings of the kind ("api_base").
        secrets: decrypted secrets of the kind ("token", "hook_secret"); `<name>_previous` holds the one before a
            rotation, still accepted.
        enabled: a disabled channel refuses deliveries and holds its sends.
    """

    id: int
    public_id: str
    kind: str
    bot: int
    bot_name: str
    name: str = ""
    settings: Mapping[str, Any] = {}
    secrets: Mapping[str, Secret] = {}
    enabled: bool = True


class Sending(msgspec.Struct, kw_only=True):
    """One action on its way to a provider. Mutable: a retry goes on with the first part that was not sent.

    Args:
        id: the message id of ours; where a provider takes an idempotency key, this is it.
        conversation: the provider's current id of the conversation.
        action: what to do.
        parts_sent: how many of the rendered calls have succeeded.
        external_id: the provider's id of the first part sent.
        trace: the message's trace id, for receivers that share our traces.
        sampled: whether its spans are kept, whatever happens.
    """

    id: int
    conversation: str
    action: Action
    parts_sent: int = 0
    external_id: str = ""
    trace: uuid.UUID | None = None
    sampled: bool = False


class ChannelKind(Protocol):
    """One chat network. `verify` and `parse` are pure; `deliver` and `health` go out through the egress."""

    kind: str

    def verify(self, delivery: Delivery, account: Account, now: float) -> None:
        """Check that the provider sent this.

        Args:
            delivery: raw request.
            account: the installation it was addressed to.
            now: Unix seconds, for replay windows.

        Raises:
            Rejected: it did not, whatever the input; no other error ever leaves here.
        """
        ...

    def parse(self, delivery: Delivery, account: Account) -> Parsed:
        """Find the events in a verified delivery.

        Raises:
            Unreadable: the body is not this provider's JSON.
        """
        ...

    async def deliver(self, sending: Sending, account: Account, egress: Egress) -> Receipt:
        """Make one attempt to send. Never raises for provider or network faults: the receipt says what happened."""
        ...

    async def health(self, account: Account, egress: Egress) -> Health:
        """Ask the provider how this installation is."""
        ...

    async def install(self, account: Account, egress: Egress, hook_url: str) -> Health:
        """Tell the provider where to deliver, where it has a way to be told. Safe to repeat.

        Args:
            account: the installation.
            egress: the way out.
            hook_url: the public address of `/hooks/{public_id}`, or "" when the installation has none.
        """
        ...

    def prepare(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
        """Check what an operator gave for a new channel and fill in what we generate (a hook secret).

        Raises:
            Invalid: a needed setting is missing or wrong; the message names it.
        """
        ...


class Prepared(msgspec.Struct, frozen=True):
    """Settings and secrets ready to be stored, and those generated secrets that are shown once."""

    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    shown_once: Mapping[str, str] = {}


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot is given: one event in its conversation.

    Args:
        id: the message id; with `attempt` it names this run.
        bot: the bot's name.
        channel: the channel's kind.
        account: the channel's number.
        conversation: the conversation's key, `<account>.<external id, percent-encoded>`.
        event: what happened.
        state: the conversation's state as a JSON object, UTF-8.
        attempt: 1 for the first run.
        received: Unix seconds when we acknowledged it.
        trace: the trace id, 32 hex digits.
        began: Unix seconds when this run began.
        sampled: whether its spans are kept, whatever happens.
        allowance: what this run may take of the bot's language model, for a bot in a process of its own; None: ask the `Meter`.
    """

    id: int
    bot: str
    channel: str
    account: int
    conversation: str
    event: Event
    state: bytes = b"{}"
    attempt: int = 1
    received: float = 0.0
    trace: str = ""
    began: float = 0.0
    sampled: bool = False
    allowance: int | None = None


class Forward(msgspec.Struct, frozen=True):
    """Actions for another conversation of the same bot, by its key. They are sent in that conversation's order."""

    conversation: str
    actions: tuple[Action, ...]


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler wants to happen, all of it or nothing, in one transaction.

    Args:
        actions: for this conversation, in order.
        state: the new state as a JSON object, or None when it did not change.
        forwards: actions for other conversations.
        understood: whether the bot has a handler for what was said, rather than a last resort; None where that is no question.
    """

    actions: tuple[Action, ...] = ()
    state: bytes | None = None
    understood: bool | None = None
    forwards: tuple[Forward, ...] = ()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot may use.

    Args:
        deadline: seconds one handler run may take.
        running: handlers at once in one worker.
        own_process: run in a process of its own.
        memory: bytes that an own process may use before it is recycled; 0 means no limit.
        promise: seconds within which the bot promises to answer, for objectives.
    """

    deadline: float = 30.0
    running: int = 128
    own_process: bool = False
    memory: int = 0
    promise: float = 5.0


class Handler(Protocol):
    """One bot as the worker sees it, whatever it is made of."""

    name: str
    limits: Limits

    async def handle(self, incoming: Incoming) -> Effects:
        """Run the bot on one event.

        Raises:
            HandlerFailed: the bot raised or answered nonsense; the cause is chained.
        """
        ...


class BotSecrets(Protocol):
    """What bots were given to call services with, by `botstead bots secrets set`."""

    def of(self, bot: str) -> Mapping[str, Secret]:
        """Return a bot's secrets by name, as of the last look; those that are not set are not there.

        Args:
            bot: the bot's name.
        """
        ...


class Cache(Protocol):
    """A cache that may forget anything at any time and never raises: absent means `None`."""

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when it is absent, expired, or the cache is away."""
        ...

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for some seconds. Best effort."""
        ...


class Wake(Protocol):
    """Hints between processes: «there is something to read». Losing one only costs time; polling is the truth."""

    def publish(self, topic: str, message: str = "") -> None:
        """Send a hint, never waiting and never raising.

        Args:
            topic: inbox, chat, draft, directory, partitions.
            message: a short text, such as a conversation key.
        """
        ...

    def subscribe(self, topic: str, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call back, on this loop, for each hint. Returns a function that ends the subscription."""
        ...


Accept = Callable[[Account, tuple[Event, ...]], Awaitable[int]]
"""The door to the durable inbox: keeps events and returns how many were new. Raises `Unavailable`."""
