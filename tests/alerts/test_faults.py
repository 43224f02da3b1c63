"""Each alert has a fault that must make it fire, and each fault an alert."""

from __future__ import annotations

import pytest

from botstead.core.errors import ConfigurationError
from botstead.operate.alerting.faults import load_faults
from tests.alerts.play import CONDITIONS, OBJECTIVES

FAULTS = load_faults().faults
PAGES = {name for name, condition in CONDITIONS.items() if condition.severity == "page"}
BURNS = {objective.alert for objective in OBJECTIVES.values()}


def test_each_alert_has_a_fault():
    assert {fault.alert for fault in FAULTS} == {*CONDITIONS, *BURNS}


def test_what_comes_besides_is_a_page_that_exists():
    assert {alert for fault in FAULTS for alert in fault.also} <= PAGES | BURNS | {"PostgresLongTransaction"}


def test_faults_are_told_apart_by_name():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_enough_of_them_are_done_to_a_running_appliance():
    assert sum(bool(fault.how and not fault.by_hand) for fault in FAULTS) >= 15


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: x, alert: A}", "neither how nor by_hand"),
        ("- {name: x, alert: A, how: y}", "needs within_seconds"),
        ("- {name: x, alert: A, how: y, within: 3}", "unknown field"),
    ],
)
def test_a_fault_that_nobody_can_do_is_refused(tmp_path, text, said):
    path = tmp_path / "faults.yml"
    path.write_text(f"scale: 1/60\nfaults:\n  {text}\n")
    with pytest.raises(ConfigurationError, match=said):
        load_faults(path)
