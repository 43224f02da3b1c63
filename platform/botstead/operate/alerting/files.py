"""The rule files of Prometheus, made of what `alerts/` says. Pure but for the loaders.

The files in `alerts/generated` are these, at scale 1, as `scripts/generate` writes them; an appliance whose links lead elsewhere,
or a test in which an hour is a minute, makes its own.
"""

from __future__ import annotations

from collections.abc import Callable

from botstead.operate.alerting.conditions import Condition, condition_groups, load_conditions
from botstead.operate.alerting.rules import Links, Time, document
from botstead.operate.objectives.model import Objective, Tiers, load_objectives, load_tiers
from botstead.operate.objectives.rules import objective_groups

SUFFIX = ".rules.yml"
_MADE = "Written by scripts/generate from {sources}. Do not change it here.\n{what}"


def rule_files(
    time: Time | None = None, links: Links | None = None, *, pretty: Callable[[str], str] = str.strip
) -> dict[str, str]:
    """Return the rule files of everything that is shipped, name to content.

    Args:
        time: scale of the rules; 1 when it is None.
        links: where links lead; to this machine when it is None.
        pretty: lays out PromQL over several lines.

    Raises:
        ConfigurationError: a file of `alerts/` is wrong; the message names file and line.
    """
    return made(load_objectives(), load_tiers(), load_conditions(), time or Time(), links or Links(), pretty=pretty)


def made(  # noqa: PLR0913  # one each
    objectives: tuple[Objective, ...],
    tiers: Tiers,
    conditions: tuple[Condition, ...],
    time: Time,
    links: Links,
    *,
    pretty: Callable[[str], str] = str.strip,
) -> dict[str, str]:
    """Return rule files, name to content: one for each objective, and `conditions.rules.yml`.

    Args:
        objectives: what is promised.
        tiers: how budgets are watched.
        conditions: what else somebody must hear of.
        time: scale of the rules.
        links: where links lead.
        pretty: lays out PromQL over several lines.
    """
    files = {}
    for objective in objectives:
        head = _MADE.format(
            sources="alerts/objectives.yml and alerts/tiers.yml", what=f"{objective.promise} {objective.target:g} %."
        )
        files[objective.name + SUFFIX] = document(objective_groups(objective, tiers, time, links), head=head, pretty=pretty)
    head = _MADE.format(sources="alerts/conditions.yml", what="What somebody must hear of besides broken promises.")
    files["conditions" + SUFFIX] = document(condition_groups(conditions, objectives, time, links), head=head, pretty=pretty)
    return files
