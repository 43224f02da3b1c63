"""The stream's parser: any cutting of the bytes gives the same events."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.integrations.llm.errors import LlmNonsense
from botstead.integrations.llm.sse import LONGEST, Events


def read(*pieces: bytes) -> list[str]:
    events = Events()
    return [data for piece in pieces for data in events.feed(piece)] + events.end()


def cut(body: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(borders)]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data:a\n\ndata:  b\n\n", ["a", " b"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b": ping\n\ndata: a\n: between\n\n", ["a"]),
        (b"event: x\nid: 7\nretry: 5\ndata: a\n\n", ["a"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
        (b"data: a\rdata: b\r\r", ["a\nb"]),
        (b"data: a", ["a"]),
        (b"data: a\r\n\r", ["a"]),
        (b"data\n\n", [""]),
        (b"\n\n\n", []),
        (b"", []),
        (b"data: \xff\xfe\n\n", ["��"]),
        ("data: «ø»\n\n".encode(), ["«ø»"]),
    ],
)
def test_a_body_has_these_events(body, events):
    assert read(body) == events
    assert read(*(body[place : place + 1] for place in range(len(body)))) == events


LINES = st.lists(
    st.one_of(
        st.text(max_size=12).map(lambda text: "data: " + text.replace("\n", "").replace("\r", "")),
        st.sampled_from(["", "", ": ping", "event: x", "data", "data:", "id: 1", "dat", "\ufeff", "data: æøå🤖"]),
    ),
    max_size=12,
)


@given(
    LINES,
    st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=12, max_size=12),
    st.booleans(),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_any_cutting_gives_the_same_events(lines, ends, bom, places):
    body = ("\ufeff" * bom + "".join(line + end for line, end in zip(lines, ends, strict=False))).encode()
    assert read(*cut(body, places)) == read(body)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_any_bytes_are_read_the_same_however_they_are_cut(body, places):
    assert read(*cut(body, places)) == read(body)


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"data: " + b"x" * 65_530 + b"\n"])
def test_an_event_without_an_end_is_given_up(piece):
    with pytest.raises(LlmNonsense):
        read(*[piece] * (2 * LONGEST // len(piece)))
