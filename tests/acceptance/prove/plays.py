"""Plays one experiment at the scale of a test suite."""

from __future__ import annotations

import pytest
import uvloop

from botstead.processes.prove.experiment import experiments
from botstead.processes.prove.play import Result, play

SEED = 1_234
"""Another one tells another story; the verdict has to be the same."""


def holds(key: str, *, seed: int = SEED) -> Result:
    """Play it; every figure has to be as promised. Skipped where this machine cannot do it."""
    chosen = next(each for each in experiments() if each.key == key)
    result = uvloop.run(play(chosen, seed=seed, scale="small"))
    if result.outcome == "skipped":
        pytest.skip(result.why)
    assert result.outcome == "holds", result.story()
    assert {figure.promise for figure in result.figures} >= set(chosen.promises), result.story()
    print(result.story())
    return result
