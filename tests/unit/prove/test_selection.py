"""What `botstead prove` plays: which experiments, at which scale, and what it says about a name that it does not know."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from botstead.processes.cli.prove import planned, prove, selected
from botstead.processes.prove.experiment import Experiment, experiments
from botstead.processes.prove.promises import PROMISES


async def _nothing(_stage):
    """Do nothing."""


MINUTES = {"E1": 8, "E2": 3, "E13": 1}
KNOWN = [Experiment(key=key, title=key, promises=("P1",), minutes=long, run=_nothing) for key, long in MINUTES.items()]


def test_each_experiment_is_about_promises_that_there_are():
    found = experiments()
    assert len({each.key for each in found}) == len(found)
    for each in found:
        assert each.promises, each.key
        assert set(each.promises) <= PROMISES.keys(), each.key
        assert each.title
        assert each.minutes > 0


def test_experiments_are_ordered_by_their_numbers():
    assert [each.key for each in selected(KNOWN, ["E13, e2", "E1"])] == ["E1", "E2", "E13"]
    assert selected(KNOWN, []) == KNOWN


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(click.UsageError, match=r"There is no experiment E3: did you mean .*E1"):
        selected(KNOWN, ["E3"])


@pytest.mark.parametrize(
    ("minutes", "scale", "played", "left"),
    [
        (None, None, "small small small", 0),
        (None, "full", "full full full", 0),
        (60.0, None, "full full full", 0),
        (5.0, None, "small full full", 0),
        (2.0, None, "small small full", 0),
        (1.0, None, "small small", 1),
        (0.1, None, "small", 2),
    ],
)
def test_what_does_not_fit_is_played_small_or_left_out(minutes, scale, played, left):
    plan = planned(KNOWN, scale=scale, minutes=minutes)
    assert " ".join(chosen for _, chosen in plan.played) == played
    assert len(plan.left) == left


def test_the_list_is_for_people_and_for_programs():
    listed = CliRunner().invoke(prove, ["--list", "--only", "E1,E3", "--json"])
    assert [each["key"] for each in json.loads(listed.output)] == ["E1", "E3"]
    assert "taken over" in CliRunner().invoke(prove, ["--list"]).output


@pytest.mark.parametrize("options", [["--only", "E999"], ["--scale", "huge"], ["--minutes", "0"], ["--unknown"]])
def test_a_mistake_in_the_options_is_told_from_a_promise_that_does_not_hold(options):
    assert CliRunner().invoke(prove, options).exit_code == 2
