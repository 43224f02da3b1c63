"""Where a panel of a board is found in Grafana: ids that never change, and links for alerts, letters and the console."""

from __future__ import annotations

import json
import zlib
from urllib.parse import quote

_POSITIVE = 0x7FFF_FFFF
PROMETHEUS = "prometheus"
"""Uid of the data source that all boards read."""
EXPLORED = "now-6h"
"""From when on a query of an alert is drawn."""


def panel_id(board: str, panel: str) -> int:
    """Return the number of a panel. It comes from the two names alone, so a link outlives every change of layout.

    Args:
        board: uid of the board, its file's name.
        panel: name of the panel on it.
    """
    return zlib.crc32(f"{board}/{panel}".encode()) & _POSITIVE


def panel_url(board: str, panel: str = "", *, carried: tuple[str, ...] = (), **variables: str) -> str:
    """Return the address of a board or of one of its panels, below Grafana's own.

    Args:
        board: uid of the board, its file's name.
        panel: name of the panel to open alone; empty opens the board.
        carried: labels of an alert that become variables of the board; Prometheus fills them in when the alert fires.
        variables: of the board, name to value.
    """
    parts = [f"viewPanel={panel_id(board, panel)}"] if panel else []
    parts += [f"var-{name}={quote(value, safe='')}" for name, value in variables.items()]
    parts += [f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in carried]
    return f"/d/{board}/" + ("?" + "&".join(parts) if parts else "")


def explore_url(query: str) -> str:
    """Return the address at which a query is drawn and can be changed, below Grafana's own.

    See https://grafana.com/docs/grafana/latest/visualizations/explore/get-started-with-explore/ (schema version 1).

    Args:
        query: PromQL.
    """
    source = {"type": "prometheus", "uid": PROMETHEUS}
    asked = {"refId": "A", "datasource": source, "expr": " ".join(query.split()), "range": True}
    pane = {"datasource": PROMETHEUS, "queries": [asked], "range": {"from": EXPLORED, "to": "now"}}
    return f"/explore?schemaVersion=1&orgId=1&panes={quote(json.dumps({'a': pane}, separators=(',', ':')), safe='')}"
