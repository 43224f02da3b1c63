"""Talk with a bot in a test: `async with chat_with(bot) as chat: reply = await chat.send("weather Oslo")`.

Everything is in memory, with the semantics of the real road: an event that was delivered twice takes effect once, replies
and state take effect together or not at all, what is refused by a provider is sent later and in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from botstead.bots.memory import Memory
from botstead.bots.runner import PythonBot
from botstead.bots.testing.clock import KitClock
from botstead.bots.testing.reply import Reply, flat
from botstead.core.messages import (
    Action,
    Attachment,
    Delete,
    Edit,
    Event,
    Kind,
    Outcome,
    Person,
    Reason,
    Receipt,
    Send,
)
from botstead.core.ports import Effects, Incoming

TRIES: Final = 5
"""Attempts to send, after which it is given up, as on the road."""
_RETRY_AFTER = 1.0
_ACCOUNT = 1
_incoming = msgspec.json.Decoder(Incoming)
_effects = msgspec.json.Decoder(Effects)


class Rehearsal:
    """One conversation with a bot; `chat_with` makes it."""

    def __init__(
        self, make: Callable[[], PythonBot], *, person: Person, group: bool, channel: str, clock: KitClock | None = None
    ) -> None:
        """Build it.

        Args:
            make: loads the bot, again after each restart.
            person: who writes unless a call says otherwise.
            group: whether more than two take part.
            channel: the kind of channel that the bot is told.
            clock: the time that the bot is told.
        """
        self.clock = clock or KitClock()
        self._make = make
        self._bot = make()
        self._person = person
        self._group = group
        self._channel = channel
        self._stored = b"{}"
        self._seen: set[str] = set()
        self._outbox: deque[Action] = deque()
        self._refusals = 0
        self._last: Event | None = None
        self._number = 0
        self._sent = 0
        self.replies: list[Action] = []
        """Everything that arrived, oldest first."""
        self.screen: dict[str, Send | Edit] = {}
        """The bot's messages as people see them now, by id: edited, and without the deleted ones."""
        self.forwards: dict[str, list[Action]] = {}
        """What the bot sent to other conversations, by key."""
        self.version = 0
        """How often the state was written."""
        self.refused = 0
        """How many sends the provider refused."""
        self.unsent: list[tuple[Action, str]] = []
        """What could not be sent, and why."""
        self._tries = 0

    @property
    def now(self) -> float:
        """The time that the bot is told, Unix seconds."""
        return self.clock.now()

    @property
    def name(self) -> str:
        """The bot's name."""
        return self._bot.name

    @property
    def state(self) -> dict[str, Any]:
        """What the bot remembers of the conversation, as it is stored."""
        return Memory(self._stored).stored

    async def send(self, text: str, *, person: Person | None = None, attachments: tuple[Attachment, ...] = ()) -> Reply:
        """Write a message.

        Args:
            text: what is written.
            person: who writes it.
            attachments: files with it.

        Raises:
            HandlerFailed: the handler failed; nothing of it took effect.
        """
        event = self._event(Kind.MESSAGE, text=text, person=person, message_id=f"in-{self._number + 1}")
        return await self.deliver(msgspec.structs.replace(event, attachments=attachments))

    async def press(self, button: str, *, person: Person | None = None) -> Reply:
        """Press a button that is on the screen; of several, the newest.

        Args:
            button: its label or value.
            person: who presses it.

        Raises:
            LookupError: there is no such button; the message lists those there are.
            HandlerFailed: the handler failed; nothing of it took effect.
        """
        shown = [(key, item) for key, action in reversed(self.screen.items()) for item in flat(action)]
        for message_id, item in shown:
            if button in {item.label, item.token} and not item.url:
                event = self._event(Kind.BUTTON, text=item.label, person=person, message_id=message_id)
                return await self.deliver(msgspec.structs.replace(event, button=item.token, press=f"press-{self._number}"))
        raise LookupError(f"there is no button {button!r} on the screen, only {[item.label for _, item in shown]}")

    async def edit(self, text: str, *, message_id: str = "") -> Reply:
        """Edit a message that was written before.

        Args:
            text: the new text.
            message_id: which one; by default the newest.
        """
        return await self.deliver(self._event(Kind.EDITED, text=text, message_id=message_id or f"in-{self._number}"))

    async def join(self, person: Person) -> Reply:
        """Let somebody join.

        Args:
            person: who.
        """
        return await self.deliver(msgspec.structs.replace(self._event(Kind.JOINED, person=person), members=(person,)))

    async def leave(self, person: Person) -> Reply:
        """Let somebody leave.

        Args:
            person: who.
        """
        return await self.deliver(msgspec.structs.replace(self._event(Kind.LEFT, person=person), members=(person,)))

    async def deliver(self, event: Event) -> Reply:
        """Hand over any event, as a channel would parse it.

        Args:
            event: its `key` decides whether it is a repetition.

        Raises:
            HandlerFailed: the handler failed; nothing of it took effect, and the same event may be delivered again.
        """
        self._last = event
        if event.key in self._seen:
            return Reply()
        effects = await self._handled(event)
        self._seen.add(event.key)
        if effects.state is not None:
            self._stored = effects.state
            self.version += 1
        for forward in effects.forwards:
            self.forwards.setdefault(forward.conversation, []).extend(forward.actions)
        self._outbox.extend(effects.actions)
        return Reply(tuple(self._send_all()))

    async def duplicate(self) -> Reply:
        """Deliver the last event again, as providers do. It has no second effect: the reply is empty."""
        if self._last is None:
            raise LookupError("nothing was delivered yet")
        return await self.deliver(self._last)

    async def restart(self) -> None:
        """Stop the bot and load it again: what it kept in variables is gone, what it kept in the state is there.

        From a folder, the files are read again.
        """
        self._bot.close()
        self._bot = self._make()

    def rate_limit(self, times: int = 1) -> None:
        """Let the provider refuse the next sends (429). They are sent later, in order: `refused` counts.

        Args:
            times: how many attempts are refused.
        """
        self._refusals += times

    def advance(self, seconds: float) -> None:
        """Let time pass, for questions that time out.

        Args:
            seconds: how much.
        """
        self.clock.advance(seconds)

    def close(self) -> None:
        """Stop the bot."""
        self._bot.close()

    def keep(self) -> bytes:
        """Return what a restart must not lose, for `resume` in another process."""
        return self._stored

    def resume(self, stored: bytes) -> None:
        """Go on with what `keep` returned.

        Args:
            stored: the state.
        """
        self._stored = stored

    def _event(self, kind: Kind, *, text: str = "", person: Person | None = None, message_id: str = "") -> Event:
        self._number += 1
        return Event(
            kind,
            "test",
            f"event-{self._number}",
            text=text,
            author=person or self._person,
            message_id=message_id,
            group=self._group,
            at=self.now,
        )

    async def _handled(self, event: Event) -> Effects:
        """Run the bot on bytes and back, as a bot in a process of its own is."""
        incoming = Incoming(
            id=self._number,
            bot=self._bot.name,
            channel=self._channel,
            account=_ACCOUNT,
            conversation=f"{_ACCOUNT}.{event.conversation}",
            event=event,
            state=self._stored,
            received=self.now,
        )
        effects = await self._bot.handle(_incoming.decode(msgspec.json.encode(incoming)))
        return _effects.decode(msgspec.json.encode(effects))

    def _send_all(self) -> list[Action]:
        arrived: list[Action] = []
        while self._outbox:
            action = self._prepared(self._outbox[0])
            receipt = action if isinstance(action, Receipt) else self._attempt(action)
            if not isinstance(action, Receipt):
                self._outbox[0] = action
            self._tries += receipt.counted
            if receipt.outcome is Outcome.LATER and self._tries < TRIES:
                self.advance(_RETRY_AFTER if receipt.after is None else receipt.after)
                continue
            done = self._outbox.popleft()
            self._tries = 0
            if receipt.outcome is Outcome.SENT:
                arrived.append(done)
            else:
                self.unsent.append((done, receipt.detail))
        self.replies.extend(arrived)
        return arrived

    def _prepared(self, action: Action) -> Action | Receipt:
        """Return what people get of an action, or why it cannot be sent now. Here: the same."""
        return action

    def _attempt(self, action: Action) -> Receipt:
        if self._refusals:
            self._refusals -= 1
            self.refused += 1
            return Receipt(outcome=Outcome.LATER, reason=Reason.THROTTLED, after=_RETRY_AFTER, counted=False)
        if isinstance(action, Send):
            self._sent += 1
            message_id = f"out-{self._sent}"
            self.screen[message_id] = action
            return Receipt(outcome=Outcome.SENT, external_id=message_id)
        if isinstance(action, Edit):
            self.screen[action.target] = action
        if isinstance(action, Delete):
            self.screen.pop(action.target, None)
        return Receipt(outcome=Outcome.SENT)
