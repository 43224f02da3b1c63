"""W3C trace context: what is a `traceparent`, what is none, and ids that everybody computes alike."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.telemetry.tracecontext import TraceContext, arrival, chosen, new_trace, parse, span_id, write

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
NOW_NS = 1_790_000_000_123_456_789
TRACES = st.uuids().filter(lambda found: found.int != 0)
PARENTS = st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda text: int(text, 16))


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-00", False),
        (f"00-{TRACE}-{PARENT}-03", True),  # bit 1: the trace id is random
        (f"00-{TRACE}-{PARENT}-fe", False),
        (f" 00-{TRACE}-{PARENT}-01\t", True),
        (f"01-{TRACE}-{PARENT}-01", True),  # a later version is read as this one
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", True),
    ],
)
def test_the_standards_examples_are_read(header, sampled):
    expected = TraceContext(uuid.UUID(hex=TRACE), PARENT, sampled)
    assert parse(header) == expected
    assert parse(header.encode()) == expected


@pytest.mark.parametrize(
    "header",
    [
        None, "", b"", "00", f"00-{TRACE}-{PARENT}", f"00-{TRACE}-{PARENT}-1", f"00-{TRACE}-{PARENT}-01-", f"00-{TRACE}-{PARENT}-01-x",
        f"00-{TRACE}-{PARENT}-01.", f"cc-{TRACE}-{PARENT}-01.what", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[:-1]}-{PARENT}-01", f"00-{TRACE}x-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0x", f"0x-{TRACE}-{PARENT}-01", f"00_{TRACE}_{PARENT}_01", f"00-{TRACE}-{PARENT}-01\n", f"\n00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01", f"00-{TRACE[:-1]}٣-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-{'x' * 600}",
    ],
)  # fmt: skip
def test_what_is_not_one_is_none(header):
    assert parse(header) is None


@given(st.one_of(st.binary(max_size=700), st.text(max_size=700)))
def test_nothing_from_outside_raises(header):
    found = parse(header)
    assert found is None or isinstance(found, TraceContext)


@given(st.data())
def test_a_header_with_one_thing_changed_is_read_right_or_not_at_all(data):
    good = f"00-{TRACE}-{PARENT}-01"
    place = data.draw(st.integers(0, len(good) - 1))
    with_one_changed = good[:place] + data.draw(st.characters(max_codepoint=0x2FF)) + good[place + 1 :]
    found = parse(with_one_changed)
    if found is not None:
        assert write(found.trace, found.parent, sampled=found.sampled)[3:53] == with_one_changed[3:53]


@given(TRACES, PARENTS, st.booleans())
def test_what_is_written_is_read(trace, parent, sampled):
    assert parse(write(trace, parent, sampled=sampled)) == TraceContext(trace, parent, sampled)


@given(st.integers(0, 2**63))
def test_ids_of_ours_are_uuids_that_say_when_they_were_made(now_ns):
    trace = new_trace(now_ns)
    assert (trace.version, trace.variant) == (7, uuid.RFC_4122)
    seconds = now_ns // 1_000_000 / 1000
    assert arrival(trace, acked=seconds + 0.5) == seconds
    assert arrival(trace, acked=seconds - 0.5) == seconds - 0.5  # never after it was kept
    assert arrival(trace, acked=seconds + 61) is None


@given(TRACES)
def test_foreign_ids_tell_no_time(trace):
    found = arrival(trace, acked=NOW_NS / 1e9)
    assert found is None or trace.version == 7


def test_ids_of_ours_differ_and_a_share_of_them_is_chosen():
    traces = {new_trace(NOW_NS) for _ in range(4_000)}
    assert len(traces) == 4_000
    assert all(chosen(trace, 1.0) and not chosen(trace, 0.0) for trace in traces)
    assert 300 < sum(chosen(trace, 0.1) for trace in traces) < 520
    assert all(chosen(trace, 0.5) for trace in traces if chosen(trace, 0.1))


@given(TRACES, st.integers(0, 2**63 - 1), st.text(max_size=9), st.integers(0, 99))
def test_ids_of_spans_follow_from_what_they_are_about(trace, message, stage, number):
    found = span_id(trace, message, stage, number)
    assert found == span_id(uuid.UUID(trace.hex), message, stage, number)
    assert len(found) == 16
    assert int(found, 16)
    others = {
        span_id(trace, message + 1, stage, number),
        span_id(trace, message, stage + "x", number),
        span_id(trace, message, stage, number + 1),
    }
    assert len({found, *others}) == 4
