"""The share that every p99 of a report is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.prove.quantile import quantile


@pytest.mark.parametrize(
    ("values", "share", "found"), [([3.0], 0.99, 3.0), ([1.0, 2.0, 3.0, 4.0], 0.5, 3.0), ([2.0, 1.0], 1.0, 2.0)]
)
def test_it_is_one_of_the_values(values, share, found):
    assert quantile(values, share) == found


def test_without_values_nothing_is_proved():
    assert quantile([]) == math.inf
    assert quantile([], empty=0.0) == 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_no_more_than_the_share_lies_below_it(values, share):
    found = quantile(values, share)
    assert found in values
    assert sum(value < found for value in values) <= share * len(values)
