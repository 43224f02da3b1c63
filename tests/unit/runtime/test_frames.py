"""Frames between processes: whatever comes, it is a frame, the end, or `BrokenFrame`."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.runtime import frames

NUMBERS = st.integers(0, 2**63 - 1)
FRAMES = st.one_of(
    st.just(frames.Ready()),
    st.builds(frames.Broken, st.text()),
    st.builds(frames.Request, NUMBERS, st.floats(0, 1e6), st.binary()),
    st.builds(frames.Cancel, NUMBERS),
    st.builds(frames.Result, NUMBERS, st.binary()),
    st.builds(frames.Failure, NUMBERS, st.text(), st.text(), st.none() | st.floats(0, 1e6)),
)


def read_all(data: bytes, cuts: list[int] = ()) -> list[frames.Frame | None]:
    """Read everything, as it arrives in pieces."""

    async def story():
        reader = asyncio.StreamReader()
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            reader.feed_data(data[start:end])
        reader.feed_eof()
        found = []
        while (frame := await frames.read(reader)) is not None:
            found.append(frame)
        return found

    return asyncio.run(story())


@given(st.lists(FRAMES, max_size=6), st.data())
def test_frames_arrive_as_they_were_sent_however_they_are_cut(sent, data):
    stream = b"".join(map(frames.encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    assert read_all(stream, cuts) == sent


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda body: len(body).to_bytes(4, "big") + body))
def test_only_broken_frame_escapes(data):
    try:
        found = read_all(data)
    except frames.BrokenFrame:
        return
    assert b"".join(map(frames.encode, found)) or data == b""


@given(FRAMES, st.data())
def test_a_frame_that_is_cut_off_is_broken(frame, data):
    stream = frames.encode(frame)
    end = data.draw(st.integers(1, len(stream) - 1))
    with pytest.raises(frames.BrokenFrame):
        read_all(stream[:end])


def test_a_frame_has_a_largest_size_at_both_ends():
    fits = frames.Result(1, b"x" * (frames.LIMIT - 32))
    assert read_all(frames.encode(fits)) == [fits]
    with pytest.raises(frames.FrameTooLarge, match="at most 4194304"):
        frames.encode(frames.Result(1, b"x" * frames.LIMIT))
    with pytest.raises(frames.BrokenFrame, match="announced"):
        read_all((frames.LIMIT + 1).to_bytes(4, "big"))
