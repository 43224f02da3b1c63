"""The runbooks as a board: a panel for each, so that a link from any panel or alert opens it wherever Grafana runs."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Final

from dashboards.design import Board, Note, Row
from dashboards.limits import CONDITIONS, OBJECTIVES

FOLDER: Final = Path(__file__).resolve().parent.parent / "alerts" / "runbooks"
_BURNS: Final = {objective.alert: objective for objective in OBJECTIVES.values()}
PROMISES: Final = "promises"


def runbooks(folder: Path = FOLDER) -> Board:
    """Return the board with all runbooks.

    Args:
        folder: with a Markdown file for each alert, by its name.
    """
    notes = sorted(
        (_note(path) for path in folder.glob("*.md") if _known(path.stem)), key=lambda note: (_area(note.title), note.title)
    )
    return Board(
        uid="runbooks",
        title="Runbooks",
        asks=("What do I do about this alert?",),
        rows=tuple(Row(area.capitalize(), tuple(found)) for area, found in groupby(notes, key=lambda note: _area(note.title))),
    )


def _known(alert: str) -> bool:
    return alert in _BURNS or alert in CONDITIONS


def _area(alert: str) -> str:
    return PROMISES if alert in _BURNS else CONDITIONS[alert].area


def _note(path: Path) -> Note:
    cause = _BURNS.get(path.stem) or CONDITIONS[path.stem]
    text = path.read_text("utf-8").partition("\n")[2].strip()  # the first line is the name, which is the panel's title
    return Note(path.stem, says="What to do when this alert fires.", text=text, opens=cause.board, about=cause.panel)
