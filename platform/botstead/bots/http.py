"""A bot that is a program behind a URL, in any language: our event goes there as JSON, its answer carries actions.

The protocol is documented in `HTTP.md`, with a program that the tests run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from botstead.bots.paying import checked
from botstead.core.clock import Clock, SystemClock
from botstead.core.errors import BotBroken, EgressError, HandlerFailed, Invalid
from botstead.core.messages import (
    Action,
    AnswerButton,
    Attachment,
    Call,
    Delete,
    Edit,
    Event,
    Kind,
    Pay,
    Person,
    Refund,
    Response,
    Send,
    Typing,
)
from botstead.core.money import Payment
from botstead.core.ports import Effects, Egress, Incoming, Limits
from botstead.core.secret import Secret
from botstead.runtime.retry_after import retry_after
from botstead.runtime.signatures import standard_webhooks_sign
from botstead.telemetry import tracecontext, tracing

VERSION: Final = 1
"""Of the request's shape. Fields are only ever added to it; a change of meaning gets a new number."""

MOST_ACTIONS: Final = 100
"""Actions of one answer."""

EXCERPT: Final = 200
"""Characters of a refused answer that are kept for the operator."""

_ACTIONS: Final[Mapping[str, type[Action]]] = {
    "send": Send,
    "edit": Edit,
    "delete": Delete,
    "typing": Typing,
    "answer": AnswerButton,
    "pay": Pay,
    "refund": Refund,
}
_FIELDS: Final = ("actions", "text", "state")
_SILENT: Final = frozenset({Kind.STATUS, Kind.UNKNOWN, Kind.SEND, Kind.MOVED})
"""Not shown to bots: they tell nothing that a bot could answer."""


class _Told(msgspec.Struct, frozen=True):
    """The event as a bot sees it; every field is always there."""

    kind: str
    conversation: str
    text: str
    author: Person | None
    message_id: str
    reply_to: str
    button: str
    press: str
    attachments: tuple[Attachment, ...]
    members: tuple[Person, ...]
    group: bool
    at: float
    payment: Payment | None
    raw: msgspec.Raw


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a request."""

    version: int = VERSION
    id: str
    bot: str
    channel: str
    conversation: str
    attempt: int
    received: float
    trace: str
    event: _Told
    state: msgspec.Raw


class HttpBot:
    """Runs a bot over HTTP. Implements `core.ports.Handler`."""

    def __init__(  # noqa: PLR0913  what a bot is made of, each given by name
        self, name: str, *, url: str, secret: Secret, egress: Egress, limits: Limits | None = None, clock: Clock | None = None
    ) -> None:
        """Build it; nothing is sent yet.

        Args:
            name: the bot's name.
            url: where its program listens.
            secret: the Standard Webhooks secret that we share with it, `whsec_…`.
            egress: the way out.
            limits: its deadline is the time for one answer.
            clock: for timestamps.

        Raises:
            BotBroken: the secret cannot sign.
        """
        self.name = name
        self.limits = limits or Limits()
        self._url = url
        self._secrets = (secret,)
        self._egress = egress
        self._clock = clock or SystemClock()
        try:
            standard_webhooks_sign(body=b"", message_id="check", timestamp=0, secrets=self._secrets)
        except Invalid as error:
            raise BotBroken(f"The http bot {name} cannot sign: {error.message}") from error

    async def handle(self, incoming: Incoming) -> Effects:
        """Post one event and read the actions from the answer.

        Raises:
            HandlerFailed: the bot was not reached, answered an error, or answered nonsense; the message says which. With
                `after` it named a time for the next try.
        """
        if incoming.event.kind in _SILENT:
            return Effects()
        try:
            response = await self._egress.call(self._call(incoming))
        except EgressError as error:
            raise HandlerFailed(f"The bot gave no answer: {error.message}", after=error.after) from error
        if not 200 <= response.status < 300:
            raise self._refused(response)
        try:
            return _acknowledged(incoming.event, read_answer(response.body))
        except HandlerFailed as error:
            _keep_excerpt(error, response)
            raise

    def _call(self, incoming: Incoming) -> Call:
        body, message_id, timestamp = write_request(incoming), str(incoming.id), int(self._clock.now())
        signature = standard_webhooks_sign(body=body, message_id=message_id, timestamp=timestamp, secrets=self._secrets)
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        }
        if context := tracing.traceparent():
            headers[tracecontext.HEADER] = context
        return Call(
            method="POST",
            url=self._url,
            headers=headers,
            body=body,
            timeout=self.limits.deadline,
            service=f"bot-{self.name}",
        )

    def _refused(self, response: Response) -> HandlerFailed:
        status = response.status
        if 300 <= status < 400:
            return HandlerFailed(f"The bot answered {status}; redirects are not followed. Give it its final url.")
        if status in (401, 403):
            return HandlerFailed(f"The bot answered {status}. Give both sides the same secret, and set its clock right.")
        after = retry_after(response.headers.get("retry-after"), now=self._clock.now())
        error = HandlerFailed(f"The bot answered {status}.", after=after)
        _keep_excerpt(error, response)
        return error


def write_request(incoming: Incoming) -> bytes:
    """Write the body of a request.

    Args:
        incoming: what the bot is given.
    """
    event: Event = incoming.event
    told = _Told(**{name: getattr(event, name) for name in _Told.__struct_fields__})
    return msgspec.json.encode(
        _Request(
            id=str(incoming.id),
            bot=incoming.bot,
            channel=incoming.channel,
            conversation=incoming.conversation,
            attempt=incoming.attempt,
            received=incoming.received,
            trace=incoming.trace,
            event=told,
            state=msgspec.Raw(incoming.state),
        )
    )


def read_answer(body: bytes) -> Effects:
    """Read the body of a successful answer: nothing, `{"text": …}`, or `{"actions": […], "state": {…}}`.

    Args:
        body: raw bytes.

    Raises:
        HandlerFailed: it is something else; the message names the place.
    """
    if not body.strip():
        return Effects()
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HandlerFailed("The bot's answer is not JSON.") from error
    if not isinstance(answer, dict):
        raise HandlerFailed(f"The bot's answer is {_named(answer)}; it must be an object with actions or text, or empty.")
    _require_known("The bot's answer", answer, _FIELDS)
    if "text" in answer and "actions" in answer:
        raise HandlerFailed("The bot's answer has both text and actions; give the text as an action of type send.")
    return Effects(actions=_actions(answer), state=_state(answer.get("state")))


def _actions(answer: Mapping[str, Any]) -> tuple[Action, ...]:
    text = answer.get("text")
    if text is not None:
        if not isinstance(text, str):
            raise HandlerFailed(f"The bot's text is {_named(text)}; it must be a text.")
        return (Send(text),) if text else ()
    items = answer.get("actions") or []
    if not isinstance(items, list):
        raise HandlerFailed(f"The bot's actions are {_named(items)}; they must be a list.")
    if len(items) > MOST_ACTIONS:
        raise HandlerFailed(f"The bot answered {len(items)} actions; at most {MOST_ACTIONS} are taken.")
    return tuple(_action(f"actions[{index}]", item) for index, item in enumerate(items))


def _action(place: str, item: object) -> Action:
    if not isinstance(item, dict):
        raise HandlerFailed(f"{place} is {_named(item)}; it must be an object.")
    name = item.get("type")
    if not isinstance(name, str):
        raise HandlerFailed(f"{place} has no type; there are {', '.join(_ACTIONS)}.")
    if name not in _ACTIONS:
        raise HandlerFailed(f"{place} has unknown type '{name[:40]}'{_suggested(name, _ACTIONS)}")
    kind = _ACTIONS[name]
    _require_known(place, item, ("type", *kind.__struct_fields__))
    try:
        action = msgspec.convert(item, kind)
        return checked(action) if isinstance(action, Pay | Refund) else action
    except HandlerFailed as error:
        raise HandlerFailed(f"{place}: {error.message}") from error
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        raise HandlerFailed(f"{place}{path.rstrip('`')}: {what}.") from error


def _state(state: object) -> bytes | None:
    if state is None:
        return None
    if not isinstance(state, dict):
        raise HandlerFailed(f"The bot's state is {_named(state)}; it must be an object, or left out to keep the old one.")
    return msgspec.json.encode(state)


def _require_known(place: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise HandlerFailed(f"{place} has unknown field '{name[:40]}'{_suggested(name, known)}")


def _suggested(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f": did you mean '{near[0]}'?" if near else f"; there are {', '.join(known)}."


def _named(value: object) -> str:
    return {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )


def _keep_excerpt(error: HandlerFailed, response: Response) -> None:
    """Keep how the answer began, for the operator: in a note, so that logs of the message do not hold it."""
    if response.body:
        error.add_note(f"The answer began: {response.body[:EXCERPT].decode(errors='replace')}")


def _acknowledged(event: Event, effects: Effects) -> Effects:
    """See to it that a pressed button stops spinning, if the bot did not."""
    if not event.press or any(isinstance(action, AnswerButton) for action in effects.actions):
        return effects
    return msgspec.structs.replace(effects, actions=(AnswerButton(event.press), *effects.actions))
