"""The cursor of a stream: under any order of commits, looks and breaks, everything is sent, and once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from botstead.web.chat.cursor import SENT_LIMIT, WINDOW, Cursor

PAGE = 3

messages = st.lists(
    st.tuples(
        st.floats(0, 4, allow_nan=False),  # seconds after the one before
        st.floats(0, WINDOW * 0.98, allow_nan=False),  # seconds from its id to its commit
    ),
    max_size=25,
)
looks = st.lists(
    st.tuples(
        st.floats(0.01, 9, allow_nan=False),  # seconds after the look before
        st.one_of(st.none(), st.integers(0, PAGE)),  # a break: how many events of this page still arrive
    ),
    max_size=60,
)


def look(cursor: Cursor, now: float, table: list[tuple[int, float]]) -> list[tuple[int, str]]:
    """What `Stream` does, without a database: (id, written cursor) for each event of one page."""
    visible = [identity for identity, commit in table if commit <= now and identity > cursor.floor]
    page = [identity for identity in visible if identity not in cursor.sent][:PAGE]
    events = []
    for identity in page:
        cursor.add(identity, now=now)
        events.append((identity, cursor.encode()))
    cursor.settle(began=now, up_to=page[-1] if len(page) == PAGE else None)
    return events


@settings(max_examples=300, deadline=None)
@given(messages, looks)
def test_nothing_is_lost_and_nothing_is_sent_twice(gaps, moments):
    table, allocated = [], 0.0
    for identity, (gap, delay) in enumerate(gaps, start=1):
        allocated += gap
        table.append((identity, allocated + delay))
    received: list[int] = []
    held, cursor, now = "0", Cursor(), 0.0
    for gap, arrives in moments:
        now += gap
        events = look(cursor, now, table)
        kept = events if arrives is None else events[:arrives]
        received += [identity for identity, _ in kept]
        held = kept[-1][1] if kept else held
        if arrives is not None:  # the server restarts; the client comes back with what it holds
            cursor = Cursor.decode(held, now=now)
    end = max([now, *(commit for _, commit in table)])
    for step in range(len(table) + 2):
        received += [identity for identity, _ in look(cursor, end + step * WINDOW, table)]
    assert sorted(received) == [identity for identity, _ in table]
    assert look(cursor, end + 1000, table) == []
    assert len(cursor.sent) <= PAGE


@given(st.integers(0, 2**62), st.sets(st.integers(1, 2**61), max_size=SENT_LIMIT))
def test_what_is_written_is_read_back(floor, steps):
    cursor = Cursor(floor, [floor + step for step in steps])
    read = Cursor.decode(cursor.encode(), now=1.0)
    assert (read.floor, read.sent) == (cursor.floor, cursor.sent)


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_none(text):
    read = Cursor.decode(text, now=0.0)
    assert read is None or read.encode()


def test_what_is_no_position_is_none():
    for text in ("", "x", "-1", "1.", ".1", "1..2", "٣", "9" * 19, "9223372036854775807.1", "1" + ".1" * (SENT_LIMIT + 1), "1\n"):
        assert Cursor.decode(text, now=0.0) is None, text
    assert Cursor.decode("17", now=0.0).floor == 17


def test_ids_above_the_floor_are_bounded():
    cursor = Cursor()
    for identity in range(1, 3 * SENT_LIMIT):
        cursor.add(identity, now=0.0)
    assert len(cursor.sent) == SENT_LIMIT
    assert cursor.floor == 2 * SENT_LIMIT - 1
