"""A board as Grafana reads it: classic JSON, schema version 41.

Classic files load in every Grafana since 8; the newer resource format is not read from files by all of them. Keys are those
that Grafana's own schema knows, which a test checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from botstead.operate.panels import panel_id, panel_url
from dashboards.design import (
    BAD,
    GRID,
    HUES,
    PLAIN,
    STATS_A_ROW,
    Board,
    Column,
    Heat,
    Limits,
    Note,
    Panel,
    Row,
    Series,
    Stat,
    States,
    Table,
    Variable,
    asked,
)

SCHEMA: Final = 41
TAG: Final = "botstead"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
RUNBOOKS: Final = "runbooks"
"""The board that has a panel for each runbook, so that links to them work wherever Grafana does."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Json = dict[str, Any]


def board_json(board: Board) -> Json:
    """Return what Grafana reads.

    Args:
        board: to be written.
    """
    return {
        "uid": board.uid,
        "title": board.title,
        "description": " ".join(board.asks),
        "tags": [TAG],
        "timezone": "browser",
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_datasource(), *(_variable(each) for each in board.variables)]},
        "annotations": {"list": _annotations()},
        "links": [_boards_link()],
        "panels": list(_panels(board)),
    }


def places(row: Row, top: int) -> Iterator[tuple[Panel, Json]]:
    """Give each panel of a row its place: from left to right, line by line, and each line filled.

    Args:
        row: to be laid out.
        top: its first free line.
    """
    for line in _lines_of(row):
        spare = GRID - sum(map(_width, line))
        left = 0
        for number, panel in enumerate(line):
            wide = _width(panel) + spare // len(line) + (number < spare % len(line))
            yield panel, {"x": left, "y": top, "w": wide, "h": panel.high}
            left += wide
        top += max(panel.high for panel in line)


def _width(panel: Panel) -> int:
    return panel.wide or GRID // (STATS_A_ROW if isinstance(panel, Stat) else 2)


def _lines_of(row: Row) -> Iterator[list[Panel]]:
    line: list[Panel] = []
    for panel in row.panels:
        if line and sum(map(_width, line)) + _width(panel) > GRID:
            yield line
            line = []
        line.append(panel)
    yield line


def _panels(board: Board) -> Iterator[Json]:
    top = 0
    for row in board.rows:
        heading: Json = {
            "id": panel_id(board.uid, f"row {row.title}"),
            "type": "row",
            "title": row.title,
            "collapsed": row.closed,
            "gridPos": {"x": 0, "y": top, "w": GRID, "h": 1},
            "panels": [],
        }
        inside = [_panel(board, panel, place) for panel, place in places(row, top + 1)]
        top = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in inside)
        if row.closed:
            yield heading | {"panels": inside}
            top = heading["gridPos"]["y"] + 1
        else:
            yield heading
            yield from inside


def _panel(board: Board, panel: Panel, place: Json) -> Json:
    kind, options, custom = _kind(panel)
    found: Json = {
        "id": panel_id(board.uid, panel.key),
        "type": kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": _targets(panel),
        "fieldConfig": {"defaults": _defaults(panel, custom), "overrides": _overrides(panel)},
        "options": options,
        "links": _links(panel),
    }
    if isinstance(panel, Table):
        found["transformations"] = _transformations(panel)
    return found


def _kind(panel: Panel) -> tuple[str, Json, Json]:
    """Return Grafana's type of a panel, its options, and what is particular to its fields."""
    legend: Json = {"displayMode": "list", "placement": "bottom", "showLegend": len(asked(panel)) > 1 or "{{" in _legend(panel)}
    tooltip = {"mode": "multi", "sort": "desc"}
    options: Json
    match panel:
        case Note():
            return "text", {"mode": "markdown", "content": panel.text}, {}
        case Stat():
            reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            options = {"reduceOptions": reduce, "colorMode": "background" if _judged(panel) else "none", "textMode": "auto"}
            return "stat", options | {"graphMode": "area" if panel.trend else "none", "justifyMode": "center"}, {}
        case Series():
            return "timeseries", {"legend": legend | _beside(panel), "tooltip": tooltip}, _lines(panel)
        case States():
            options = {"legend": legend, "tooltip": tooltip, "mergeValues": True, "showValue": "never", "rowHeight": 0.8}
            return "state-timeline", options, {"fillOpacity": 80, "lineWidth": 0}
        case Heat():
            return "heatmap", _heat(panel), {}
        case Table():
            options = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
            if panel.worst:
                options["sortBy"] = [{"displayName": panel.worst, "desc": not panel.rising}]
            return "table", options, {"align": "auto", "inspect": False}
        case _:
            raise TypeError(f"{type(panel).__name__} is not a panel that Grafana has.")


def _legend(panel: Panel) -> str:
    return panel.queries[0].legend if panel.queries else ""


def _beside(panel: Series) -> Json:
    """Where many lines come and go, their names stand in a table at the right, with the last value of each."""
    first = panel.queries[0].expr.partition("(")[0]
    if first not in ("topk", "bottomk"):
        return {"calcs": []}
    order = {"sortBy": "Last *", "sortDesc": first == "topk"}
    return {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull"]} | order


def _judged(panel: Panel) -> bool:
    return bool(panel.limits or panel.words)


def _lines(panel: Series) -> Json:
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 40 if panel.stacked else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if panel.limits else "off"},
    }


def _heat(panel: Heat) -> Json:
    return {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 32, "exponent": 0.5, "reverse": False, "fill": "dark-blue"},
        "yAxis": {"unit": panel.unit, "axisPlacement": "left", "reverse": False},
        "cellGap": 1,
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
    }


def _targets(panel: Panel) -> list[Json]:
    now = isinstance(panel, Table)
    style = "table" if now else "heatmap" if isinstance(panel, Heat) else "time_series"
    return [
        {
            "refId": _LETTERS[number],
            "datasource": SOURCE,
            "expr": query.expr,
            "legendFormat": "" if now else query.legend or "__auto",
            "format": style,
            "instant": now,
            "range": not now,
            "exemplar": not now and "_bucket" in query.expr and not isinstance(panel, Stat),
            "editorMode": "code",
        }
        for number, query in enumerate(asked(panel))
    ]


def _defaults(panel: Panel, custom: Json) -> Json:
    found: Json = {
        "unit": panel.unit,
        "color": {"mode": "thresholds"} if _judged(panel) and not isinstance(panel, Series) else {"mode": "palette-classic"},
        "thresholds": _thresholds(panel.limits, drawn=isinstance(panel, Series)),
        "mappings": _mappings(panel.words),
        "custom": custom,
        "noValue": "–",
    }
    if isinstance(panel, Series):
        found |= {} if panel.negative else {"min": 0}
        found |= {} if panel.most is None else {"max": panel.most}
    return found


def _thresholds(limits: Limits | None, *, drawn: bool = False) -> Json:
    """Return where colours change. A line is drawn only where it is crossed into something worse, so the good is clear there."""
    steps = limits.steps() if limits else [(None, PLAIN)]
    clear = [(value, "transparent" if drawn and color not in (BAD, "orange") else color) for value, color in steps]
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in clear]}


def _mappings(words: Any) -> list[Json]:
    if not words:
        return []
    options = {
        str(value): {"text": text, "color": color, "index": place} for place, (value, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}]


def _overrides(panel: Panel) -> list[Json]:
    if isinstance(panel, Table):
        return [_column(column) for column in panel.columns] + _followed(panel)
    if isinstance(panel, Series):
        return [
            {
                "matcher": {"id": "byName", "options": word},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": hue}}],
            }
            for word, hue in HUES.items()
            if _may_be_named(panel, word)
        ]
    return []


def _may_be_named(panel: Series, word: str) -> bool:
    """Whether a line may carry this word: it is its legend, or the legend is a label whose values are words with colours."""
    legends = {query.legend for query in panel.queries}
    return word in legends or any(f"{{{{{label}}}}}" in legends for label in _COLOURED)


_COLOURED = ("outcome", "stage", "result", "reason", "http_response_status_code", "state")


def _column(column: Column) -> Json:
    properties: list[Json] = [{"id": "unit", "value": column.unit}]
    if column.limits or column.words:
        properties += [
            {"id": "thresholds", "value": _thresholds(column.limits)},
            {"id": "mappings", "value": _mappings(column.words)},
            {"id": "color", "value": {"mode": "thresholds"}},
            {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}},
        ]
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties}


def _followed(panel: Table) -> list[Json]:
    if not panel.follow:
        return []
    title = next(iter(panel.keys.values()))
    url = f"/d/{panel.opens}/?var-{panel.follow}=${{__value.raw:percentencode}}&${{__url_time_range}}"
    link = {"title": f"Open this on {panel.opens}", "url": url}
    return [{"matcher": {"id": "byName", "options": title}, "properties": [{"id": "links", "value": [link]}]}]


def _transformations(panel: Table) -> list[Json]:
    names = {f"Value #{_LETTERS[number]}": column.title for number, column in enumerate(panel.columns)}
    if len(panel.columns) == 1:
        names["Value"] = panel.columns[0].title
    order = {name: place for place, name in enumerate([*panel.keys, *names])}
    organize = {"excludeByName": {"Time": True}, "renameByName": {**panel.keys, **names}, "indexByName": order}
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]


def _links(panel: Panel) -> list[Json]:
    found = []
    if panel.opens:
        found.append((f"More: {panel.opens}", panel_url(panel.opens) + "?${__url_time_range}"))
    if isinstance(panel, Note) and panel.about:
        found.append(("The panel", panel_url(panel.opens, panel.about)))
    if panel.runbook:
        found.append((f"Runbook: {panel.runbook}", panel_url(RUNBOOKS, panel.runbook)))
    return [_link(title, url) for title, url in found]


def _link(title: str, url: str) -> Json:
    return {
        "title": title, "type": "link", "icon": "", "tooltip": "", "url": url, "tags": [],
        "asDropdown": False, "targetBlank": False, "includeVars": False, "keepTime": False,
    }  # fmt: skip


def _boards_link() -> Json:
    return _link("Boards", "") | {"type": "dashboards", "tags": [TAG], "asDropdown": True, "includeVars": True, "keepTime": True}


def _datasource() -> Json:
    return {"name": "datasource", "type": "datasource", "label": "Prometheus", "query": "prometheus", "refresh": 1}


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.metric}, {variable.label})"
    found: Json = {
        "name": variable.name,
        "label": variable.title,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": variable.name},
        "refresh": 2,
        "sort": 1,
        "multi": not variable.single,
        "includeAll": not variable.single,
    }
    if variable.single:
        return found
    return found | {"allValue": ".+", "current": {"text": ["All"], "value": ["$__all"], "selected": True}}


def _annotations() -> list[Json]:
    return [
        _annotation("Pages", 'ALERTS{alertstate="firing",severity="page"}', BAD, said="{{alertname}} {{slo}} {{bot}}"),
        _annotation("Restarts", "changes(process_start_time_seconds[$__interval]) > 0", PLAIN, said="{{instance}} started"),
        _annotation(
            "Releases",
            "count by (version) (botstead_build_info) unless count by (version) (botstead_build_info offset 2m)",
            PLAIN,
            said="{{version}} came",
        ),
    ]


def _annotation(name: str, expr: str, color: str, *, said: str) -> Json:
    return {
        "name": name,
        "titleFormat": said,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expr,
    }


def panel_ids(boards: Sequence[Board]) -> dict[str, dict[str, int]]:
    """Return board to panel to number, for whoever writes links.

    Args:
        boards: all of them.
    """
    return {board.uid: {panel.key: panel_id(board.uid, panel.key) for panel in board.panels()} for board in boards}
