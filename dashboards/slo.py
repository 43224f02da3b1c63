"""PromQL on the series that the rules of `alerts/` record for each objective."""

from __future__ import annotations

from typing import Final

from dashboards.limits import TIERS

SPENT: Final = tuple(round(float(tier.factor(TIERS.period)), 6) for tier in TIERS.tiers)
"""How many times faster than evenly a budget burns when each tier fires, the most urgent first: 14.4, 6, 3, 1 or so."""


def bad_share(slo: str, window: str) -> str:
    """Return the share of bad events of an objective; nothing where there were none at all.

    Args:
        slo: its name.
        window: one that the rules record.
    """
    where = f'{{slo="{slo}"}}'
    return f"sum(slo:bad:count{window}{where}) / (sum(slo:total:count{window}{where}) > 0)"


def burn(window: str, *, where: str = "") -> str:
    """Return how many times faster than evenly each budget burns.

    Args:
        window: one that the rules record.
        where: matchers.
    """
    chosen = f"{{{where}}}" if where else ""
    return f"slo:bad:count{window}{chosen} / (slo:total:count{window}{chosen} > 0) / slo:allowed:ratio{chosen}"


def spaced(duration: str) -> str:
    """Return a duration as people write it: `1 h`.

    Args:
        duration: `1h`.
    """
    return f"{duration[:-1]} {duration[-1]}"
