"""Rules that every rendered compose file has to keep, whatever profile, size or edge: what breaks for others, found before.

Give `lint` the output of `docker compose config --format json`. Each rule is a pure function in the file of its subject, and
names the failure classes that it prevents; compose/README.md has the table.
"""

from __future__ import annotations

from botstead.processes.composed.lint import hardening, images, probes, shape, storage
from botstead.processes.composed.lint.model import Composed, Finding, Rule, read

RULES: tuple[Rule, ...] = (*hardening.RULES, *images.RULES, *probes.RULES, *shape.RULES, *storage.RULES)
"""All of them."""


def lint(composed: Composed) -> list[Finding]:
    """Hold a rendered compose file to every rule. Pure.

    Args:
        composed: see `read`.

    Returns:
        What is wrong; empty when nothing is.
    """
    return [Finding(rule=rule.name, service=service, detail=detail) for rule in RULES for service, detail in rule.look(composed)]


__all__ = ["RULES", "Composed", "Finding", "Rule", "lint", "read"]
