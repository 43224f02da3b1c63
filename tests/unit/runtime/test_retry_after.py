"""The header `Retry-After` in every form that servers send."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.runtime.retry_after import retry_after

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Friday, 15-Jan-27 08:01:00 GMT", 60.0),
        ("Fri Jan 15 08:01:00 2027", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1e3", None),
        ("inf", None),
        ("٣", None),
        ("soon", None),
        ("9" * 40, None),
        ("Fri, 99 Jan 2027 08:01:00 GMT", None),
    ],
)
def test_forms(header, seconds):
    assert retry_after(header, now=NOW) == seconds


@given(st.text())
def test_never_raises_and_never_asks_for_less_than_nothing(header):
    seconds = retry_after(header, now=NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
