"""Every condition fires, stays quiet and ends as its cases say, in every version of promtool that is here."""

from __future__ import annotations

import itertools

import pytest

from tests.alerts.cases import CASES
from tests.alerts.play import CONDITIONS, play_cases, rules
from tests.alerts.tools import need


@pytest.mark.parametrize("alert", CONDITIONS)
def test_a_condition_does_what_its_cases_say(alert):
    for promtool in need("promtool"):
        assert play_cases(promtool, alert, rules("conditions")) == ""


@pytest.mark.parametrize("alert", CONDITIONS)
def test_a_condition_is_seen_to_fire_to_stay_quiet_and_to_end(alert):
    cases = [case for case in CASES if case.alert == alert]
    moments = [bool(fires) for case in cases for fires in case.seen.values()]
    assert True in moments
    if alert == "Watchdog":
        return
    assert False in moments
    ends = [case for case in cases if _ends(list(case.seen.values()))]
    assert ends, "no case ends"


def _ends(moments: list[list[object]]) -> bool:
    """Whether something fires, and nothing at a later moment."""
    return any(now and not later for now, later in itertools.pairwise(moments))
