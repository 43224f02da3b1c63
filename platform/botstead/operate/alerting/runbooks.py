"""Runbooks: one page for each alert's name, with the same five headings. Pure.

`scripts/generate` writes a page for an alert that has none, with what is known already; a person fills it in.
"""

from __future__ import annotations

import re
from typing import Final

from botstead.operate.alerting.conditions import Condition
from botstead.operate.objectives.model import Objective

HEADINGS: Final = ("Meaning", "Impact", "First five minutes", "Fix", "Prevent")
TO_FILL: Final = "_To be filled in._"
"""Marks what a person has not written yet; a page with it does not pass the tests."""
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def sections(page: str) -> dict[str, str]:
    """Return what stands below each heading of a page, in order.

    Args:
        page: Markdown.
    """
    parts = _HEADING.split(page)
    return {heading.strip(): body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def skeleton(alert: Objective | Condition) -> str:
    """Return a page with what is known of an alert.

    Args:
        alert: an objective, for its burn alerts, or a condition.
    """
    if isinstance(alert, Objective):
        name, meaning = (
            alert.alert,
            f"{alert.promise} {alert.target:g} % is promised, and the budget for the rest burns too fast.",
        )
        steps = alert.first_steps
    else:
        name, meaning, steps = alert.name, TO_FILL, (alert.action,)
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
    bodies = (meaning, alert.impact, numbered, TO_FILL, TO_FILL)
    return f"# {name}\n\n" + "\n".join(f"## {heading}\n\n{body}\n" for heading, body in zip(HEADINGS, bodies, strict=True))
