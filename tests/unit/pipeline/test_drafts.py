"""Drafts: what is passed on of a growing text, how often, and when no more."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.messages import Event, Kind
from botstead.core.ports import Incoming
from botstead.pipeline import drafts
from botstead.pipeline.drafts import LONGEST, MOST, TOPIC, Drafted, Drafts, ToldDrafts, read
from botstead.store.valkey import MemoryWake


def incoming(channel: str = "webchat", number: int = 7) -> Incoming:
    event = Event(Kind.MESSAGE, "a", "k", text="?")
    return Incoming(id=number, bot="b", channel=channel, account=1, conversation="1.a", event=event)


class Listening:
    """A wake, and the hints that were heard."""

    def __init__(self) -> None:
        self.wake = MemoryWake()
        self.heard: list[Drafted] = []
        self.news = asyncio.Event()
        self.wake.subscribe(TOPIC, self._hear)

    def _hear(self, hint: str) -> None:
        self.heard.append(read(hint))
        self.news.set()


def test_the_first_is_passed_on_at_once_and_the_newest_a_little_later():
    async def story():
        there = Listening()
        growing = Drafts(there.wake, ["webchat"]).begin(incoming())
        growing.show("a")
        assert there.heard == [Drafted("1.a", 7, "a")]
        there.news.clear()
        for text in ("ab", "abc", "abcd"):
            growing.show(text)
        assert len(there.heard) == 1
        async with asyncio.timeout(2):
            await there.news.wait()
        assert [one.text for one in there.heard] == ["a", "abcd"]
        growing.show("abcd")
        growing.end()

    asyncio.run(story())


def test_after_its_end_nothing_is_passed_on(monkeypatch):
    monkeypatch.setattr(drafts, "EVERY", 0.01)

    async def story():
        there = Listening()
        growing = Drafts(there.wake, ["webchat"]).begin(incoming())
        growing.show("a")
        growing.show("ab")
        growing.end()
        growing.end()
        growing.show("abc")
        await asyncio.sleep(0.05)  # five times as long as it would have taken
        assert [one.text for one in there.heard] == ["a"]

    asyncio.run(story())


def test_channels_that_cannot_show_it_get_nothing():
    assert Drafts(MemoryWake(), ["webchat"]).begin(incoming("telegram")) is None


def test_a_draft_is_bounded_and_so_is_their_number():
    async def story():
        there = Listening()
        shown = Drafts(there.wake, ["webchat"])
        growing = shown.begin(incoming())
        growing.show("x" * (LONGEST + 5))
        growing.show("x" * (LONGEST + 9))
        assert [len(one.text) for one in there.heard] == [LONGEST]
        others = [shown.begin(incoming()) for _ in range(MOST)]
        assert others[-1] is None
        growing.end()
        growing.end()
        assert shown.begin(incoming()) is not None
        assert shown.begin(incoming()) is None

    asyncio.run(story())


def test_many_together_are_shown_less_often():
    async def story():
        there = Listening()
        shown = Drafts(there.wake, ["webchat"])
        several = [shown.begin(incoming()) for _ in range(50)]
        assert several[0]._every() == pytest.approx(0.5)

    asyncio.run(story())


@given(st.text(max_size=60), st.integers(0, 2**62))
def test_a_hint_is_read_as_it_was_written(text, number):
    there = Listening()
    clean = text.encode(errors="replace").decode()
    Drafts(there.wake, ["webchat"]).begin(incoming(number=number)).show(clean)
    assert there.heard == ([Drafted("1.a", number, clean)] if clean else [])


@given(st.text(max_size=40))
def test_what_is_no_hint_is_passed_over(text):
    assert read(text) is None
    assert read('["1.a","x","y"]') is None


def test_a_process_of_its_own_tells_its_worker():
    told: list[bytes] = []
    growing = ToldDrafts(lambda: told.append).begin(incoming("any"))
    growing.show("ø")
    growing.end()
    assert told == ["ø".encode()]
    assert ToldDrafts(lambda: None).begin(incoming()) is None
