"""A bot's report in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def report_lines(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line for each number that there is.

    Args:
        report: from `/v1/bots/{bot}/report`.
    """
    times, spent, budget = report["answer_seconds"], report["time_spent"], report["budget"]
    return {
        "bot": report["bot"],
        "hours": report["hours"],
        "delivered": _share(report["delivery"]),
        "answered_within": times
        and f"{times['p50']:.2f} s half, {times['p95']:.2f} s 95 %, {times['p99']:.2f} s 99 %; promised {report['promise']:g} s",
        "time_went_to": spent and ", ".join(f"{what} {spent[what]:.0%}" for what in ("queue", "handle", "send")),
        "acknowledged_in_1_s": ", ".join(f"{channel} {_share(share)}" for channel, share in report["acknowledged"].items()),
        "late": _share(report["late"]),
        "not_understood": _share(report["not_understood"]),
        "sends_tried_again": report["send_retries"],
        "retries_on_channel": _counts(report["retries"]),
        "duplicates_on_channel": _counts(report["duplicates"]),
        "messages": report["messages"],
        "active_conversations": report["active_conversations"],
        "budget": budget and budget["explanation"],
        "language_model_today": report["llm"] and _llm(report["llm"]),
        "times_since": report["since"] if not report["whole"] else None,
    }


def _llm(day: Mapping[str, Any]) -> str:
    taken = f"{day['requests']:,} answers, {day['asked']:,} tokens in and {day['answered']:,} out"
    if day["cost"] is None:
        left = f"{day['left']:,.0f} of {day['budget']:,.0f} tokens are left"
    else:
        taken += f" for {day['cost']:.4f} {day['currency']}"
        left = f"{day['left']:.4f} of {day['budget']:.2f} are left"
    told = [f"{day[count]:,} {what}" for count, what in (("estimated", "estimated"), ("refused", "refused")) if day[count]]
    return "; ".join([taken, left, *told])


def _share(share: Mapping[str, Any]) -> str:
    if share["ratio"] is None:
        return ""
    return f"{share['ratio'] * 100:.4g} % ({share['count']:,} of {share['of']:,})"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{channel} {count:,}" for channel, count in counts.items() if count)
