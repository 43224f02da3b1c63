"""The picture of a message's road: each stage a bar where and as long as it lay in time, with milliseconds and share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from botstead.processes.cli.output import shown

WIDTH = 40
"""Characters of the longest bar."""
EIGHTHS = " ▏▎▍▌▋▊▉█"
NAMES = {
    "ack": "kept",
    "queue": "waited for the bot",
    "handle": "the bot's handler",
    "call": "  called",
    "retry": "waited to run again",
    "commit": "answer kept",
    "outbox": "waited to be sent",
    "send": "sent to the provider",
}
COLOURS = {"queue": "yellow", "retry": "yellow", "outbox": "yellow", "handle": "cyan", "call": "blue", "send": "magenta"}
WELL = ("", "ok", "sent")


def picture(tale: Mapping[str, Any]) -> RenderableType:
    """Draw where a message is and where its time went.

    Args:
        tale: the answer of `GET /v1/messages/{id}`.
    """
    message = tale["message"]
    head = Text(f"{message['id']}  ", style="bold")
    head.append(f"{shown(message['direction'])} · {shown(message['bot'])} · {shown(tale['kind'])} · {shown(message['at'])}")
    lines: list[RenderableType] = [
        head,
        Text(f"trace {tale['trace'] or '-'}", style="dim"),
        Text(shown(message["text"]), style="italic"),
    ]
    lines += [Text(), Text(shown(tale["where"]), style="bold")]
    lines += [Text(f"{label}: {shown(tale[name])}") for name, label in (("why", "Why"), ("advice", "Next")) if tale[name]]
    if tale["stages"]:
        lines += [Text(), _table(tale)]
    return Group(*lines)


def _table(tale: Mapping[str, Any]) -> Table:
    whole = tale["milliseconds"]
    table = Table("stage", "", "ms", "share", "", box=None, header_style="bold", pad_edge=False)
    for at in (2, 3):
        table.columns[at].justify = "right"
    for stage in tale["stages"]:
        colour = "red" if stage.get("outcome", "") not in WELL else COLOURS.get(stage["name"], "green")
        table.add_row(
            Text(_named(stage)),
            Text(bar(stage["offset"], stage["milliseconds"], whole), style=colour),
            Text(_milliseconds(stage["milliseconds"])),
            Text(_share(stage["share"])),
            Text(", ".join(_remarks(stage)), style="red" if colour == "red" else ""),
        )
    table.add_row(Text("in all", style="bold"), Text(), Text(_milliseconds(whole), style="bold"), Text(), Text())
    return table


def bar(offset: float, length: float, whole: float) -> str:
    """Return a bar of at most `WIDTH` characters, its end drawn in eighths; whatever took any time can be seen.

    Args:
        offset: where it begins.
        length: how long it is.
        whole: of all.
    """
    if whole <= 0:
        return ""
    first = min(WIDTH - 1, int(offset / whole * WIDTH))
    last = min(float(WIDTH), (offset + length) / whole * WIDTH)
    full, rest = divmod(max(1, round((last - first) * 8)), 8)
    return " " * first + EIGHTHS[8] * full + (EIGHTHS[rest] if rest else "")


def _named(stage: Mapping[str, Any]) -> str:
    name = NAMES.get(stage["name"], shown(stage["name"]))
    return f"{name} {shown(stage['service'])}" if stage["name"] == "call" and stage.get("service") else name


def _remarks(stage: Mapping[str, Any]) -> Iterator[str]:
    if stage.get("open"):
        yield "still"
    if stage.get("attempt", 0) > 1:
        yield f"attempt {stage['attempt']}"
    if stage.get("status"):
        yield f"status {stage['status']}"
    if stage.get("outcome", "") not in ("", "ok"):
        yield shown(stage["outcome"])
    if stage.get("message"):
        yield f"message {stage['message']}"


def _share(value: float) -> str:
    return "<1%" if 0 < value < 0.005 else f"{value:.0%}"


def _milliseconds(value: float) -> str:
    return f"{value:,.1f}" if value < 1_000 else f"{value:,.0f}"
