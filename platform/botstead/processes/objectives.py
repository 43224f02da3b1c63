"""Where a process meets the objectives: its ledger, and what only the leading scheduler does."""

from __future__ import annotations

from botstead.core.errors import ConfigurationError
from botstead.operate.objectives.check import problems
from botstead.operate.objectives.facts import FACTS
from botstead.operate.objectives.ledger import Ledger, tally
from botstead.operate.objectives.model import load_objectives, load_tiers
from botstead.operate.objectives.standing import Standings
from botstead.operate.objectives.upkeep import ObjectivesUpkeep
from botstead.operate.report import Reports
from botstead.processes.foundation import Foundation
from botstead.store.ledger import LedgerRows
from botstead.store.llm_usage import UsageRows
from botstead.store.performance import PerformanceRows
from botstead.store.postgres import Postgres
from botstead.telemetry.catalog import METRICS, VITALS


def ledger(foundation: Foundation) -> Ledger:
    """Build what adds this process's counts to the ledger.

    Args:
        foundation: what it stands on.

    Raises:
        ConfigurationError: `objectives.yml` is wrong; the message names the line, or the objective.
    """
    objectives = load_objectives()
    if wrong := problems(objectives, METRICS.families, VITALS.all):
        raise ConfigurationError(f"objectives.yml does not fit the metrics. {wrong[0]}")
    tallies = [*map(tally, objectives), *FACTS]
    return Ledger(LedgerRows(foundation.postgres), tallies, METRICS.families)


def upkeep(foundation: Foundation) -> ObjectivesUpkeep:
    """Build what the leading scheduler calls.

    Args:
        foundation: what it stands on.
    """
    return ObjectivesUpkeep(LedgerRows(foundation.postgres), targets=VITALS.bot_target, critical=VITALS.bot_critical)


def standings(postgres: Postgres) -> Standings:
    """Build what tells how promises stand.

    Args:
        postgres: where the ledger is.

    Raises:
        ConfigurationError: `objectives.yml` or `tiers.yml` is wrong; the message names the line.
    """
    return Standings(LedgerRows(postgres), load_objectives(), load_tiers())


def reports(postgres: Postgres, standings: Standings) -> Reports:
    """Build what tells how bots do.

    Args:
        postgres: where messages and the ledger are.
        standings: tells how promises stand.
    """
    return Reports(PerformanceRows(postgres), LedgerRows(postgres), standings, usage=UsageRows(postgres))
