"""A Python bot as the worker sees it: routes an event, calls the handler, and gives back what is to happen."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botstead.bots import measures, replies
from botstead.bots.bot import Bot
from botstead.bots.chat import Asked, Chat, Outbox, Question
from botstead.bots.conversation import Conversation
from botstead.bots.draft import Draft
from botstead.bots.http_client import Http
from botstead.bots.inject import Providers, Run, Wired, wire
from botstead.bots.loader import Loaded, load
from botstead.bots.manifest import Manifest
from botstead.bots.memory import Memory
from botstead.bots.paying import Payments
from botstead.bots.questions import Given, Pending, Step, answer_text, without_raw
from botstead.bots.router import Decision, Found, Help, Lost, Misfit, Router
from botstead.core.drafting import Drafts
from botstead.core.errors import BotBroken, Declined, HandlerFailed
from botstead.core.messages import Action, AnswerButton, Event, Kind
from botstead.core.ports import Effects, Incoming
from botstead.runtime.outside import Outside, calling

THREADS = 8
"""The most handlers without `async` that one bot runs at once; more wait for their turn."""

TO_ANSWER = 0.5
"""Seconds of a run's deadline that calls to services leave at its end."""

_SILENT = frozenset({Kind.STATUS, Kind.UNKNOWN, Kind.SEND, Kind.SCHEDULE, Kind.DELETED, Kind.MOVED})
_NOTHING = Effects()


class PythonBot:
    """Runs a bot written in Python. Implements `core.ports.Handler`."""

    def __init__(
        self,
        bot: Bot,
        manifest: Manifest | None = None,
        *,
        providers: Providers | None = None,
        outside: Outside | None = None,
    ) -> None:
        """Wire every handler.

        Args:
            bot: the author's object.
            manifest: what `bot.toml` says; by default nothing.
            providers: what handlers can ask for by type, besides what is ours.
            outside: the way to services, for `Http`; without it there is no `Http` but that of `providers`.

        Raises:
            BotBroken: a handler asks for something that is not there; the message names it.
        """
        self.manifest = manifest or Manifest()
        self.name = self.manifest.name or bot.name
        self.limits = self.manifest.limits
        self.drafts: Drafts | None = None
        """Shows what handlers stream while it grows; `processes/` gives it."""
        self._bot = bot
        known = dict(providers or {})
        if outside is not None and Http not in known:
            http = Http(outside, self.manifest.egress)
            known[Http] = lambda _incoming: http
        self._router = Router(self.name, [wire(route, known) for route in bot.routes])
        self._threads = ThreadPoolExecutor(min(self.limits.running, THREADS), thread_name_prefix=f"bot-{self.name}")

    @classmethod
    def load(cls, folder: Path, *, providers: Providers | None = None, outside: Outside | None = None) -> PythonBot:
        """Load a bot's folder and wire it.

        Args:
            folder: holds `bot.py` and perhaps `bot.toml`.
            providers: see the class.
            outside: see the class.

        Raises:
            BotBroken: the folder or a handler is wrong; the message names file and line.
        """
        loaded: Loaded = load(folder)
        if loaded.manifest.kind != "python":
            raise BotBroken(f"{folder} holds a bot of kind {loaded.manifest.kind}, not a Python bot.")
        return cls(loaded.bot, loaded.manifest, providers=providers, outside=outside)

    def close(self) -> None:
        """Let the threads end; what runs in them is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def handle(self, incoming: Incoming) -> Effects:
        """Run the bot on one event.

        Raises:
            HandlerFailed: the handler raised, ran out of time, or returned nonsense. The message names the handler and
                the line, never what people wrote; the cause is chained.
        """
        event = incoming.event
        if event.kind in _SILENT:
            return _NOTHING
        memory = Memory(incoming.state)
        pending = memory.pending
        if pending is not None:
            step = pending.judge(event, incoming.received or time.time())
            if step is Step.CANCEL:
                memory.pending = None
                return Effects(actions=(replies.CANCELLED,), state=memory.encode())
            if step is Step.ANSWER and (found := self._asked_by(pending, event)) is not None:
                return await self._resume(found, pending, incoming, memory)
            if step is not Step.OTHER:
                memory.pending = None
        decision = self._router.route(event)
        if isinstance(decision, Found):
            return await self._run(decision, event, incoming, memory)
        understood = self._router.understands(event, decision)
        if understood is False and event.payment is not None:
            measures.untaken(self.name, event.payment)
        return Effects(actions=(*_seen(event), *self._own_words(decision)), state=memory.encode(), understood=understood)

    def apology(self, incoming: Incoming | None = None) -> Effects:
        """Return what is said to the person when an event is given up: one polite sentence.

        Args:
            incoming: the event; with it, a question that waits in its conversation is ended, so that the next message
                is not taken for an answer and fails in the same way.
        """
        state = None
        if incoming is not None:
            memory = Memory(incoming.state)
            memory.pending = None
            state = memory.encode()
        return Effects(actions=(replies.APOLOGY,), state=state)

    def _asked_by(self, pending: Pending, event: Event) -> Found | None:
        """Return the handler that asked, or None when the event is a command or a deploy removed the handler."""
        if event.kind is Kind.MESSAGE and self._router.is_command(event):
            return None
        found = self._router.route(pending.event)
        return found if isinstance(found, Found) and found.wired.route.name == pending.handler else None

    async def _resume(self, found: Found, pending: Pending, incoming: Incoming, memory: Memory) -> Effects:
        answers = (*pending.answers, Given(answer_text(incoming.event)))
        memory.begin_again(pending.before)
        return await self._run(found, pending.event, incoming, memory, answers=answers)

    def _own_words(self, decision: Decision) -> tuple[Action, ...]:
        if isinstance(decision, Misfit):
            return (replies.plain(replies.usage(decision.wired.route, decision.complaint)),)
        if isinstance(decision, Lost):
            return (replies.LOST,)
        if isinstance(decision, Help):
            description = self.manifest.description or self._bot.description
            if decision.greeting and self.manifest.greeting:
                description = self.manifest.greeting
            return (replies.plain(replies.help_text(self._bot, description=description)),)
        return ()

    async def _run(
        self, found: Found, event: Event, incoming: Incoming, memory: Memory, *, answers: Sequence[Given] = ()
    ) -> Effects:
        wired, understood = found.wired, self._router.understands(event, found)
        draft = Draft(incoming.conversation)
        growing = None if self.drafts is None else self.drafts.begin(incoming)
        chat = Chat(draft, memory, answers, can_ask=_why_not_ask(wired), growing=growing)
        conversation = Conversation(incoming, memory)
        run = Run(incoming, event, found.values, conversation, chat, Outbox(draft), Payments(draft))
        try:
            for action in await self._returned(wired, run):
                draft.add(action)
        except Declined as declined:
            return self._declined(declined, incoming, understood)
        finally:
            if growing is not None:
                growing.end()
        _require_awaited(chat, wired)
        if chat.asking is not None:
            memory.pending = _pending(chat.asking, wired.route.name, run, memory.beginning, answers)
        elif answers:
            memory.pending = None
        actions = (*_seen(incoming.event, draft.notice), *draft.actions)
        return Effects(actions=actions, state=self._state(memory, wired), forwards=draft.forwarded(), understood=understood)

    async def _returned(self, wired: Wired, run: Run) -> Sequence[Action]:
        """Call the handler and read what it returned; an unanswered question returns nothing."""
        try:
            async with asyncio.timeout(self.limits.deadline) as deadline:
                with calling(self.name, self._until()):
                    return replies.actions_of(await self._call(wired, run))
        except Asked:
            return ()
        except Declined:
            raise
        except HandlerFailed as error:
            raise HandlerFailed(f"{_called(self.name, wired)} {error.message}") from error
        except TimeoutError as error:
            if deadline.expired():
                seconds = self.limits.deadline
                raise HandlerFailed(f"{_called(self.name, wired)} ran longer than its deadline of {seconds:g} s.") from error
            raise self._failed(wired, error) from error
        except (Exception, SystemExit) as error:
            raise self._failed(wired, error) from error

    def _until(self) -> float:
        """Say until when calls to services may take: a little less than the run, so that the handler can say that they failed."""
        deadline = self.limits.deadline
        return time.monotonic() + deadline - min(TO_ANSWER, deadline / 20)

    async def _call(self, wired: Wired, run: Run) -> object:
        function = wired.route.function
        arguments = {name: source(run) for name, source in wired.arguments}
        if wired.is_async:
            returned = await function(**arguments)
        elif wired.is_pieces:
            returned = function(**arguments)
        else:
            returned = await self._in_thread(functools.partial(function, **arguments))
        return await run.chat.grown(returned) if isinstance(returned, AsyncIterator) else returned

    async def _in_thread(self, call: functools.partial[object]) -> object:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, _quietly, call)

    def _failed(self, wired: Wired, error: BaseException) -> HandlerFailed:
        frames = traceback.extract_tb(error.__traceback__)
        code = getattr(wired.route.function, "__code__", None)
        folder = Path(code.co_filename).parent if code is not None else None
        own = [frame for frame in frames if folder is not None and Path(frame.filename).is_relative_to(folder)]
        place = f" at {Path(own[-1].filename).name} line {own[-1].lineno}" if own else ""
        return HandlerFailed(f"{_called(self.name, wired)} raised {type(error).__name__}{place}.")

    def _state(self, memory: Memory, wired: Wired) -> bytes | None:
        try:
            return memory.encode()
        except HandlerFailed as error:
            raise HandlerFailed(f"{_called(self.name, wired)}: {error.message}") from error

    def _declined(self, declined: Declined, incoming: Incoming, understood: bool | None) -> Effects:
        memory = Memory(incoming.state)
        memory.pending = None
        actions = (*_seen(incoming.event), replies.plain(declined.message))
        return Effects(actions=actions, state=memory.encode(), understood=understood)


def _quietly(call: functools.partial[object]) -> object:
    """Call a handler in a thread: a `sys.exit()` in it must end the handler, not the thread's queue."""
    try:
        return call()
    except SystemExit as error:
        raise RuntimeError("the handler called sys.exit()") from error


def _seen(event: Event, notice: str = "") -> tuple[Action, ...]:
    """Tell the provider that a press was seen, so that the button stops spinning."""
    return (AnswerButton(event.press, notice),) if event.kind is Kind.BUTTON and event.press else ()


def _called(bot: str, wired: Wired) -> str:
    return f"{bot}: {wired.route.name}()"


def _why_not_ask(wired: Wired) -> str:
    if wired.is_async:
        return ""
    if wired.is_pieces:
        return "a handler that yields cannot ask. Use chat.send(…) for what is said before the question."
    return "a handler without `async` cannot ask. Write `async def`, and `await chat.ask(…)`."


def _require_awaited(chat: Chat, wired: Wired) -> None:
    if chat.unanswered:
        raise HandlerFailed(f"{wired.route.name}() asked without waiting. Write `await chat.ask(…)`.")


def _pending(question: Question, handler: str, run: Run, beginning: dict[str, Any], answers: Sequence[Given]) -> Pending:
    return Pending(
        handler=handler,
        event=without_raw(run.event),
        before=beginning,
        until=(run.incoming.received or time.time()) + question.timeout,
        answers=list(answers),
        buttons=question.values,
    )
