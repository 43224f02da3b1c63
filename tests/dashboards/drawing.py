"""Plain plots of panels, in the layout of their board, from the JSON that Grafana would read. Not Grafana: enough to see what reads poorly."""

from __future__ import annotations

import html
import math
import re
import time
from collections.abc import Mapping, Sequence

from tests.dashboards.live import Answer

COLOURS = {"green": "#56a64b", "orange": "#ff9830", "red": "#e02f44", "blue": "#5794f2", "transparent": "transparent"}
PALETTE = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300")
CELL, LINE = 56, 36
"""Pixels of a column and of a row of the grid."""
SUFFIX = {"count:msg/s": " msg/s", "reqps": " req/s", "count:/s": " /s", "m": " min"}
STYLE = """
body{background:#f4f5f5;font:13px Inter,Helvetica,Arial,sans-serif;margin:8px;color:#24292e}
h1{font-size:18px;margin:4px 0}.row{position:absolute;font-weight:600;padding-top:10px}.asks{color:#555}
.panel{position:absolute;background:#fff;border:1px solid #dcdcdc;border-radius:2px;overflow:hidden;box-sizing:border-box}
.title{font-weight:600;padding:4px 8px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.stat{text-align:center;font-size:30px;font-weight:600;padding-top:6px}.empty{text-align:center;color:#999;padding-top:40px}
.legend{padding:0 8px;font-size:12px;overflow:hidden}.beside{position:absolute;right:4px;top:28px;width:236px;max-height:85%;overflow:hidden}.beside td{padding:0 4px;border:0}
i{display:inline-block;width:12px;height:3px;margin:3px}
table{border-collapse:collapse;width:100%;font-size:12px}td,th{padding:3px 8px;text-align:left;border-bottom:1px solid #eee}
.note{padding:0 10px;white-space:pre-wrap;font-size:11px}
"""


def shown(value: float, unit: str) -> str:
    """A value with its unit, about as Grafana writes it."""
    if math.isnan(value):
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.3g} %" if abs(value) < 10 else f"{value * 100:.0f} %"
    if unit == "s":
        return _seconds(value)
    steps = (1024.0, ("B", "KiB", "MiB", "GiB", "TiB")) if unit == "bytes" else (1000.0, ("", " K", " Mil", " Bil", " Tri"))
    size, names = steps
    place = 0
    while abs(value) >= size and place < len(names) - 1:
        value, place = value / size, place + 1
    return f"{value:.3g}{' ' if unit == 'bytes' else ''}{names[place]}{SUFFIX.get(unit, '')}"


def _seconds(value: float) -> str:
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.2g} s"


def page(board: Mapping, answers: Mapping[tuple[int, str], Answer]) -> str:
    """A board as a page: each panel with what Prometheus answered to each of its targets."""
    parts, bottom = [], 0
    for panel in _every(board):
        place = panel["gridPos"]
        box = f"left:{place['x'] * CELL}px;top:{place['y'] * LINE + 50}px;width:{place['w'] * CELL - 6}px;height:{place['h'] * LINE - 6}px"
        bottom = max(bottom, (place["y"] + place["h"]) * LINE + 60)
        if panel["type"] == "row":
            parts.append(f'<div class="row" style="{box}">{html.escape(panel["title"])}</div>')
            continue
        found = {target["refId"]: answers[panel["id"], target["refId"]] for target in panel.get("targets", ())}
        size = (place["w"] * CELL - 8, place["h"] * LINE - 36)
        inside = DRAW[panel["type"]](panel, found, size)
        parts.append(f'<div class="panel" style="{box}"><div class="title">{html.escape(panel["title"])}</div>{inside}</div>')
    head = f'<h1>{board["title"]}</h1><div class="asks">{html.escape(board["description"])}</div>'
    return f'<meta charset="utf-8"><style>{STYLE}</style>{head}<div style="position:relative;height:{bottom}px">{"".join(parts)}</div>'


def _every(board: Mapping):
    """Panels, those of closed rows below the others, so that they can be seen too."""
    below = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    for panel in board["panels"]:
        yield panel
        inside = panel.get("panels", [])
        for each in inside:
            shift = below - min(other["gridPos"]["y"] for other in inside)
            yield {**each, "gridPos": {**each["gridPos"], "y": each["gridPos"]["y"] + shift}}
        below += sum({each["gridPos"]["y"]: each["gridPos"]["h"] for each in inside}.values())


def _named(panel: Mapping, found: Mapping[str, Answer]) -> list[tuple[str, Sequence[tuple[float, float]]]]:
    """Each series with its name in the legend."""
    named = []
    for target in panel["targets"]:
        answer = found[target["refId"]]
        for labels, values in zip(answer.labels, answer.values, strict=True):
            legend = target["legendFormat"]
            name = (
                str(dict(labels))
                if legend == "__auto"
                else re.sub(r"{{(\w+)}}", lambda word, has=labels: has.get(word[1], ""), legend)
            )
            if values:
                named.append((name.strip(), values))
    return named


def _step_colour(panel: Mapping, value: float) -> str:
    for mapping in panel["fieldConfig"]["defaults"]["mappings"]:
        if (found := mapping["options"].get(f"{value:g}")) is not None:
            return COLOURS.get(found["color"], found["color"])
    return _threshold(panel["fieldConfig"]["defaults"]["thresholds"]["steps"], value)


def _threshold(steps: Sequence[Mapping], value: float) -> str:
    colour = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    return COLOURS.get(colour, colour)


def _word(mappings: Sequence[Mapping], value: float, unit: str) -> str:
    found = next((each["options"].get(f"{value:g}") for each in mappings if f"{value:g}" in each["options"]), None)
    return found["text"] if found else shown(value, unit)


def _stat(panel, found, size):
    named = _named(panel, found)
    if not named:
        return '<div class="stat">–</div>'
    defaults = panel["fieldConfig"]["defaults"]
    value = named[0][1][-1][1]
    background = panel["options"]["colorMode"] == "background"
    style = f"background:{_step_colour(panel, value)};color:#fff;height:100%" if background else "color:#1f60c4"
    text = html.escape(_word(defaults["mappings"], value, defaults["unit"]))
    return f'<div class="stat" style="{style}">{text}{"" if len(named) == 1 else f"<small> +{len(named) - 1}</small>"}</div>'


def _colour_of(panel: Mapping, name: str, number: int) -> str:
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == name:
            fixed = override["properties"][0]["value"]["fixedColor"]
            return COLOURS.get(fixed, fixed)
    return PALETTE[number % len(PALETTE)]


def _lines(panel, found, size):
    named = _named(panel, found)
    if not named:
        return '<div class="empty">No data</div>'
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["custom"]["stacking"]["mode"] == "normal":
        named = _stacked(named)
    beside = panel["options"]["legend"]["placement"] == "right"
    wide, high = (size[0] - 76 - 240, size[1] - 24) if beside else (size[0] - 76, size[1] - 54)
    first, last = _span(named)
    steps = [step for step in defaults["thresholds"]["steps"] if step["value"] is not None and step["color"] != "transparent"]
    top = defaults.get("max") or max(value for _, values in named for _, value in values) * 1.08 or 1.0
    bottom = min(0.0, *(value for _, values in named for _, value in values)) if defaults.get("min") is None else 0.0
    spread = (top - bottom) or 1.0

    def at(moment, value):
        return f"{66 + (moment - first) / ((last - first) or 1) * wide:.1f},{8 + high * (1 - (value - bottom) / spread):.1f}"

    marks = [
        f'<line x1="66" x2="{66 + wide}" y1="{at(first, tick).split(",")[1]}" y2="{at(first, tick).split(",")[1]}" stroke="#eee"/>'
        f'<text x="60" y="{float(at(first, tick).split(",")[1]) + 4:.0f}" text-anchor="end" font-size="11">{shown(tick, defaults["unit"])}</text>'
        for tick in (bottom + spread * part / 4 for part in range(5))
    ]
    marks += [
        f'<line x1="66" x2="{66 + wide}" y1="{at(first, step["value"]).split(",")[1]}" y2="{at(first, step["value"]).split(",")[1]}" '
        f'stroke="{COLOURS.get(step["color"], step["color"])}" stroke-dasharray="6 4"/>'
        for step in steps
        if bottom <= step["value"] <= top
    ]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    below = {moment: bottom for _, values in named for moment, _ in values}
    filled = []
    for number, (name, values) in enumerate(named if stacked else []):
        edge = [*(at(*point) for point in values), *(at(moment, below[moment]) for moment, _ in reversed(values))]
        filled.append(f'<polygon opacity="0.35" fill="{_colour_of(panel, name, number)}" points="{" ".join(edge)}"/>')
        below.update(values)
    lines = [
        f'<polyline fill="none" stroke-width="1.5" stroke="{_colour_of(panel, name, number)}" points="{" ".join(at(*point) for point in values)}"/>'
        for number, (name, values) in enumerate(named)
    ]
    return f'<svg width="{size[0]}" height="{high + 18}">{"".join(marks + filled + lines)}</svg>{_legend(panel, named)}'


def _span(named):
    moments = [moment for _, values in named for moment, _ in values]
    return min(moments), max(moments)


def _stacked(named):
    height: dict[float, float] = {}
    stacked = []
    for name, values in named:
        for moment, value in values:
            height[moment] = height.get(moment, 0.0) + value
        stacked.append((name, tuple((moment, height[moment]) for moment, _ in values)))
    return stacked


def _legend(panel, named):
    legend = panel["options"]["legend"]
    if not legend["showLegend"]:
        return ""
    entries = [
        (values[-1][1], f'<i style="background:{_colour_of(panel, name, number)}"></i>{html.escape(name)} ')
        for number, (name, values) in enumerate(named)
    ]
    if legend["placement"] == "bottom":
        return f'<div class="legend">{"".join(entry for _, entry in entries)}</div>'
    unit = panel["fieldConfig"]["defaults"]["unit"]
    rows = "".join(
        f"<tr><td>{entry}</td><td>{shown(last, unit)}</td></tr>" for last, entry in sorted(entries, reverse=legend["sortDesc"])
    )
    return f'<div class="beside"><table>{rows}</table></div>'


def _states(panel, found, size):
    named = _named(panel, found)
    if not named:
        return '<div class="empty">No data</div>'
    first, last = _span(named)
    high = min(30, (size[1] - 10) // len(named))
    parts = []
    for number, (name, values) in enumerate(named):
        top = 6 + number * high
        parts.append(f'<text x="150" y="{top + high / 2 + 4:.0f}" text-anchor="end" font-size="11">{html.escape(name)}</text>')
        wide = (size[0] - 170) / max(1, last - first + 1)
        parts += [
            f'<rect x="{158 + (moment - first) * wide:.1f}" y="{top}" width="{wide + 0.5:.1f}" height="{max(3, high - 6)}" fill="{_step_colour(panel, value)}"/>'
            for moment, value in values
        ]
    return f'<svg width="{size[0]}" height="{size[1]}">{"".join(parts)}</svg>'


def _heat(panel, found, size):
    named = sorted(_named(panel, found), key=lambda each: float(each[0].replace("+Inf", "inf")))
    if not named:
        return '<div class="empty">No data</div>'
    first, last = _span(named)
    wide, high = (size[0] - 80) / max(1, last - first + 1), (size[1] - 10) / len(named)
    below: dict[float, float] = {}
    cells = []
    for number, (name, values) in enumerate(named):
        top = size[1] - 6 - (number + 1) * high
        label = name if name == "+Inf" else shown(float(name), panel["options"]["yAxis"]["unit"])
        cells.append(f'<text x="66" y="{top + high / 2 + 4:.0f}" text-anchor="end" font-size="11">{label}</text>')
        for moment, value in values:
            count = value - below.get(moment, 0.0)
            below[moment] = value
            if count > 1e-9:
                shade = min(1.0, 0.15 + count / 60)
                cells.append(
                    f'<rect x="{74 + (moment - first) * wide:.1f}" y="{top:.1f}" width="{wide + 0.3:.1f}" height="{high - 1:.1f}" fill="#1f60c4" opacity="{shade:.2f}"/>'
                )
    return f'<svg width="{size[0]}" height="{size[1]}">{"".join(cells)}</svg>'


def _table(panel, found, size):
    """The merged and renamed table, sorted as the panel says."""
    rename = panel["transformations"][1]["options"]["renameByName"]
    keys = [name for name in rename if not name.startswith("Value")]
    rows: dict[tuple, dict[str, float]] = {}
    for reference, answer in found.items():
        column = rename.get(f"Value #{reference}") or rename["Value"]
        for labels, values in zip(answer.labels, answer.values, strict=True):
            if values and time.time() - values[-1][0] < 15:
                rows.setdefault(tuple(labels.get(key, "") for key in keys), {})[column] = values[-1][1]
    columns = [rename.get(f"Value #{reference}") or rename["Value"] for reference in found]
    keep = [number for number, key in enumerate(keys) if any(row[number] for row in rows)]
    order = panel["options"].get("sortBy", [{"displayName": columns[0], "desc": True}])[0]
    sign = -1 if order["desc"] else 1
    sorting = sorted(rows.items(), key=lambda row: (sign * row[1].get(order["displayName"], -sign * -math.inf), row[0][1:2]))
    settings = {
        override["matcher"]["options"]: {each["id"]: each["value"] for each in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
    head = "".join(f"<th>{html.escape(title)}</th>" for title in [*(rename[keys[number]] for number in keep), *columns])
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(labels[number])}</td>' for number in keep)}{''.join(_cell(settings[column], row.get(column)) for column in columns)}</tr>"
        for labels, row in sorting
    )
    return f"<table><tr>{head}</tr>{body}</table>" if rows else '<div class="empty">No data</div>'


def _cell(settings: Mapping, value: float | None) -> str:
    if value is None:
        return "<td>–</td>"
    style = ""
    if "thresholds" in settings:
        mapped = [each["options"].get(f"{value:g}") for each in settings["mappings"]]
        colour = mapped[0]["color"] if mapped and mapped[0] else _threshold(settings["thresholds"]["steps"], value)
        style = f' style="background:{COLOURS.get(colour, colour)};color:#fff"'
    return f"<td{style}>{html.escape(_word(settings.get('mappings', []), value, settings['unit']))}</td>"


def _note(panel, found, size):
    return f'<div class="note">{html.escape(panel["options"]["content"])}</div>'


DRAW = {
    "stat": _stat, "timeseries": _lines, "state-timeline": _states, "heatmap": _heat, "table": _table, "text": _note,
}  # fmt: skip
