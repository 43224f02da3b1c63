"""Write the boards for Grafana, or say that they fit: `python -m dashboards [--check]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dashboards.boards import BOARDS
from dashboards.grafana import board_json
from dashboards.runbooks import runbooks

GENERATED: Final = Path(__file__).parent / "generated"


def files() -> Mapping[str, str]:
    """Return name to text of every generated file."""
    return {
        f"{board.uid}.json": json.dumps(board_json(board), indent=1, ensure_ascii=False) + "\n" for board in (*BOARDS, runbooks())
    }


def main() -> None:
    """Write or check all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something would change")
    check = parser.parse_args().check
    there = {path.name: path.read_text("utf-8") for path in GENERATED.glob("*.json")}
    wanted = files()
    if check:
        wrong = sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))
        sys.exit(f"not as generated: {', '.join(wrong)}. Run scripts/generate and commit what it writes." if wrong else 0)
    for name in there.keys() - wanted.keys():
        (GENERATED / name).unlink()
    for name, text in wanted.items():
        (GENERATED / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
