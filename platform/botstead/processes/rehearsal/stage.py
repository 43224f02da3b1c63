"""`chat_with`: a conversation with a bot in a test, with a double of every outside service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from botstead.bots.bot import Bot
from botstead.bots.inject import Make, Named
from botstead.bots.manifest import read_manifest
from botstead.bots.runner import PythonBot
from botstead.bots.testing import KitClock, Rehearsal, Reply
from botstead.core.errors import HandlerFailed
from botstead.core.messages import Action, Event, Pay, Person, Receipt, Refund
from botstead.core.ports import Effects, Incoming
from botstead.processes.rehearsal.doubles import Doubles, open_to
from botstead.processes.rehearsal.payments import Till
from botstead.processes.rehearsal.paypal import PayPalDouble
from botstead.processes.rehearsal.stripe import StripeDouble


class Stage(Rehearsal):
    """A rehearsal with doubles.

    They are `chat.weather`, `.http`, `.rest(name)`, `.llm`, `.mail`, `.slack` and `.payments`, with the webhooks of `.stripe` and
    `.paypal`. Each can be `.slow(seconds)`, `.broken()`, `.throttled(after)` and `.well()` again. Time is the kit's: nothing
    really waits.
    """

    def __init__(  # noqa: PLR0913  what a conversation is made of, each given by name
        self,
        make: Callable[[], PythonBot],
        *,
        person: Person,
        group: bool,
        channel: str,
        clock: KitClock,
        doubles: Doubles,
    ) -> None:
        """Build it; `chat_with` does.

        Args:
            make: loads the bot, again after each restart.
            person: who writes unless a call says otherwise.
            group: whether more than two take part.
            channel: the kind of channel that the bot is told.
            clock: the kit's time.
            doubles: of outside services.
        """
        super().__init__(make, person=person, group=group, channel=channel, clock=clock)
        self.weather = doubles.weather
        self.http = doubles.http
        self.mail = doubles.mail
        self.slack = doubles.slack
        self.llm = doubles.llm
        self.rest = doubles.rest
        self.payments = Till(clock, self._hear)
        self.stripe = StripeDouble(clock, self.payments)
        self.paypal = PayPalDouble(self.payments)

    async def deliver(self, event: Event) -> Reply:
        """Hand over an event; then whatever became of payments through it, such as a refund. See `Rehearsal.deliver`."""
        before = await self._hear()
        reply = await super().deliver(event)
        after = await self._hear()
        self._last = event
        return Reply((*before.actions, *reply.actions, *after.actions))

    async def _hear(self) -> Reply:
        """Let the bot hear of payments, in order. One that its handler fails on stays, and is told again first."""
        said: list[Action] = []
        while self.payments.news:
            event = self.payments.news[0]
            said.extend((await super().deliver(event)).actions)
            self.payments.news.popleft()
            if event.payment is not None:
                self.payments.fulfilled(event.payment)
        return Reply(tuple(said))

    async def _handled(self, event: Event) -> Effects:
        began = self.clock.monotonic()
        effects = await super()._handled(event)
        deadline = self._bot.limits.deadline
        if self.clock.monotonic() - began > deadline:
            raise HandlerFailed(f"{self.name}: the handler ran longer than its deadline of {deadline:g} s.")
        return effects

    def _prepared(self, action: Action) -> Action | Receipt:
        if isinstance(action, Pay):
            return self.payments.asked(action)
        if isinstance(action, Refund):
            return self.payments.give_back(action)
        return action


@contextlib.asynccontextmanager
async def chat_with(
    bot: Bot | Path | str,
    providers: Mapping[type, object] | None = None,
    *,
    person: Person | None = None,
    group: bool = False,
    channel: str = "test",
) -> AsyncIterator[Stage]:
    """Begin a conversation with a bot.

    Args:
        bot: a `Bot`, or the folder of one, which is loaded as in production.
        providers: what handlers get for a type instead of the kit's own double, such as `{Weather: MyWeather()}`.
        person: who writes.
        group: whether more than two take part.
        channel: the kind of channel that the bot is told.

    Raises:
        BotBroken: the bot cannot be loaded or wired.
    """
    clock = KitClock()
    doubles = Doubles(clock)
    given: dict[type, Make | Named] = {kind: _always(value) for kind, value in (providers or {}).items()}

    def make() -> PythonBot:
        if isinstance(bot, Bot):
            manifest = open_to(bot)
            return PythonBot(bot, manifest, providers={**doubles.providers(manifest), **given})
        return PythonBot.load(Path(bot), providers={**doubles.providers(read_manifest(Path(bot))), **given})

    stage = Stage(make, person=person or Person("visitor"), group=group, channel=channel, clock=clock, doubles=doubles)
    try:
        yield stage
    finally:
        stage.close()


def _always(value: object) -> Callable[[Incoming], object]:
    return lambda _incoming: value
