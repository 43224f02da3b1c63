"""Whatever stops the canary's message is named."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import EgressBroken, EgressRefused, EgressTimeout, EgressUnsent
from botstead.core.messages import Response
from botstead.operate.canary import NAME, STRIDE, conversations_of, judge_answer, judge_error, judge_trail
from botstead.pipeline.partitions import PARTITIONS, conversation_key, partition_of
from botstead.store.canary import Trail
from botstead.telemetry.catalog import CANARY_PROBES

WAITING = Trail(
    id=1, waits=True, attempts=0, error=None, worker="worker-a", alive=True, answer=None, unsent=False, outcome=None, parked=""
)


def but(**changed) -> Trail:
    return msgspec.structs.replace(WAITING, **changed)


@pytest.mark.parametrize(
    ("trail", "outcome", "words"),
    [
        (None, "api", "not in the database"),
        (WAITING, "worker", "belongs to worker-a, and has not handled"),
        (but(alive=False), "worker", "whose lease has run out"),
        (but(worker=None, alive=False), "worker", "Partition 9 belongs to no worker"),
        (but(attempts=2, error="ValueError"), "handler", "failed 2 times: ValueError"),
        (but(waits=False, parked="failed", error="boom"), "handler", "given up (failed): boom"),
        (but(waits=False), "handler", "no answer came out"),
        (but(waits=False, answer=2, unsent=True), "outbox", "worker-a has not sent it"),
        (but(waits=False, answer=2), "delivery", "nothing says"),
        (but(waits=False, answer=2, outcome="failed"), "delivery", "failed"),
        (but(waits=False, answer=2, outcome="sent"), "ok", "whole road"),
    ],
)
def test_the_hop_that_broke(trail, outcome, words):
    verdict = judge_trail(trail, partition=9)
    assert verdict.outcome == outcome
    assert words in verdict.detail


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (503, b'{"status":503,"code":"unavailable","detail":"The database cannot answer now."}', "database"),
        (503, b'{"status":503,"code":"unavailable"}', "api"),
        (502, b'{"status":502}', "api"),
        (504, b"", "api"),
        (401, b'{"detail":"The delivery is not signed for this channel."}', "api"),
        (404, b"\xff", "api"),
        (500, b"[1]", "api"),
    ],
)
def test_an_answer_that_is_no_acknowledgement(status, body, outcome):
    assert judge_answer(Response(status=status, body=body)).outcome == outcome


def test_an_acknowledgement_blames_nobody():
    assert judge_answer(Response(status=200, body=b"{}")) is None


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(EgressUnsent("x"), "edge"), (EgressRefused("x"), "edge"), (EgressTimeout("x"), "api"), (EgressBroken("x"), "api")],
)
def test_no_answer_at_all(error, outcome):
    assert judge_error(error).outcome == outcome


@given(st.integers(1, 10**8))
def test_one_conversation_in_each_partition(channel):
    found = conversations_of(channel)
    assert [partition_of(conversation_key(channel, external)) for external in found] == list(range(PARTITIONS))


def test_every_partition_gets_its_turn():
    assert {turn * STRIDE % PARTITIONS for turn in range(PARTITIONS)} == set(range(PARTITIONS))


def test_every_outcome_is_in_the_catalogue():
    assert {"ok", "edge", "api", "database", "worker", "handler", "outbox", "delivery"} == set(CANARY_PROBES.labels["outcome"])
    assert NAME == "canary"
