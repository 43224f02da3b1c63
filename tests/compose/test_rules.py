"""The files that are shipped keep every rule, with every edge, size and profile; and so would those of an operator be told."""

import json

import pytest

from botstead.processes.composed.lint import lint, read
from botstead.processes.composed.lint.storage import unguarded
from tests.compose.rendered import EDGES, SIZES, TREE, rendered

PROFILES = [
    None,
    "",
    "scheduler",
    "scheduler,scale",
    "grafana",
    "traces",
    "logs",
    "exporters",
    "scheduler,scale,grafana,traces,logs,exporters",
]
"""None: those that the size comes with."""


def found(**which):
    return [f"{each.rule}: {each.service}: {each.detail}" for each in lint(read(json.dumps(rendered(**which)).encode()))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("edge", EDGES)
def test_every_edge_and_size_keeps_every_rule(edge, size):
    assert found(edge=edge, size=size) == []


@pytest.mark.parametrize("profiles", PROFILES)
def test_every_profile_keeps_every_rule(profiles):
    assert found(profiles=profiles) == []


def test_every_variable_says_that_it_is_missing():
    files = [TREE / "compose.yaml", *TREE.glob("compose/**/*.yaml")]
    assert len(files) > 5
    assert [*unguarded({str(file.relative_to(TREE)): file.read_text() for file in files})] == []


def test_the_sizes_differ_in_figures_only():
    names = [
        {line.partition("=")[0] for line in (TREE / f"compose/sizes/{size}.env").read_text().splitlines() if line[:1] not in "# "}
        for size in SIZES
    ]
    assert all(each == names[0] for each in names)
