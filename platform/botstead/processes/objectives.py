"""Where a process meets the objectives: its ledger, and what only the leading scheduler does."""

from __future__ import annotations

from botstead.operate.objectives.facts import FACTS
from botstead.operate.objectives.ledger import Ledger, tally
from botstead.operate.objectives.model import load_objectives
from botstead.operate.objectives.upkeep import ObjectivesUpkeep
from botstead.processes.foundation import Foundation
from botstead.store.ledger import LedgerRows
from botstead.telemetry.catalog import METRICS, VITALS


def ledger(foundation: Foundation) -> Ledger:
    """Build what adds this process's counts to the ledger.

    Args:
        foundation: what it stands on.

    Raises:
        ConfigurationError: `objectives.yml` is wrong; the message names the line.
    """
    tallies = [*map(tally, load_objectives()), *FACTS]
    return Ledger(LedgerRows(foundation.postgres), tallies, METRICS.families)


def upkeep(foundation: Foundation) -> ObjectivesUpkeep:
    """Build what the leading scheduler calls.

    Args:
        foundation: what it stands on.
    """
    return ObjectivesUpkeep(LedgerRows(foundation.postgres), targets=VITALS.bot_target, critical=VITALS.bot_critical)
