"""The columns of an outcome: everything that handling did, laid out for one statement."""

from __future__ import annotations

import msgspec

from botstead.core.messages import Button, Event, Kind, Send
from botstead.core.ports import Forward
from botstead.pipeline.outbox import Done, batch_of, encoded_actions
from botstead.pipeline.partitions import partition_of
from tests.unit.pipeline.test_lanes import row


def test_an_empty_outcome_is_only_done():
    batch = batch_of([Done(row=row(5, bot=2, partition=9))])
    assert batch.done == [(9, 2, 5)]
    assert batch.states == batch.replies == batch.forwards == batch.parked == []


def test_replies_keep_their_order_and_their_bodies_in_a_column():
    actions = (Send(text="one", buttons=((Button("b"),),)), Send(text="nul\0"))
    batch = batch_of([Done(row=row(5), actions=actions, began=12.5), Done(row=row(6), actions=(Send(text="three"),))])
    assert [(reply.in_id, reply.body, reply.began) for reply in batch.replies] == [
        (5, "one", 12.5),
        (5, "nul\ufffd", 12.5),
        (6, "three", 0.0),
    ]
    assert msgspec.json.decode(batch.replies[0].payload, type=Send) == actions[0]
    assert "\0" not in batch.replies[1].payload


def test_state_forwards_and_dead_letters_name_their_message():
    forward = Forward("4.boss", (Send(text="look"),))
    batch = batch_of([Done(row=row(5), state="{}", version=3, forwards=(forward,), parked=("failed", "why", 5))])
    assert batch.states == [(5, 3, "{}")]
    (given,) = batch.forwards
    assert (given.in_id, given.channel, given.conversation, given.partition) == (5, 4, "4.boss", partition_of("4.boss"))
    assert batch.parked == [(5, "failed", "why", 5)]


def test_a_forward_reads_back_as_an_event():
    event = msgspec.json.decode(encoded_actions((Send(text="look"),)), type=Event)
    assert event.kind is Kind.SEND
    assert event.actions == (Send(text="look"),)
