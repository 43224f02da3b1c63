"""Who goes into quarantine when: few at once, each in a ward of its own, innocents first, bots alike, nobody forgotten."""

from __future__ import annotations

import asyncio
import random

import pytest

from botstead.core.messages import Event, Kind
from botstead.core.ports import Effects, Incoming
from botstead.pipeline.quarantine import PLACES, PLACES_OF_A_BOT, Quarantine


def incoming(name: str) -> Incoming:
    return Incoming(id=1, bot="b", channel="c", account=1, conversation=name, event=Event(Kind.MESSAGE, "a", "k"))


class Ward:
    """Notes who is in it; whoever is in stays until the test lets them go."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.inside: str | None = None
        self.ended = False

    async def handle(self, incoming: Incoming) -> Effects:
        assert self.inside is None, "somebody is in this ward already"
        assert not self.ended
        self.inside = incoming.conversation
        self.bot.went_in.append(incoming.conversation)
        try:
            await self.bot.doors.setdefault(incoming.conversation, asyncio.Event()).wait()
            if incoming.conversation.startswith("bad"):
                raise ValueError(incoming.conversation)
            return Effects()
        finally:
            self.inside = None

    async def end(self) -> None:
        assert self.inside is None
        self.ended = True
        await asyncio.sleep(0)


class Bot:
    """Implements `quarantine.Alone`."""

    def __init__(self) -> None:
        self.wards: list[Ward] = []
        self.went_in: list[str] = []
        self.doors: dict[str, asyncio.Event] = {}

    def ward(self) -> Ward:
        self.wards.append(Ward(self))
        return self.wards[-1]

    def inside(self) -> set[str]:
        return {ward.inside for ward in self.wards if ward.inside}

    async def let_go(self, *names: str) -> None:
        for name in names:
            self.doors[name].set()
        await settle()


async def settle() -> None:
    """Let everything happen that is due: the quarantine waits for nothing but turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


def suspect(quarantine: Quarantine, bot: Bot, name: str, *, number: int = 1, claims: int = 1) -> asyncio.Task[Effects]:
    return asyncio.ensure_future(quarantine.run(number, bot, incoming(name), claims=claims))


def test_a_bot_has_few_places_and_a_ward_takes_one_after_the_other():
    async def story():
        quarantine, bot = Quarantine(), Bot()
        names = [f"n{n}" for n in range(9)]
        tasks = [suspect(quarantine, bot, name) for name in names]
        await settle()
        assert bot.inside() == set(names[:PLACES_OF_A_BOT])
        await bot.let_go("n1")
        assert bot.inside() == {"n0", "n2", "n3"}
        for name in names:
            bot.doors.setdefault(name, asyncio.Event()).set()
        await asyncio.gather(*tasks)
        assert bot.went_in == names
        assert len(bot.wards) == PLACES_OF_A_BOT
        assert all(ward.ended for ward in bot.wards)

    asyncio.run(story())


def test_one_bot_that_hangs_leaves_a_place_to_others_and_they_take_turns():
    async def story():
        quarantine, hanging, *others = Quarantine(), Bot(), Bot(), Bot()
        tasks = [suspect(quarantine, hanging, f"h{n}") for n in range(9)]
        tasks += [suspect(quarantine, bot, f"o{n}", number=number) for number, bot in enumerate(others, 2) for n in range(2)]
        await settle()
        assert [len(bot.inside()) for bot in (hanging, *others)] == [PLACES_OF_A_BOT, PLACES - PLACES_OF_A_BOT, 0]
        await others[0].let_go("o0")
        assert (others[0].inside(), others[1].inside()) == ({"o1"}, set()), "the same bot goes on where it has a process"
        await others[0].let_go("o1")
        assert others[0].wards[0].ended
        assert others[1].inside() == {"o0"}
        for task in tasks:
            task.cancel()

    asyncio.run(story())


def test_the_guilty_go_last_and_one_at_a_time():
    async def story():
        quarantine, bot = Quarantine(), Bot()
        tasks = [suspect(quarantine, bot, f"guilty{n}", claims=2) for n in range(3)]
        tasks += [suspect(quarantine, bot, f"n{n}") for n in range(3)]
        await settle()
        assert bot.inside() == {"guilty0", "n0", "n1"}
        await bot.let_go("guilty0")
        assert bot.inside() == {"n0", "n1", "n2"}
        await bot.let_go("n0", "n1", "n2")
        assert bot.inside() == {"guilty1"}
        for task in tasks:
            task.cancel()

    asyncio.run(story())


def test_what_a_bot_raises_is_raised_and_the_next_one_goes_in():
    async def story():
        quarantine, bot = Quarantine(), Bot()
        tasks = [suspect(quarantine, bot, f"bad{n}") for n in range(5)]
        await settle()
        await bot.let_go(*bot.inside())
        await bot.let_go(*bot.inside())
        for task in tasks:
            with pytest.raises(ValueError, match="bad"):
                await task
        assert all(ward.ended for ward in bot.wards)

    asyncio.run(story())


@pytest.mark.parametrize("seed", range(20))
def test_whoever_is_cancelled_at_any_moment_takes_no_place_with_him(seed):
    async def story():
        chance = random.Random(seed)
        quarantine, bots = Quarantine(), [Bot(), Bot(), Bot()]
        tasks = []
        for n in range(60):
            bot = chance.choice(bots)
            tasks.append(suspect(quarantine, bot, f"n{n}", number=bots.index(bot), claims=chance.choice([1, 1, 2])))
            if chance.random() < 0.5:
                chance.choice(tasks).cancel()
            if chance.random() < 0.3:
                for name in bot.inside():
                    bot.doors[name].set()
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            assert sum(len(each.inside()) for each in bots) <= PLACES
            assert sum(not ward.ended for each in bots for ward in each.wards) <= PLACES
        for bot in bots:
            for n in range(60):
                bot.doors.setdefault(f"n{n}", asyncio.Event()).set()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert all(isinstance(end, Effects | asyncio.CancelledError) for end in ends)
        assert all(ward.ended for bot in bots for ward in bot.wards)
        assert (quarantine._inside, quarantine._waiting) == ([], [])

    asyncio.run(story())
