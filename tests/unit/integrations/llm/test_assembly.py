"""From chunks to an answer: what is documented, and what servers do instead."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.integrations.llm.assembly import Assembly, StreamFailed
from botstead.integrations.llm.errors import LlmNonsense
from botstead.integrations.llm.models import ToolCall, Usage
from tests.doubles.llm import call, chunk, usage


def assembled(*chunks: dict) -> Assembly:
    assembly = Assembly()
    for one in chunks:
        assembly.add(json.dumps(one))
    return assembly


def fragments(*fragments: dict) -> Assembly:
    return assembled(*(chunk({"tool_calls": [fragment]}) for fragment in fragments))


def made(**function: object) -> dict:
    more = {name: function.pop(name) for name in ("id", "index") if name in function}
    return {**more, "type": "function", "function": function}


def test_text_grows_and_its_pieces_add_up():
    assembly = Assembly()
    pieces = [assembly.add(json.dumps(chunk({"content": text}))) for text in ("The", " sea", "")]
    assert pieces == ["The", " sea", ""]
    assert assembly.text == "The sea"


def test_a_documented_call_comes_in_fragments():
    assembly = fragments(
        made(index=0, id="a", name="weather", arguments=""),
        made(index=0, arguments='{"city":'),
        made(index=0, arguments='"Oslo"}'),
        made(index=1, id="b", name="time", arguments="{}"),
    )
    assert assembly.calls == (ToolCall("a", "weather", '{"city":"Oslo"}'), ToolCall("b", "time", "{}"))


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([made(index=0, id="a", name="f", arguments='{"x":1}'), made(index=0, id="b", name="g", arguments="{}")], id="index 0"),
        pytest.param([made(id="a", name="f", arguments='{"x":1}'), made(id="b", name="g", arguments="{}")], id="no index"),
        pytest.param([made(id="a", name="f", arguments={"x": 1}), made(id="b", name="g", arguments={})], id="objects"),
        pytest.param(
            [made(index=0, id="a", name="f", arguments='{"x"'), made(index=0, id="a", name="f", arguments=":1}"), made(index=0, id="b", name="g")],
            id="id and name repeated",
        ),
        pytest.param(
            [made(id="a", name="f", arguments='{"x"'), made(arguments=":1}"), made(id="b", name="g", arguments="{}")],
            id="no index, and fragments",
        ),
        pytest.param(
            [
                made(index=0, id="a", name="f", arguments='{"x"'),
                made(index=1, id="b", name="g", arguments="{}"),
                made(index=0, arguments=":1}"),
            ],
            id="interleaved",
        ),
    ],
)  # fmt: skip
def test_two_calls_are_told_apart(sent):
    calls = fragments(*sent).calls
    assert [(one.id, one.name, json.loads(one.arguments)) for one in calls] == [("a", "f", {"x": 1}), ("b", "g", {})]


@pytest.mark.parametrize("index", [{}, {"index": 0}])
def test_calls_without_ids_get_numbers(index):
    calls = fragments(made(**index, name="f", arguments="{}"), made(**index, name="f", arguments="{}")).calls
    assert [(one.id, one.name) for one in calls] == [("call_1", "f"), ("call_2", "f")]


@pytest.mark.parametrize("finish", ["tool_calls", "stop", "", None])
def test_calls_are_there_whatever_the_finish_reason_says(finish):
    assembly = assembled(chunk(call("f", "{}"), finish=finish))
    assert assembly.calls == (ToolCall("call_a", "f", "{}"),)


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([chunk({"content": "x"}), chunk(usage=usage(11, 6))], Usage(11, 6)),
        ([chunk({"content": "x"}, usage=usage(11, 1)), chunk({"content": "y"}, usage=usage(11, 2))], Usage(11, 2)),
        ([chunk({"content": "x"}), chunk({}, finish="stop", usage=usage(9, 1))], Usage(9, 1)),
        ([chunk({"content": "x"}, usage=usage(0, 0))], None),
        ([chunk({"content": "x"}, usage={"prompt_tokens": -4, "completion_tokens": "7"})], None),
        ([chunk({"content": "x"})], None),
    ],
)
def test_usage_is_taken_from_wherever_it_stands(chunks, found):
    assert assembled(*chunks).usage == found


def test_reasoning_and_other_choices_are_passed_over():
    other = {**chunk({"content": "no"}), "choices": [{"index": 1, "delta": {"content": "no"}}]}
    assembly = assembled(chunk({"reasoning_content": "hm", "reasoning": "hm", "content": None}), other, chunk({"content": "yes"}))
    assert assembly.text == "yes"


def test_content_may_be_parts_and_an_answer_may_be_whole():
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "output_text", "text": "b"}, "c"]
    assert assembled(chunk({"content": parts})).text == "ab"
    whole = {"choices": [{"message": {"content": "all", **call("f", "{}")}, "finish_reason": "stop"}], "usage": usage(3, 4)}
    assembly = assembled(whole)
    assert (assembly.text, assembly.calls[0].name, assembly.usage, assembly.finish) == ("all", "f", Usage(3, 4), "stop")


def test_an_error_in_the_stream_is_told_without_its_words():
    with pytest.raises(StreamFailed, match=r"^server_error$"):
        assembled({"error": {"message": "secret words of a person", "code": "server_error"}})


def test_several_chunks_may_share_an_event():
    assembly = Assembly()
    lines = "\n".join(json.dumps(chunk({"content": text})) for text in "ab")
    assert assembly.add(f"{lines}\n[DONE]") == "ab"


@pytest.mark.parametrize("data", ["", "no", "[1]", '"x"', "null", "{", "[" * 5_000, "a\nb"])
def test_what_is_no_chunk_is_said_so(data):
    with pytest.raises(LlmNonsense):
        Assembly().add(data)


def test_an_endless_answer_is_given_up():
    with pytest.raises(LlmNonsense):
        assembled(*[chunk({"content": "x" * 500_000})] * 9)
    many = [chunk(call("f", "{}", identity=str(number), index=number)) for number in range(100)]
    with pytest.raises(LlmNonsense):
        assembled(*many)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["index", "id", "function", "name", "arguments", "content", "tool_calls", "delta", "choices", "message", "usage", "error", "finish_reason"]), inner, max_size=4), max_leaves=20)  # fmt: skip


@given(st.lists(JSON, max_size=5))
def test_no_json_at_all_breaks_it(values):
    assembly = Assembly()
    for value in values:
        try:
            assembly.add(json.dumps({"choices": [{"delta": value}]}))
            assembly.add(json.dumps(value))
        except (LlmNonsense, StreamFailed):
            pass
    assert all(isinstance(one.arguments, str) and one.name for one in assembly.calls)


@given(
    st.lists(st.tuples(st.sampled_from("fgh"), st.dictionaries(st.text(max_size=4), st.integers(), max_size=3)), max_size=4),
    st.data(),
)
def test_however_arguments_are_cut_they_add_up(wanted, data):
    sent = []
    for index, (name, arguments) in enumerate(wanted):
        text = json.dumps(arguments)
        sent.append(made(index=index, id=f"id{index}", name=name, arguments=""))
        while text:
            size = data.draw(st.integers(1, len(text)))
            sent.append(made(index=index, arguments=text[:size]))
            text = text[size:]
    assert [(one.name, json.loads(one.arguments)) for one in fragments(*sent).calls] == wanted
