"""The first thing that is wrong with a channel is named."""

from __future__ import annotations

import pytest

from botstead.core.messages import Health
from botstead.operate.channels import Signs, connected, judge, take_in
from botstead.store.rhythm import Came, Row

FINE = Health(status="ok", detail="Telegram delivers to this installation.", facts={"username": "shop_bot"})
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("provider", "signs", "status", "hop", "words"),
    [
        (FINE, Signs(), "ok", None, "delivers to this"),
        (Health(status="failing", detail="revoked.", facts={"reason": "revoked"}), Signs(), "failing", "token", "revoked"),
        (Health(status="failing", detail="Another program took this bot."), Signs(missing=99), "failing", "provider", "Another"),
        (Health(status="unknown", detail="could not be asked"), Signs(), "unknown", None, "could not"),
        (FINE, Signs(rejected={"signature": 20, "replay": 1}), "degraded", "signature", "20 deliveries"),
        (FINE, Signs(rejected={"signature": 19, "replay": 500}), "ok", None, "delivers"),
        (FINE, Signs(last=NOW - 3 * 3600, missing=14.4), "degraded", "sender", "for 3 hours, in which 14 messages"),
        (FINE, Signs(last=NOW - 3 * 3600, missing=9.9), "ok", None, "delivers"),
    ],
)
def test_the_hop_is_named(provider, signs, status, hop, words):
    found = judge(provider, signs, now=NOW)
    assert (found.status, found.facts.get("hop")) == (status, hop)
    assert words in found.detail
    assert found.facts.get("username") == provider.facts.get("username")


def test_who_could_not_be_asked_is_neither_up_nor_down():
    assert [connected(Health(status=status)) for status in ("ok", "degraded", "failing", "unknown")] == [1, 0, 0, None]


def test_what_came_is_taken_in():
    row = Row(channel=1, looked_at=NOW)
    came = [Came(channel=1, hour=hour, events=hour, last_id=hour, last_at=NOW + hour) for hour in (3, 5, 4)]
    take_in(row, came, now=NOW + 15)
    assert (row.last_id, row.last_at, row.looked_at, row.events[5]) == (5, NOW + 5, NOW + 15, 5)
    assert sum(row.seconds) == pytest.approx(15)
