"""The experiments can fail: a fault in the platform that breaks a promise is noticed by the one that is about it."""

from __future__ import annotations

import shutil

import pytest

from botstead.processes.prove.experiment import experiments
from botstead.processes.prove.promises import PROMISES
from tests.mutations.mutations import MUTATIONS, Edit, Mutation
from tests.mutations.run import PACKAGE, apply, try_out

IN_SUITE = ("dedup-dropped", "signature-unchecked")
"""Quick ones; scripts/mutate tries them all."""
BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return shutil.copytree(PACKAGE, tmp_path_factory.mktemp("copy") / "botstead", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_mutation_still_fits_the_package(package, mutation, tmp_path):
    for edit in mutation.edits:
        target = tmp_path / edit.file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(package / edit.file, target)
    apply(mutation, tmp_path)
    for edit in mutation.edits:
        if edit.file.endswith(".py"):
            compile((tmp_path / edit.file).read_text(), edit.file, "exec")


def test_each_mutation_is_against_a_promise_that_its_experiment_is_about():
    promises = {each.key: each.promises for each in experiments()}
    assert len(BY_NAME) == len(MUTATIONS) >= 12
    for mutation in MUTATIONS:
        assert mutation.promise in PROMISES
        assert mutation.promise in promises[mutation.experiment], mutation.name


def test_a_mutation_that_does_not_fit_is_refused(tmp_path):
    (tmp_path / "a.py").write_text("one two two")
    for text in ("two", "three"):
        with pytest.raises(ValueError, match="not once"):
            apply(Mutation("odd", "P1", "E1", "", (Edit("a.py", text, ""),)), tmp_path)


@pytest.mark.parametrize("name", IN_SUITE)
def test_a_broken_promise_is_noticed(name):
    found = try_out(BY_NAME[name])
    assert found.caught, found
