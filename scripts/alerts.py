"""What alerts/ is made into: the rule files of Prometheus, and a page to fill in for each alert without a runbook."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import promql_parser

from botstead.operate.alerting.conditions import load_conditions
from botstead.operate.alerting.files import rule_files
from botstead.operate.alerting.runbooks import skeleton
from botstead.operate.objectives.model import load_objectives

ALERTS = Path(__file__).resolve().parent.parent / "alerts"


def pretty(expression: str) -> str:
    """Lay out PromQL over several lines."""
    return promql_parser.parse(expression).prettify()


def main() -> None:
    """Write what is not as it should be, or say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something would change")
    check = parser.parse_args().check
    wanted = {ALERTS / "generated" / name: text for name, text in rule_files(pretty=pretty).items()}
    pages = {ALERTS / "runbooks" / f"{alert.name}.md": skeleton(alert) for alert in load_conditions()}
    pages |= {ALERTS / "runbooks" / f"{objective.alert}.md": skeleton(objective) for objective in load_objectives()}
    wanted |= {path: text for path, text in pages.items() if not path.exists()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    leftover = [path for path in (ALERTS / "generated").glob("*") if path not in wanted]
    if check and (stale or leftover):
        names = ", ".join(path.name for path in [*stale, *leftover])
        sys.exit(f"alerts/ is not as generated: {names}. Run scripts/generate and commit what it writes.")
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[path], "utf-8")
    for path in leftover:
        path.unlink()


if __name__ == "__main__":
    main()
