"""`python -m tests.mutations [NAME…]`: does each experiment notice the fault that it is there for?"""

from __future__ import annotations

import argparse
import sys

import msgspec

from tests.mutations.mutations import MUTATIONS
from tests.mutations.run import Found, try_out


def main() -> int:
    """Try mutations; the exit status is 0 when each was caught."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; by default all")
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")
    parser.add_argument("--list", action="store_true", help="list them and end")
    options = parser.parse_args()
    known = {mutation.name: mutation for mutation in MUTATIONS}
    if strange := [name for name in options.names if name not in known]:
        parser.error(f"there is no {', '.join(strange)}; known: {', '.join(known)}")
    if options.list:
        for mutation in MUTATIONS:
            print(f"{mutation.name:28} {mutation.promise:4} {mutation.experiment:4} {mutation.why}")
        return 0
    found = []
    for name in options.names or known:
        found.append(try_out(known[name]))
        if not options.json:
            print(line(found[-1]), flush=True)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        print(f"{sum(each.caught for each in found)} of {len(found)} caught")
    return 0 if all(each.caught for each in found) else 1


def line(found: Found) -> str:
    """Return one line of the table."""
    mark = "caught  " if found.caught else "SURVIVED"
    return f"{mark} {found.name:28} {found.promise:4} {found.experiment:4} {found.seconds:5.1f} s  {found.how}"


if __name__ == "__main__":
    sys.exit(main())
