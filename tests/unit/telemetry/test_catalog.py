"""What the catalogue promises of itself: series within their budget, names as Prometheus wants them, roles that exist."""

import re

import pytest

from botstead.telemetry.catalog import METRICS, VITALS
from botstead.telemetry.metrics import ROLES, AnyFamily

COUNTS = {
    "bot": 50,
    "channel": 6,
    "integration": 12,
    "cache": 12,
    "metric": sum(1 for family in METRICS.families.values() if not all(family.labels.values())),
    "version": 1,
    "python": 1,
    "digest": 1,
}
"""How many values an open label has in a large appliance."""
TOGETHER = {
    ("bot", "channel"): 75,
    ("bot", "model"): 6,
    ("http_route", "http_request_method", "http_response_status_code"): 80,
    ("db_system_name", "db_operation_name"): 45,
}
"""Label sets where not every combination happens."""
LIBRARIES = 20
"""Series that prometheus_client's own collectors show."""
BUDGET = 5_000


def sets_of(family: AnyFamily) -> int:
    """Return how many label sets there are at most with so many bots."""
    opened = tuple(name for name, closed in family.labels.items() if not closed)
    sets = TOGETHER.get(opened, 0)
    if not sets:
        sets = 1
        for name in opened:
            sets *= COUNTS[name]
    for closed in family.labels.values():
        sets *= len(closed) or 1
    return sets


def series(*roles: str) -> int:
    """Return the most series of a process with these roles."""
    ours = sum(
        min(sets_of(family), family.max_sets) * family.lines
        for family in METRICS.families.values()
        if not set(family.roles).isdisjoint(roles)
    )
    readings = sum(reading.max_sets for reading in VITALS.all.values()) if "scheduler" in roles else 0
    return ours + readings + LIBRARIES


@pytest.mark.parametrize("roles", [*((role,) for role in ROLES), ROLES, ("worker", "scheduler")])
def test_a_process_stays_within_its_budget_of_series(roles: tuple[str, ...]) -> None:
    assert series(*roles) <= BUDGET


@pytest.mark.parametrize("family", METRICS.families.values(), ids=lambda family: family.name)
def test_a_metric_has_room_for_a_large_appliance(family: AnyFamily) -> None:
    """Or its values would fold into `_other` although nothing is wrong."""
    assert sets_of(family) <= family.max_sets


@pytest.mark.parametrize("family", METRICS.families.values(), ids=lambda family: family.name)
def test_a_metric_is_named_as_prometheus_wants(family: AnyFamily) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", family.name)
    assert set(family.roles) <= set(ROLES)
    assert family.help.endswith(".")
    if family.kind == "histogram":
        assert family.name.endswith(("_seconds", "_bytes"))
        assert list(family.buckets) == sorted(set(family.buckets))
    for name, closed in family.labels.items():
        assert re.fullmatch(r"[a-z][a-z_]*", name)
        assert not {"le", "quantile", "job", "instance", "roles"} & {name}
        assert len(set(closed)) == len(closed)


def test_no_two_names_meet_in_openmetrics() -> None:
    """There a counter `x_total` is the family `x`, and takes `x_created` as well."""
    names = [*METRICS.families, *VITALS.all]
    shown = [name.removesuffix("_total") for name in names]
    assert len(set(shown)) == len(shown)
