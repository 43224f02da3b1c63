"""The timeline of one message: what happened to it, in order, and where it waits now. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to a message, or where it waits now.

    Args:
        what: received, asked, handling_began, answered, said, waiting_in_inbox, waiting_in_outbox, sent, failed,
            unknown, dead_letter, replayed.
        at: when, or since when; None while it is not known.
        until: when the next attempt is due.
        detail: why, in words.
        message: the id of the other message (the answer, or what was answered).
    """

    what: str
    at: datetime | None = None
    until: datetime | None = None
    attempts: int = 0
    reason: str = ""
    detail: str = ""
    message: int | None = None


def inbound(row: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Tell what became of something that came in, or was asked for.

    Args:
        row: statement `one` of `sql/history.sql`.
        answers: statement `answers` there.
    """
    steps = [Step(what="asked" if row["direction"] == 2 else "received", at=row["at"])]
    steps += _parked(row)
    if answers and answers[0]["began"]:
        steps.append(Step(what="handling_began", at=answers[0]["began"]))
    for answer in answers:
        steps.append(Step(what="answered", at=answer["at"], message=answer["id"]))
        if answer["outcome"]:
            steps.append(Step(what=answer["outcome"], at=answer["ended_at"], message=answer["id"]))
    if row["in_inbox"]:
        steps.append(
            Step(
                what="waiting_in_inbox",
                until=row["inbox_until"],
                attempts=row["inbox_attempts"] + row["claims"],
                detail=row["inbox_error"] or "",
            )
        )
    elif len(steps) == 1:
        steps.append(Step(what="handled", detail="The bot had nothing to say."))
    return steps


def _parked(row: Mapping[str, Any]) -> list[Step]:
    if row["parked_at"] is None:
        return []
    steps = [
        Step(
            what="dead_letter",
            at=row["parked_at"],
            attempts=row["letter_attempts"],
            reason=row["reason"],
            detail=row["error"] or "",
        )
    ]
    if row["replayed_at"]:
        steps.append(Step(what="replayed", at=row["replayed_at"]))
    return steps


def outbound(row: Mapping[str, Any]) -> list[Step]:
    """Tell what became of something that a bot said.

    Args:
        row: statement `one` of `sql/history.sql`.
    """
    steps = [Step(what="received", at=row["asked_at"], message=row["reply_to"])] if row["asked_at"] else []
    if row["began"]:
        steps.append(Step(what="handling_began", at=row["began"]))
    steps.append(Step(what="said", at=row["at"]))
    if row["outcome"]:
        steps.append(
            Step(
                what=row["outcome"],
                at=row["ended_at"],
                attempts=row["send_attempts"],
                reason=row["send_reason"] or "",
                detail=row["detail"] or "",
            )
        )
    steps += _parked(row)
    if row["in_outbox"]:
        detail = "An earlier attempt may have arrived." if row["unknown"] else ""
        steps.append(Step(what="waiting_in_outbox", until=row["outbox_until"], attempts=row["outbox_attempts"], detail=detail))
    return steps
