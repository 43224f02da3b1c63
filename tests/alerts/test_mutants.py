"""All faults of the conditions and some of the objectives: what `scripts/mutate alerts` does, in the suite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.alerts.mutants import BURN, CONDITION, RECORD, Mutant
from tests.alerts.mutate import EXPLAINED, mutants, portions, survivors
from tests.alerts.play import OBJECTIVES, play_cases, play_live, rules
from tests.alerts.tools import need, run, written

SAMPLE = (
    "DeliveryBurn fast: no floor",
    "DeliveryBurn fast: textbook form",
    "DeliveryBurn fast: limit three times as high",
    "DeliveryBurn creep: silence is recovery",
    "slo:bad:count1h: first value forgotten",
    "slo:bad:count1h: no zero",
    "slo:total:count30m: all values",
)
"""Some faults of the objective `delivery`."""
SOUND = ("slo:bad:ledger5m", "slo:total:count1d", "slo:bad:count1h", "slo:allowed:ratio")
"""Rules of it that are copied without a fault: each stands for those that are played alike, and between them they reach every alert."""


def _named(name, faults):
    return [each for each in mutants(name) if each.name in faults]


def _with(mutant, name):
    """A rule file that is shipped, with a fault."""
    document = rules(name)
    groups = [
        {**group, "rules": [mutant.changed if rule == mutant.original else rule for rule in group["rules"]]}
        for group in document["groups"]
    ]
    return {"groups": groups}


def test_faults_are_noticed_and_what_is_none_is_not():
    found = _named("delivery", SAMPLE)
    assert len(found) == len(SAMPLE)
    sound = [rule for group in rules("delivery")["groups"] for rule in group["rules"] if rule.get("record") in SOUND]
    same = [Mutant(f"no fault in {rule['record']}", rule, rule) for rule in sound]
    assert len(same) == len(SOUND)
    assert survivors(need("promtool")[0], "delivery", [*same[:2], *found, *same[2:]]) == same


@pytest.mark.parametrize("fault", [SAMPLE[0], SAMPLE[4]])
def test_a_fault_is_noticed_in_the_file_that_is_shipped_too(fault):
    [mutant] = _named("delivery", [fault])
    assert "FAILED" in play_live(need("promtool")[0], "delivery", _with(mutant, "delivery"))


def test_a_fault_in_a_condition_is_noticed_in_the_file_that_is_shipped_too():
    [mutant] = _named("conditions", ["QueueStuck: a third of the limit"])
    assert "FAILED" in play_cases(need("promtool")[0], "QueueStuck", _with(mutant, "conditions"))


def test_every_fault_in_a_condition_is_noticed_or_explained():
    promtool = need("promtool")[0]
    with ThreadPoolExecutor(2) as pool:
        alive = list(pool.map(lambda portion: survivors(promtool, *portion), portions("conditions", mutants("conditions"))))
    assert {mutant.name for each in alive for mutant in each} <= set(EXPLAINED)


def test_every_kind_of_fault_has_something_to_change():
    found = {each.name.rpartition(": ")[2] for name in (*OBJECTIVES, "conditions") for each in mutants(name)}
    assert {*BURN, *RECORD, *CONDITION} <= found


def test_a_fault_is_something_that_prometheus_would_load(tmp_path):
    file = tmp_path / "faults.yml"
    every = [each.changed for name in (*OBJECTIVES, "conditions") for each in mutants(name)]
    file.write_text(written({"groups": [{"name": "faults", "rules": every}]}), "utf-8")
    done = run(need("promtool")[0], "check", "rules", "--lint=none", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_explained_exists():
    names = {(name, each.name) for name in (*OBJECTIVES, "conditions") for each in mutants(name)}
    assert set(EXPLAINED) <= {full for name, fault in names for full in (fault, f"{name} {fault}")}
