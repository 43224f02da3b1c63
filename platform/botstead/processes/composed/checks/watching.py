"""Whether a message gets through, and whether somebody would hear that it does not."""

from __future__ import annotations

from botstead.processes.checking import MISSING, OK, WARNING, WRONG
from botstead.processes.composed.facts import Facts

HEARTBEAT = "heartbeat"


def road(facts: Facts) -> tuple[str, str]:
    """The canary's messages arrive."""
    if facts.canary is None:
        return MISSING, "Nobody tries the whole road: the scheduler does not answer, or BOTSTEAD_CANARY_SECONDS is 0."
    came, lost = facts.canary
    if not came and not lost:
        return MISSING, "The canary has not sent anything yet. Ask again in a quarter of a minute."
    if not came:
        return WRONG, f"None of {lost} messages came through. See docker compose logs scheduler for the hop that broke."
    if lost:
        return WARNING, f"{lost} of {came + lost} messages did not come through. See canary_failed in the scheduler's log."
    return OK, f"{came} messages of the canary came through"


def metrics(facts: Facts) -> tuple[str, str]:
    """Everything is scraped, and every rule is loaded."""
    seen = facts.watched
    if seen is None:
        return MISSING, "Prometheus does not answer, or does not run in this size."
    if seen.down:
        return WRONG, f"Not scraped: {', '.join(seen.down)}. See docker compose ps of it."
    if seen.broken or not seen.rules:
        return WRONG, f"Rules that fail: {', '.join(seen.broken) or 'none is loaded'}. See docker compose logs prometheus."
    return OK, f"{seen.targets} targets, {seen.rules} rules"


def alerts(facts: Facts) -> tuple[str, str]:
    """Prometheus knows somebody to tell, and he has somebody to tell."""
    if facts.watched is None:
        return MISSING, "Prometheus does not answer, or does not run in this size."
    if not facts.watched.tellers:
        return WRONG, "Prometheus knows no Alertmanager. See docker compose ps alertmanager."
    if facts.receivers is None:
        return WRONG, "Alertmanager does not answer. See docker compose logs alertmanager."
    people = [each for each in facts.receivers if HEARTBEAT not in each]
    return (OK, ", ".join(people)) if people else (WARNING, "Nobody is told of alerts. Name receivers in receivers.yml.")


def heartbeat(facts: Facts) -> tuple[str, str]:
    """Somebody outside hears when all this is silent."""
    if facts.receivers is None:
        return MISSING, "Alertmanager does not answer, or does not run in this size."
    if not any(HEARTBEAT in each for each in facts.receivers):
        return WARNING, "If this machine dies nobody is told. Add a receiver of kind heartbeat to receivers.yml."
    return OK, "somebody outside is told"
