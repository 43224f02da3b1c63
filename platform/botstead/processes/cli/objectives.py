"""`botstead objectives`: is what was promised kept, and for how long still?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import click

from botstead.operate.objectives.explain import percent, span
from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output

COLUMNS = ("objective", "of", "status", "target", "now", "budget_left", "burn", "gone_in", "firing")
TIER_COLUMNS = ("of", "tier", "severity", "window", "bad", "total", "burn", "limit", "fires")


@click.command()
@click.argument("name", required=False)
@with_api
def objectives(api: Client, out: Output, *, name: str | None) -> None:
    """Show how promises stand; with NAME, one of them with each of its budgets."""
    if name is None:
        rows = api.items("/v1/objectives", limit=200)
        found = list(rows)
        if out.as_json:
            out.done("", found)
            return
        out.table((_row(one, one["worst"], several=one["budgets"] > 1) for one in found), COLUMNS, empty="There is no objective.")
        for one in found:
            if one["worst"]["status"] in {"burning", "broken"}:
                out.done(f"{one['name']}: {one['worst']['explanation']}")
        return
    one = api.call("GET", address("v1", "objectives", name))
    if out.as_json:
        out.done("", one)
        return
    out.record(
        {"promise": one["promise"], "target": _percent(one["target"] / 100), "period": one["period"], "impact": one["impact"]}
    )
    click.echo()
    out.table((_row(one, standing) for standing in one["standings"]), COLUMNS[1:], empty="")
    click.echo()
    out.table(_tiers(one["standings"]), TIER_COLUMNS, empty="Nothing has happened yet.")
    click.echo()
    for standing in one["standings"][:5]:
        out.done(f"{_labels(standing) or one['name']}: {standing['explanation']}")


def _row(one: Mapping[str, Any], standing: Mapping[str, Any], *, several: bool = False) -> dict[str, Any]:
    labels = _labels(standing)
    worst = f"{labels} (worst of {one['budgets']})" if several else labels
    gone = standing["exhausted_in"]
    return {
        "objective": one["name"],
        "of": worst,
        "status": standing["status"],
        "target": _percent(standing["target"] / 100),
        "now": None if standing["good_ratio"] is None else _percent(standing["good_ratio"]),
        "budget_left": f"{standing['left']:,} of {standing['allowed']:,} ({standing['left_ratio']:.0%})"
        if standing["total"]
        else None,
        "burn": f"{standing['burn']:.3g} x" if standing["total"] else None,
        "gone_in": None if gone is None else span(gone),
        "firing": standing["firing"],
    }


def _tiers(standings: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for standing in standings:
        for tier in standing["tiers"] if standing["total"] else ():
            yield {
                "of": _labels(standing),
                "tier": tier["name"],
                "severity": tier["severity"],
                "window": tier["long"],
                "bad": tier["bad"],
                "total": tier["total"],
                "burn": f"{tier['burn']:.3g} x",
                "limit": f"{tier['limit']:.3g} x",
                "fires": tier["fires"],
            }


def _labels(standing: Mapping[str, Any]) -> str:
    return ", ".join(standing["labels"].values())


def _percent(ratio: float) -> str:
    return percent(Fraction(str(ratio)))
