"""The suite that each edge has to pass. BOTSTEAD_TEST_EDGES=full plays it whole, one edge after the other, and prints figures."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from tests.edges import attacks, doors, harm
from tests.edges.edges import KINDS, Site, program, running
from tests.edges.load import Figures
from tests.edges.table import table

FULL = os.environ.get("BOTSTEAD_TEST_EDGES") == "full"
INSTALLED = [kind for kind in KINDS if program(kind)]
Play = Callable[[Site, Figures], Awaitable[list[str]]]


def alone(play: Callable[[Site], Awaitable[list[str]]]) -> Play:
    """Return a play that measures nothing."""
    return lambda site, _: play(site)


PLAYS: dict[str, Play] = {
    "unknown names are answered 421": alone(doors.unknown_names),
    "nobody says who he is": alone(doors.forged_addresses),
    "Grafana asks for the operator's login": alone(doors.grafana),
    "Grafana's live boards get through": alone(doors.websocket),
    "metrics are read inside only": alone(doors.metrics),
    "the inner door takes deliveries only": alone(doors.door),
    "chunks that are none are refused": alone(attacks.malformed_chunks),
    "what is too large is refused early": alone(attacks.oversized),
    "no request hides in another": alone(attacks.smuggled),
    "a reload ends no stream": alone(harm.reloaded),
    "deliveries are repeated, orders are not": alone(harm.fatal_requests),
    "a restart loses no request": harm.rolling_restart if FULL else partial(harm.rolling_restart, slots=("api-b",)),
}
"""What to play, in this order."""
LONG: dict[str, Play] = {
    "a slot that is not ready gets nothing": alone(harm.unready),
    "a kill costs what was under way": harm.killed,
    "a slot that stands still holds nobody up": harm.stopped,
    "slow clients hold nobody up": partial(attacks.slow_clients, many=100, patience=12),
    "strangers have bounds": alone(attacks.strangers),
}
ALL = {**PLAYS, **LONG} if FULL else PLAYS


async def play(kind: str, folder, found: dict[tuple[str, str], list[str]]) -> Figures:
    """Play all with one edge."""
    figures = Figures()
    async with running(kind, folder / kind) as site:
        figures.idle_mb = site.edge.memory()
        for name, one in ALL.items():
            try:
                async with asyncio.timeout(90):
                    found[kind, name] = await one(site, figures)
            except (OSError, TimeoutError, AssertionError) as error:
                found[kind, name] = [f"it could not be played: {error!r}", site.edge.output().decode(errors="replace")[-2_000:]]
        figures.peak_mb = max(figures.peak_mb, site.edge.memory())
    return figures


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What was wrong, by edge and play. Side by side in the small form, where nothing is measured."""
    folder = tmp_path_factory.mktemp("edges")
    wrong: dict[tuple[str, str], list[str]] = {}

    async def both() -> list[Figures]:
        if FULL:
            return [await play(kind, folder, wrong) for kind in INSTALLED]
        return list(await asyncio.gather(*(play(kind, folder, wrong) for kind in INSTALLED)))

    figures = asyncio.run(both())
    if FULL:
        print("\n" + table(dict(zip(INSTALLED, figures, strict=True))))
    return wrong


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", KINDS)
def test_holds(kind, name, found):
    if kind not in INSTALLED:
        pytest.skip(f"{kind} is not installed here: scripts/test installs it on Debian as root")
    assert found[kind, name] == []
