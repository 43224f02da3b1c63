"""What else the ledger counts, for reports: facts that nobody has promised anything about."""

from __future__ import annotations

from typing import Final

from botstead.operate.objectives.ledger import Tally
from botstead.operate.objectives.model import Matcher, Term

UNDERSTOOD: Final = "understood"
"""By bot; «bad» are messages that only the bot's last resort fitted."""
REPEATED: Final = "repeated"
"""By channel kind; deliveries of a message that had been taken before."""
RETRIED: Final = "retried"
"""By channel kind; runs and sends that failed and were tried again."""

_UNDERSTOOD = Term(metric="bot_understood_total")
_FALLBACK = Term(metric="bot_understood_total", matchers=(Matcher("result", ("fallback",)),))
_REPEATED = Term(metric="bot_message_duplicates_total")
_RETRIED = Term(metric="bot_message_retries_total")

FACTS: Final = (
    Tally(UNDERSTOOD, (_FALLBACK,), (_UNDERSTOOD,), ("bot",)),
    Tally(REPEATED, (), (_REPEATED,), ("channel",)),
    Tally(RETRIED, (), (_RETRIED,), ("channel",)),
)
