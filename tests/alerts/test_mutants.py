"""Some of the faults of `scripts/mutate alerts`, in the suite: each must be noticed."""

from __future__ import annotations

import pytest

from tests.alerts.mutants import BURN, CONDITION, RECORD
from tests.alerts.mutate import EXPLAINED, FORMS, mutants, noticed
from tests.alerts.play import OBJECTIVES
from tests.alerts.tools import need

SAMPLE = {
    "delivery": (
        "DeliveryBurn fast: no floor",
        "DeliveryBurn fast: textbook form",
        "DeliveryBurn fast: limit three times as high",
        "slo:bad:count1h: first value forgotten",
        "slo:bad:count1h: no zero",
    ),
    "conditions": (
        "QueueStuck: at once",
        "QueueStuck: a third of the limit",
        "ApiDown: no default",
        "SignatureRejects: only one of both",
        "CpuSteal: window three times as long",
        "DiskFull4h: a third of the window",
    ),
}


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name, faults in SAMPLE.items() for fault in faults])
def test_a_fault_is_noticed(name, fault):
    promtool = need("promtool")[0]
    (mutant,) = [each for each in mutants(name) if each.name == fault]
    assert noticed(promtool, mutant, name)


def test_every_kind_of_fault_has_something_to_change():
    found = {each.name.rpartition(": ")[2] for name in (*FORMS, "conditions") for each in mutants(name)}
    assert {*BURN, *RECORD, *CONDITION} <= found


def test_what_is_explained_exists():
    names = {each.name for name in (*OBJECTIVES, "conditions") for each in mutants(name)}
    assert set(EXPLAINED) <= names
