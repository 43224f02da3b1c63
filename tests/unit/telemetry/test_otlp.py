"""What our writer of OTLP writes is what the official messages read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from botstead.telemetry import otlp
from botstead.telemetry.spans import Kind, Span
from tests.doubles.collector import read

HEX = "0123456789abcdef"
WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
NAMES = WORDS.filter(bool)
SPANS = st.builds(
    Span,
    trace=st.text(HEX, min_size=32, max_size=32).filter(lambda text: int(text, 16)),
    id=st.text(HEX, min_size=16, max_size=16).filter(lambda text: int(text, 16)),
    parent=st.one_of(st.just(""), st.text(HEX, min_size=16, max_size=16)),
    name=WORDS.filter(bool),
    kind=st.sampled_from(Kind),
    began=st.floats(1, 1e9),
    ended=st.floats(1e9, 4e9),
    attributes=st.dictionaries(NAMES, st.one_of(WORDS, st.integers(-(2**63), 2**63 - 1)), max_size=6),
    error=WORDS,
)


@given(st.lists(SPANS, max_size=5), st.dictionaries(NAMES, WORDS, max_size=3))
def test_written_spans_are_read_by_the_official_messages(spans, resource):
    found = read(otlp.request(spans, resource=resource, version="1.2"), otlp.MEDIA_TYPE)
    assert len(found) == len(spans)
    for told, span in zip(found, spans, strict=True):
        assert (told.trace, told.id, told.parent, told.name, told.kind) == (
            span.trace,
            span.id,
            span.parent,
            span.name,
            span.kind,
        )
        assert (told.failed, told.problem, told.attributes) == (bool(span.error), span.error, span.attributes)
        assert told.resource == resource
        assert abs(told.began / 1e9 - span.began) <= 1e-6
        assert abs(told.ended / 1e9 - span.ended) <= 1e-6


@given(st.integers(0, 2**63 - 1), WORDS)
def test_what_the_collector_refused_is_read(count, words):
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = count
    answer.partial_success.error_message = words
    assert otlp.refused(answer.SerializeToString()) == count
    assert otlp.refused(ExportTraceServiceResponse().SerializeToString()) == 0


@given(st.binary(max_size=60))
def test_no_answer_is_too_odd_to_read(answer):
    assert 0 <= otlp.refused(answer) < 2**63
