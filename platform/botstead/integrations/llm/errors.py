"""What can go wrong with a language model. Those that are `Declined` are sentences that the person may read."""

from __future__ import annotations

from botstead.core.errors import Declined, HandlerFailed


class LlmError(Declined):
    """I cannot think of an answer right now. Please try again in a few minutes."""

    code = "llm"


class LlmUnavailable(LlmError):
    """The language model cannot be reached right now. Please try again in a few minutes."""

    code = "llm_unavailable"


class LlmNonsense(LlmError):
    """The language model's answer could not be read. Please try again in a few minutes."""

    code = "llm_nonsense"

    def __init__(self, what: str = "") -> None:
        """Build the error.

        Args:
            what: what was wrong, for the operator; stands in a note, not in the sentence.
        """
        super().__init__()
        if what:
            self.add_note(what)


class LlmInterrupted(LlmError):
    """The answer broke off. Please ask again."""

    code = "llm_interrupted"


class LlmSpent(LlmError):
    """I have answered as much as I may for today. Please come back tomorrow."""

    code = "llm_spent"


class LlmLimit(LlmError):
    """That would take me too long to work out. Please ask for less at a time."""

    code = "llm_limit"


class LlmRefused(HandlerFailed):
    """The model server refuses the request. Check base, model and key of the bot's [llm]."""

    code = "llm_refused"
