"""What a handler says and to whom: `Chat` and `Outbox`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from typing import Any, TypeAlias

from botstead.bots.draft import QUEUED, Draft, Queued
from botstead.bots.growing import joined
from botstead.bots.memory import Memory, copied
from botstead.bots.paying import Payments
from botstead.bots.questions import Given
from botstead.core.drafting import Growing
from botstead.core.errors import HandlerFailed
from botstead.core.messages import Action, Attachment, Button, Delete, Edit, Send, Typing

Buttons: TypeAlias = Sequence[str | Button | Sequence[str | Button]]
"""Buttons as authors write them: labels or `Button`s, in one row, or a list of rows."""
DAY = 86_400.0


class Asked(BaseException):
    """Ends a run at an unanswered question. No `Exception`, so that an author's `except Exception` lets it pass."""


def rows(buttons: Buttons) -> tuple[tuple[Button, ...], ...]:
    """Bring buttons into rows.

    Args:
        buttons: labels or buttons, in one row, or rows of these.

    Raises:
        HandlerFailed: something else is among them.
    """
    if not buttons:
        return ()
    if all(isinstance(item, str | Button) for item in buttons):
        return (tuple(_button(item) for item in buttons),)
    return tuple(_row(row) for row in buttons)


def _row(row: object) -> tuple[Button, ...]:
    return tuple(_button(item) for item in row) if isinstance(row, list | tuple) else (_button(row),)


def _button(item: object) -> Button:
    if isinstance(item, Button):
        return item
    if isinstance(item, str) and item:
        return Button(item)
    raise HandlerFailed(f"buttons: {type(item).__name__} is no button. Give a text or Button(label, value).")


def compose(text: str, buttons: Buttons = (), *, plain: bool = False, reply_to: str = "") -> Send | None:
    """Make a message; an empty text says nothing and gives None.

    Args:
        text: Markdown, or literal text when `plain`.
        buttons: see `rows`.
        plain: take the text literally.
        reply_to: the provider's id of a message that this one answers.

    Raises:
        HandlerFailed: the text is no text, or there are buttons and nothing to stand above them.
    """
    if not isinstance(text, str):
        raise HandlerFailed(f"a message is a text, not {type(text).__name__}")
    if text.strip():
        return Send(str(text), rows(buttons), reply_to=reply_to, plain=plain)
    if buttons:
        raise HandlerFailed('buttons need a text above them: chat.send("Which one?", buttons=[…])')
    return None


class Question:
    """An unanswered `chat.ask`; `await` gives the answer."""

    __slots__ = ("_chat", "buttons", "text", "timeout")

    def __init__(self, chat: Chat, text: str, buttons: Buttons, timeout: float) -> None:
        """Build it; `Chat.ask` does."""
        self._chat = chat
        self.text = text
        self.buttons = rows(buttons)
        self.timeout = timeout

    @property
    def values(self) -> tuple[str, ...]:
        """The values of the buttons."""
        return tuple(button.token for row in self.buttons for button in row if not button.url)

    def __await__(self) -> Generator[Any, None, str]:
        return self._answered().__await__()

    async def _answered(self) -> str:
        return self._chat.answer(self)


class Chat(Payments):
    """Speaks in the conversation that the handler runs in. What it says is sent when the handler has returned, in order."""

    __slots__ = ("_answers", "_asked", "_can_ask", "_growing", "_memory", "_streamed", "asking", "unanswered")

    def __init__(
        self,
        draft: Draft,
        memory: Memory,
        answers: Sequence[Given] = (),
        *,
        can_ask: str = "",
        growing: Growing | None = None,
    ) -> None:
        """Build it; the runner does.

        Args:
            draft: where what is said goes.
            memory: the state, which follows the answers.
            answers: those that were given to earlier runs.
            can_ask: empty, or why this handler cannot ask.
            growing: shows what is streamed while it grows; None where the channel cannot.
        """
        super().__init__(draft)
        self._growing = growing
        self._streamed = ""
        self._memory = memory
        self._answers = answers
        self._asked = 0
        self._can_ask = can_ask
        self.asking: Question | None = None
        self.unanswered = 0

    def send(self, text: str, buttons: Buttons = (), *, plain: bool = False, reply_to: str = "") -> Queued:
        """Say something.

        Args:
            text: Markdown, or literal text when `plain`. An empty text says nothing.
            buttons: labels or `Button`s in one row, or a list of rows.
            plain: take the text literally.
            reply_to: the provider's id of the message that this one answers (`message.id`).
        """
        message = compose(text, buttons, plain=plain, reply_to=reply_to)
        return QUEUED if message is None else self._draft.add(message)

    async def stream(self, pieces: AsyncIterator[str], buttons: Buttons = (), *, plain: bool = False) -> str:
        """Say something that comes in pieces, such as `llm.stream(…)`: people see it grow where the channel can show that.

        The whole text is sent when the handler has returned, as with `send`.

        Args:
            pieces: pieces of Markdown, or of literal text when `plain`.
            buttons: see `send`.
            plain: take the text literally.

        Returns:
            The whole text.
        """
        text = await self.grown(pieces)
        self.send(text, buttons, plain=plain)
        return text

    async def grown(self, pieces: AsyncIterator[object]) -> str:
        """Put the pieces of a text together, and show it while it grows, below what was streamed before it. Sends nothing.

        Args:
            pieces: see `stream`.

        Raises:
            HandlerFailed: a piece is no text.
        """
        text = await joined(pieces, self._growing, before=self._streamed)
        self._streamed += f"{text}\n\n" if text else ""
        return text

    def edit(self, target: str, text: str, buttons: Buttons = (), *, plain: bool = False) -> Queued:
        """Replace a message of the bot's own. In a button's handler `message.id` is the message with the button.

        Args:
            target: the provider's id of the message.
            text: the new text.
            buttons: the new buttons; none removes them.
            plain: take the text literally.
        """
        return self._draft.add(Edit(target, text, rows(buttons), plain))

    def delete(self, target: str) -> Queued:
        """Delete a message of the bot's own.

        Args:
            target: the provider's id of the message.
        """
        return self._draft.add(Delete(target))

    def typing(self) -> Queued:
        """Show that the bot is writing, between two messages."""
        return self._draft.add(Typing())

    def notice(self, text: str) -> Queued:
        """Show a short notice to the person who pressed a button, where the channel can; elsewhere nothing happens.

        Args:
            text: a few words.
        """
        self._draft.notice = text
        return QUEUED

    def photo(self, source: str, caption: str = "") -> Queued:
        """Send a picture.

        Args:
            source: an `https://` address that the provider may fetch, or the provider's own file id.
            caption: stands under it.
        """
        return self._draft.add(Send(attachments=(_attachment("image", source, caption=caption),)))

    def document(self, source: str, caption: str = "", *, name: str = "") -> Queued:
        """Send a file.

        Args:
            source: an `https://` address that the provider may fetch, or the provider's own file id.
            caption: stands under it.
            name: what the file is called.
        """
        return self._draft.add(Send(attachments=(_attachment("file", source, caption=caption, name=name),)))

    def ask(self, text: str, buttons: Buttons = (), *, timeout: float = DAY) -> Question:
        """Ask, and go on when the answer is there: `city = await chat.ask("Which city?")`.

        The answer may come in a second or tomorrow, after a restart or a deploy: nothing waits in memory. The handler
        ends here, and the answer runs it again from its beginning with the same message; questions that were answered
        return their answer at once, and what was said before them is not said again. So a handler that asks

        - is `async` and asks in the same order each time;
        - does before its last question only what may be done twice (reading is fine; charge a card after it);
        - sees `conversation.state` as it would be had it really waited.

        The answer is the next text of the person who was asked, or the value of one of the buttons. `/cancel`, another
        command with a leading `/`, and the timeout end the question, and the handler does not go on.

        Args:
            text: the question.
            buttons: answers to choose from; a typed text is an answer as well.
            timeout: seconds after which the next message is no answer any more.

        Returns:
            Something to `await`, which gives the answer as `str`.
        """
        if self._can_ask:
            raise HandlerFailed(self._can_ask)
        self.unanswered += 1
        return Question(self, text, buttons, timeout)

    def answer(self, question: Question) -> str:
        """Return the recorded answer, or end the run. `await chat.ask(…)` calls it.

        Raises:
            Asked: there is no answer yet.
        """
        self.unanswered -= 1
        if self._asked == len(self._answers):
            self.asking = question
            self._draft.add(Send(question.text, question.buttons))
            self._draft.seal()
            self._memory.seal()
            raise Asked
        given = self._answers[self._asked]
        self._asked += 1
        self._draft.clear()
        self._settle(given, last=self._asked == len(self._answers))
        return given.text

    def _settle(self, given: Given, *, last: bool) -> None:
        """Bring the state to what it was when this answer came."""
        if last:
            stored = self._memory.stored
            given.state = stored if stored != self._memory.data else None
        if given.state is not None:
            self._memory.replace(copied(given.state))


def _attachment(kind: str, source: str, *, caption: str, name: str = "") -> Attachment:
    if source.startswith(("https://", "http://")):
        return Attachment(kind, url=source, caption=caption, name=name)
    return Attachment(kind, reference=source, caption=caption, name=name)


class Outbox:
    """Speaks in other conversations of the same bot."""

    __slots__ = ("_draft",)

    def __init__(self, draft: Draft) -> None:
        """Build it; the runner does."""
        self._draft = draft

    def send(self, to: str, text: str | Action, buttons: Buttons = (), *, plain: bool = False) -> Queued:
        """Say something in another conversation, together with everything else this handler does, or not at all.

        Args:
            to: the key of the conversation (`conversation.key`), kept by an earlier handler.
            text: Markdown, or an action such as `Send`.
            buttons: see `Chat.send`.
            plain: take the text literally.
        """
        action = compose(text, buttons, plain=plain) if isinstance(text, str) else text
        return QUEUED if action is None else self._draft.add(action, to)


def said(items: Iterable[Action]) -> str:
    """Join the texts of what is sent, for people.

    Args:
        items: actions; those that send no text are passed over.
    """
    return "\n".join(item.text for item in items if isinstance(item, Send | Edit) and item.text)
