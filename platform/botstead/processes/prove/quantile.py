"""What so many do not exceed. Every p99 of a report is this one."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float = 0.99, *, empty: float = math.inf) -> float:
    """Return the smallest value that more than a share of all do not exceed.

    Args:
        values: in any order.
        share: from 0 to 1.
        empty: what to return without values: 0 for a baseline, so that a limit made from it stays the strictest.
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else empty
