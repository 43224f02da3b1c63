"""Settings, secrets and their rotation as pure values; timelines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import Invalid
from botstead.store.records import PREVIOUS, current, from_json, merged, rotated, to_json
from botstead.store.timeline import inbound, outbound

NAMES = st.sampled_from(["token", "hook_secret"])
SECRETS = st.dictionaries(NAMES, st.text(max_size=3))


@given(SECRETS, st.lists(SECRETS, max_size=5))
def test_a_rotated_secret_keeps_exactly_the_one_before(first, later):
    kept = dict(first)
    for new in later:
        old, kept = kept, rotated(kept, new)
        assert current(kept) == new
        for name, value in new.items():
            before = old.get(name)
            if before is not None and before != value:
                assert kept[name + PREVIOUS] == before
        assert not [name for name in kept if name.endswith(PREVIOUS * 2)]


def test_merging_removes_what_is_null():
    assert merged({"a": 1, "b": 2}, {"b": None, "c": 3}) == {"a": 1, "c": 3}


@given(st.recursive(st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_nul_is_refused_and_nothing_else(value):
    def holds_nul(part):
        if isinstance(part, dict):
            return any(holds_nul(item) for item in (*part, *part.values()))
        return any(map(holds_nul, part)) if isinstance(part, list) else "\x00" in (part or "")

    if holds_nul(value):
        with pytest.raises(Invalid):
            to_json(value)
    else:
        assert from_json(to_json(value)) == value


def test_an_escaped_backslash_is_no_nul():
    assert from_json(to_json("\\u0000")) == "\\u0000"


NOW = datetime(2030, 1, 1, tzinfo=UTC)
ROW = {
    "direction": 0,
    "at": NOW,
    "parked_at": None,
    "in_inbox": False,
    "in_outbox": False,
    "outcome": None,
    "began": None,
    "asked_at": None,
}


def test_a_message_that_got_no_answer_was_handled():
    assert [step.what for step in inbound(ROW, [])] == ["received", "handled"]


def test_an_answer_tells_when_handling_began():
    answer = {"id": 9, "began": NOW, "at": NOW, "outcome": "sent", "ended_at": NOW}
    assert [step.what for step in inbound(ROW, [answer])] == ["received", "handling_began", "answered", "sent"]


def test_a_replayed_send_waits_again():
    parked = {"parked_at": NOW, "reason": "gone", "error": "left", "letter_attempts": 1, "replayed_at": NOW}
    waiting = {"in_outbox": True, "unknown": True, "outbox_until": None, "outbox_attempts": 0}
    steps = outbound({**ROW, "direction": 1, "reply_to": 4, "asked_at": NOW, "began": NOW, **parked, **waiting})
    assert [step.what for step in steps] == ["received", "handling_began", "said", "dead_letter", "replayed", "waiting_in_outbox"]
    assert "may have arrived" in steps[-1].detail
