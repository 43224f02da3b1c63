"""`scripts/mutate alerts [NAME…]`: does a story or a case notice each fault that is put into the rules?

Names are objectives, or `conditions`; all of them when none is named.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache
from itertools import groupby
from typing import NamedTuple

from tests.alerts.months import sums
from tests.alerts.mutants import Mutant, condition_mutants, objective_mutants
from tests.alerts.play import OBJECTIVES, case_rules, case_tests, ledger_tests, live_tests, month_tests, rules
from tests.alerts.stories import live_rules
from tests.alerts.together import unnoticed
from tests.alerts.tools import INSTALL, tools

PROMISED = 0.95
"""The share of faults that must be noticed in each file."""
PORTION = 48
"""Faults that are played together: more share more, fewer keep both processors busy."""

_SOONER = "Fires at the same time and ends minutes sooner; between, the number in its text depends on the version of Prometheus."
_PART = (
    "All probes less the good ones, of one metric: never below 0. The clamp is for buckets that are read later than their count."
)
EXPLAINED = {
    "ValkeyEvicting: a third of the window": _SOONER,
    "NotificationsFailing: a third of the window": _SOONER,
    "DiskFull3d: window three times as long": "Foresees the same from an even growth; after a change it is later, not wrong.",
    "ConfigReloadFailed: a third of the window": "The wait of 10 minutes hides it: a gap of 5 minutes starts that anew.",
    "AlertmanagerMissing: a third of the limit": "A whole number below 1 is below a third, too.",
    "slo:budget_left:ratio: all values": "The other side of the division names the promise, and only equal labels are divided.",
    **{f"canary slo:bad:{what}: below zero": _PART for what in ("ledger5m", "count5m", "count30m", "count1h")},
}
"""Survivors that change nothing which a rule can be seen to do, and why; of one objective where its name stands first."""


@cache
def mutants(name: str) -> list[Mutant]:
    """All faults of an objective, or of the conditions."""
    return list(condition_mutants(rules(name)) if name == "conditions" else objective_mutants(rules(name)))


def survivors(promtool: str, name: str, found: Sequence[Mutant]) -> list[Mutant]:
    """Those faults of an objective, or of one condition, that nothing notices."""
    alive = list(found)
    if name not in OBJECTIVES:
        for tests in case_tests(name):
            alive = unnoticed(promtool, case_rules(rules("conditions"), name), tests, alive)
        return alive
    alive = unnoticed(promtool, sums(rules(name)), month_tests(name), alive)
    if live := live_tests(name):
        alive = unnoticed(promtool, live_rules(rules(name)), live, alive)
    return unnoticed(promtool, rules(name), ledger_tests(name), alive)


def portions(name: str, found: Sequence[Mutant]) -> list[tuple[str, list[Mutant]]]:
    """Faults that are played together: those in one condition, or some in neighbouring rules of an objective."""
    if name in OBJECTIVES:
        return [(name, list(found[start : start + PORTION])) for start in range(0, len(found), PORTION)]
    return [(alert, list(mine)) for alert, mine in groupby(found, key=lambda mutant: str(mutant.original["alert"]))]


class Tried(NamedTuple):
    """What became of the faults in one rule file."""

    name: str
    faults: int
    alive: list[str]
    seconds: float

    def why(self, survivor: str) -> str | None:
        """The reason why a fault changes nothing, where it is known."""
        return EXPLAINED.get(f"{self.name} {survivor}") or EXPLAINED.get(survivor)

    def lines(self) -> list[str]:
        """The score, and each survivor with the reason."""
        noticed = self.faults - len(self.alive)
        head = f"{self.name:20} {noticed} of {self.faults} noticed, {noticed / self.faults:.1%}, in {self.seconds:.0f} s"
        return [head, *(f"  SURVIVED {each}  {self.why(each) or 'for no known reason'}" for each in self.alive)]

    def well(self, *, whole: bool) -> bool:
        """Whether each survivor is explained, and of the whole of a file's faults enough were noticed."""
        enough = not whole or len(self.alive) <= (1 - PROMISED) * self.faults
        return enough and all(map(self.why, self.alive))


def try_out(promtool: str, name: str, only: str, pool: Executor) -> Tried:
    """Put faults into one rule file, those whose names contain `only`."""
    began = time.monotonic()
    found = [each for each in mutants(name) if only in each.name]
    verdicts = pool.map(lambda portion: survivors(promtool, *portion), portions(name, found))
    alive = [mutant.name for verdict in verdicts for mutant in verdict]
    return Tried(name, len(found), alive, time.monotonic() - began)


def main(arguments: list[str]) -> int:
    """Try them; the exit status is 0 when in each file enough were noticed and each survivor is explained."""
    parser = argparse.ArgumentParser(prog="scripts/mutate alerts", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="objectives, or `conditions`; all when none is named")
    parser.add_argument("--only", default="", metavar="WORDS", help="only faults whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many promtools at once")
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    options = parser.parse_args(arguments)
    known = ("conditions", *OBJECTIVES)
    if strange := [name for name in options.names if name not in known]:
        parser.error(f"there is no {', '.join(strange)}; known: {', '.join(known)}")
    names = [name for name in options.names or known if any(options.only in each.name for each in mutants(name))]
    if options.list:
        print("\n".join(f"{name}: {each.name}" for name in names for each in mutants(name) if options.only in each.name))
        return 0
    promtool = next(iter(tools("promtool")), None)
    if promtool is None:
        parser.error(f"there is no promtool; install it with `{INSTALL}`")
    tried = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for name in names:
            tried.append(try_out(promtool, name, options.only, pool))
            print("\n".join(tried[-1].lines()), flush=True)
    faults, alive = sum(each.faults for each in tried), sum(len(each.alive) for each in tried)
    print(
        f"{faults - alive} of {faults} noticed, {1 - alive / max(1, faults):.1%}, in {sum(each.seconds for each in tried):.0f} s"
    )
    return 0 if tried and all(each.well(whole=not options.only) for each in tried) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
