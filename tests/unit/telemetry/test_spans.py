"""The spans of a message are one tree with the right parents, and hold nothing that anybody wrote."""

from __future__ import annotations

import typing

import msgspec
from hypothesis import given

from botstead.telemetry import journey as words
from botstead.telemetry.journey import Parked, Reply
from botstead.telemetry.spans import Kind, Span, spans
from botstead.telemetry.tracecontext import span_id
from botstead.telemetry.tracing import CallMade, Try, call_stage
from tests.unit.telemetry.roads import BEGAN, JOURNEYS, TRACE, whole


def test_a_whole_road():
    root, *below = spans(whole(parent="00f067aa0ba902b7"))
    assert (root.trace, root.parent, root.id, root.kind) == (TRACE.hex, "00f067aa0ba902b7", span_id(TRACE, 1), Kind.SERVER)
    assert (root.began, root.ended, root.error) == (BEGAN, BEGAN + 0.1, "")
    assert root.attributes["botstead.outcome"] == "answered"
    handle = next(span for span in below if span.name == "handle")
    assert {span.name: span.parent for span in below} == {
        "ack": root.id,
        "queue": root.id,
        "handle": root.id,
        "call open-meteo": handle.id,
        "commit": root.id,
        "send": root.id,
    }
    call = next(span for span in below if span.name == "call open-meteo")
    assert call.id == span_id(TRACE, 1, call_stage(BEGAN + 0.01), 0)  # what the service was told as its parent
    assert call.attributes == {
        "botstead.service": "open-meteo",
        "botstead.outcome": "ok",
        "http.request.method": "GET",
        "server.address": "api.example.org",
        "http.response.status_code": 200,
    }
    assert next(span for span in below if span.name == "send").id == span_id(TRACE, 2)  # what a webhook was told


def test_one_asked_for_by_another_hangs_below_it():
    (root, *_) = spans(whole(origin=7, asked=True, arrived=None))
    assert (root.parent, root.kind) == (span_id(TRACE, 7), Kind.INTERNAL)


def test_failures_are_marked_with_their_kind():
    gone = Reply(id=2, at=BEGAN + 0.065, outcome="failed", reason="gone", attempts=1, ended=BEGAN + 0.1)
    failed = spans(whole(replies=(gone,)))
    assert (failed[0].error, failed[0].attributes["botstead.outcome"]) == ("gone", "failed")
    assert (failed[-1].error, failed[-1].attributes["error.type"]) == ("gone", "gone")
    parked = spans(whole(replies=(), parked=Parked(reason="crashed", attempts=3, at=BEGAN + 9)))
    assert (parked[0].error, parked[0].ended) == ("crashed", BEGAN + 9)
    replayed = spans(whole(parked=Parked(reason="crashed", attempts=3, at=BEGAN + 9, replayed=BEGAN + 10)))
    assert replayed[0].error == ""


def test_several_attempts_to_send_are_told_apart():
    tries = (Try(2, 1, BEGAN + 1, BEGAN + 2, "later", "unavailable"), Try(2, 2, BEGAN + 3, BEGAN + 4, "sent"))
    reply = Reply(id=2, at=BEGAN + 0.065, tries=tries, outcome="sent", attempts=2, ended=BEGAN + 4)
    *_, send, first, second = spans(whole(replies=(reply,)))
    assert (send.began, send.ended, send.error) == (BEGAN + 1, BEGAN + 4, "")
    assert [(span.parent, span.error) for span in (first, second)] == [(send.id, "unavailable"), (send.id, "")]


@given(JOURNEYS)
def test_every_road_is_one_tree_whose_children_lie_within(journey):
    found = spans(journey)
    if journey.trace is None:
        assert found == []
        return
    by_id = {span.id: span for span in found}
    root = found[0]
    for span in found[1:]:
        parent = by_id[span.parent]
        assert root.began <= span.began <= span.ended <= root.ended, span.name
        assert parent is root or parent.name in {"handle", "send"}
    assert root.parent not in by_id
    assert {span.trace for span in found} == {journey.trace.hex}


def test_there_is_no_place_for_what_people_wrote():
    """A field of free text here is a decision to be taken with this test in hand."""
    free = {
        words.Journey: {"parent", "bot", "channel"},
        words.RunNoted: {"error"},
        words.Reply: {"outcome", "reason"},
        words.Parked: {"reason"},
        words.Waiting: set(),
        CallMade: {"service", "host", "method", "outcome"},
        Try: {"outcome", "reason"},
        Span: {"trace", "id", "parent", "name", "error"},
    }
    for kind, expected in free.items():
        hints = typing.get_type_hints(kind)
        assert {name for name, hint in hints.items() if hint is str} == expected, kind
        assert not {"text", "body", "payload", "detail", "url", "path", "headers", "conversation"} & set(hints), kind


def test_spans_can_be_written_as_json():
    assert msgspec.json.decode(msgspec.json.encode(spans(whole())))[0]["attributes"]["botstead.bot"] == "weather"
