"""Says in plain words where a message is, why it is not further, and what to do next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from botstead.telemetry.journey import Journey, Parked, Reply, Waiting

LONG: Final = 10.0
"""Seconds in the queue after which something is wrong rather than busy."""
_REPLAY: Final = "then `botstead dead-letters replay {id}`."

PARKED: Final[Mapping[str, tuple[str, str]]] = {
    "failed": ("The bot's handler failed {attempts} times.", f"Mend the bot, {_REPLAY}"),
    "crashed": ("It ended the bot's process each time it ran.", f"Mend the bot, {_REPLAY}"),
    "blocked": (
        "The bot's handler went on failing, and the next try would have held up the conversation for more than a minute.",
        f"Mend the bot or wait for what it calls, {_REPLAY}",
    ),
    "deadline": ("It was too old to be answered.", "If it is still worth an answer: `botstead dead-letters replay {id}`."),
    "invalid": ("It was kept in a form that cannot be read back.", "This is a fault of ours: report it with the trace id."),
    "gone": ("Its channel was removed while it waited.", "Nothing can be done: there is no way to its sender any longer."),
}
"""Why a message that came in was given up, and what then, by reason."""

UNSENT: Final[Mapping[str, tuple[str, str]]] = {
    "throttled": ("The provider limits how fast this bot may send.", "Nothing: it is sent as soon as the provider allows."),
    "unavailable": ("The provider does not answer, or says that it is out of order.", "See `botstead channels health`."),
    "timeout": ("No answer came in time, so it may have arrived.", "See `botstead channels health`."),
    "refused": (
        "Our own guard does not let a request go to that address.",
        "If the address is right, list it in BOTSTEAD_EGRESS_ALLOW, {replay}",
    ),
    "invalid": ("The provider does not take what the bot said.", "Mend what the bot says: a replay would be refused as well."),
    "gone": ("The person or chat is gone, or has blocked the bot.", "Nothing: they do not want it."),
    "moved": ("The chat has moved to another address.", "Replay it: {replay}"),
    "revoked": (
        "The provider no longer takes this channel's credentials.",
        "Enter new ones with `botstead channels rotate`, {replay}",
    ),
    "unsupported": ("This network cannot do what the bot asked for.", "Mend what the bot says."),
    "exhausted": ("It was tried again and again for as long as it was worth it.", "See `botstead channels health`, {replay}"),
}
"""Why an answer is not sent, and what then, by reason."""
_ANY: Final = ("It could not be sent.", "See `botstead channels health`, {replay}")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants to know of a message.

    Args:
        where: where it is.
        why: what went wrong, empty when nothing did.
        advice: what to do next, empty when there is nothing to do.
    """

    where: str
    why: str = ""
    advice: str = ""


def explain(journey: Journey, *, words: str = "", reply: int | None = None) -> Told:
    """Tell where a message is.

    Args:
        journey: its road.
        words: of the last error, as they were kept.
        reply: tell of this answer rather than of the message.
    """
    replies = [answer for answer in journey.replies if reply in (None, answer.id)]
    parked = journey.parked
    if reply is None and journey.waiting is not None:
        return _waiting(journey, journey.waiting, words)
    if reply is None and parked is not None and parked.replayed is None:
        return _given_up(journey.message, parked, words)
    if not replies:
        return Told(where="Handled. The bot had nothing to say.")
    unsettled = next((answer for answer in replies if not answer.outcome), None)
    if unsettled is not None:
        return _unsettled(unsettled, journey.seen, words)
    bad = next((answer for answer in replies if answer.outcome != "sent"), None)
    if bad is not None:
        return _unsent(bad, words)
    return Told(where="Said, and the provider has it." if reply else "Answered, and the provider has it.")


def _waiting(journey: Journey, waiting: Waiting, words: str) -> Told:
    failed = waiting.failures + waiting.crashes
    if failed:
        what = "ended its process" if waiting.crashes and not waiting.failures else "failed"
        return Told(
            where=f"The bot's handler {what} {_times(failed)}; it runs again {_soon(waiting.due, journey.seen)}.",
            why=_line(words),
            advice="Nothing yet: it is tried again by itself. If the bot is at fault, mend it now.",
        )
    waited = journey.seen - journey.acked
    if waited < LONG:
        return Told(where="It waits for its turn with the bot.")
    return Told(
        where=f"It has waited for its turn with the bot for {_span(waited)}.",
        why="No worker takes it: none runs, its bot cannot run, or the messages before it are not finished.",
        advice="See `botstead doctor`, and `botstead bots list` for a bot with a problem.",
    )


def _given_up(message: int, parked: Parked, words: str) -> Told:
    why, advice = PARKED.get(parked.reason, ("It could not be handled.", f"Look at the error, {_REPLAY}"))
    return Told(
        where="Given up: it is a dead letter.",
        why=" ".join(filter(None, (why.format(attempts=parked.attempts), _line(words)))),
        advice=advice.format(id=message),
    )


def _unsettled(reply: Reply, now: float, words: str) -> Told:
    last = reply.tries[-1].reason if reply.tries else ""
    if not reply.attempts and not last:
        return Told(where="Answered. The answer waits to be sent.")
    why, advice = UNSENT.get(last, ("", "Nothing: it is tried again by itself."))
    return Told(
        where=f"Answered, but not sent after {_tries(max(1, reply.attempts))}; it is tried again {_soon(reply.due, now)}.",
        why=" ".join(filter(None, (why, _line(words)))),
        advice=_filled(advice, reply.id),
    )


def _unsent(reply: Reply, words: str) -> Told:
    if reply.outcome == "unknown":
        where = f"Answered; after {_tries(reply.attempts)} it is not known whether the answer arrived."
    else:
        where = f"Answered, but the answer was not sent ({_tries(reply.attempts)})."
    why, advice = UNSENT.get(reply.reason, _ANY)
    return Told(where=where, why=" ".join(filter(None, (why, _line(words)))), advice=_filled(advice, reply.id))


def _filled(advice: str, message: int) -> str:
    return advice.format(replay=_REPLAY.format(id=message)).replace("Replay it: then ", "Replay it: ")


def _line(words: str) -> str:
    return words.partition("\n")[0].strip()[:300]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _tries(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _soon(due: float | None, now: float) -> str:
    return f"in {_span(due - now)}" if due is not None and due > now else "at once"


def _span(seconds: float) -> str:
    if round(seconds) < 60:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 3_600 else f"{seconds / 3_600:.1f} h"
