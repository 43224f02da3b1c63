"""`scripts/mutate alerts [NAME…]`: does a story or a case notice each fault that is put into the rules?

Names are objectives, or `conditions`. All objectives are made by one generator, so by default only those are tried that have each
form of events, each set of tiers, and targets of their own.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.alerts.mutants import Mutant, condition_mutants, objective_mutants
from tests.alerts.play import OBJECTIVES, play_cases, play_ledger, play_live, rules
from tests.alerts.tools import tools

FORMS = ("delivery", "delivery_bot", "ingress_ack", "api_latency", "canary", "promptness")
PROMISED = 0.95

_SOONER = "Fires at the same time and ends minutes sooner; between, the number in its text depends on the version of Prometheus."
EXPLAINED = {
    "ValkeyEvicting: a third of the window": _SOONER,
    "NotificationsFailing: a third of the window": _SOONER,
    "DiskFull3d: window three times as long": "Foresees the same from an even growth; after a change it is later, not wrong.",
    "ConfigReloadFailed: a third of the window": "The wait of 10 minutes hides it: a gap of 5 minutes starts that anew.",
    "AlertmanagerMissing: a third of the limit": "A whole number below 1 is below a third, too.",
    "slo:bad:count5m: below zero": "Counts of one histogram are read at one time, so their difference is never below 0; the clamp is for "
    "a process that dies between two lines of a scrape, which promtool cannot play.",
    "slo:bad:count1h: below zero": "As for 5m.",
    "slo:bad:count30m: below zero": "As for 5m.",
    "slo:bad:count30d: a day less": "Stories last days, not a month: promtool would need minutes for each.",
    "slo:total:count30d: a day less": "As for the bad ones.",
    "slo:budget_left:ratio: all values": "The other side of the division names the promise, and only equal labels are divided.",
    "slo:bad:ledger5m: below zero": "As for 5m.",
}
"""Survivors that change nothing which a rule can be seen to do, and why."""


def noticed(promtool: str, mutant: Mutant, name: str) -> bool:
    """Whether anything notices a fault."""
    if name == "conditions":
        return bool(play_cases(promtool, mutant.name.split(":")[0].split()[0], mutant.text))
    if not mutant.group.endswith(":ledger") and play_live(promtool, name, mutant.text):
        return True
    return bool(play_ledger(promtool, name, mutant.text))


def mutants(name: str) -> list[Mutant]:
    """All faults of an objective, or of the conditions."""
    return list(condition_mutants(rules(name)) if name == "conditions" else objective_mutants(rules(name)))


def main(arguments: list[str]) -> int:
    """Try them; the exit status is 0 when enough were noticed and each survivor is explained."""
    parser = argparse.ArgumentParser(prog="scripts/mutate alerts", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="objectives, or `conditions`")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    options = parser.parse_args(arguments)
    if strange := [name for name in options.names if name not in (*OBJECTIVES, "conditions")]:
        parser.error(f"there is no {strange[0]}")
    (promtool, *_) = tools("promtool") or [""]
    if not promtool:
        parser.error("there is no promtool")
    tried, survivors = 0, []
    with ThreadPoolExecutor(options.jobs) as pool:
        for name in options.names or (*FORMS, "conditions"):
            began, found = time.monotonic(), [each for each in mutants(name) if options.only in each.name]
            verdicts = list(pool.map(lambda mutant, name=name: noticed(promtool, mutant, name), found))
            alive = [mutant.name for mutant, seen in zip(found, verdicts, strict=True) if not seen]
            tried, survivors = tried + len(found), [*survivors, *alive]
            print(f"{name:20} {len(found) - len(alive)} of {len(found)} noticed in {time.monotonic() - began:.0f} s", flush=True)
            for each in alive:
                print(f"  SURVIVED {each}  {EXPLAINED.get(each, '')}", flush=True)
    score = 1 - len(survivors) / max(1, tried)
    print(f"{tried - len(survivors)} of {tried} noticed: {score:.1%}")
    return 0 if score >= PROMISED and all(each in EXPLAINED for each in survivors) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
