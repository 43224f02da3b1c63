"""Every promise's burn alerts tell some twenty kinds of story right, in every version of promtool that is here."""

from __future__ import annotations

import os

import pytest

from tests.alerts.play import OBJECTIVES, TIERS, ledger_tests, live_tests, play_ledger, play_live, play_months, rules
from tests.alerts.tools import need

ALL = os.environ.get("BOTSTEAD_TEST_ALERTS") == "all"
SAMPLE = ("delivery_bot", "ingress_ack", "api_latency")
"""At the ledger's pace a story takes days; these have every form of events, and targets of their own. The others with
BOTSTEAD_TEST_ALERTS=all."""
PAGING = [
    name
    for name, objective in OBJECTIVES.items()
    if any(tier.severity == "page" for tier in TIERS.of(objective)) or objective.own
]


@pytest.mark.parametrize("name", PAGING)
def test_pages_come_when_they_must_and_end_when_they_may(name):
    for promtool in need("promtool"):
        assert play_live(promtool, name, rules(name)) == ""


@pytest.mark.parametrize("name", OBJECTIVES if ALL else SAMPLE)
def test_all_tiers_follow_the_ledger(name):
    for promtool in need("promtool") if ALL else need("promtool")[:1]:
        assert play_ledger(promtool, name, rules(name)) == ""


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_ledger_is_added_up_over_months(name):
    for promtool in need("promtool"):
        assert play_months(promtool, name, rules(name)) == ""


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_promise_has_stories_of_every_kind_that_can_be_told_of_it(name):
    objective = OBJECTIVES[name]
    tiers = {tier.name for tier in TIERS.of(objective, pages=objective.own is not None)}
    live, ledger = live_tests(name), ledger_tests(name)
    assert (live is not None) is ("fast" in tiers)
    assert live is None or len(live["tests"]) >= 13
    own = int(objective.own is not None)
    assert len(ledger["tests"]) == 6 + own + len(tiers & {"medium", "slow", "creep"}) + ("slow" in tiers)
