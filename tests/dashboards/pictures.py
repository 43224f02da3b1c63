"""Draw every board from a live Prometheus: `python -m tests.dashboards.pictures FOLDER [SECONDS]`.

The installation works and fails for a while as in `test_live`; then each board is a page and a picture in the folder, for a person
to look at. Rates and ranges are those of so short a time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop
from dashboards.boards import BOARDS
from dashboards.design import Board
from dashboards.grafana import board_json
from dashboards.runbooks import runbooks
from playwright.async_api import async_playwright

from tests.dashboards import drawing, live
from tests.dashboards.promql import filled

BROWSER = {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox", "--disable-gpu"]}
WIDTH = 24 * drawing.CELL + 30


async def _page(watched: live.Watched, board: Board) -> str:
    raw = board_json(board)
    values = {variable.name: ".+" for variable in board.variables}
    answers = {}
    for panel in drawing._every(raw):
        for target in panel.get("targets", ()):
            expression = filled(
                target["expr"], {**values, "__rate_interval": live.RATE_WINDOW, "__range": "30s", "__interval": "5s"}
            )
            answers[panel["id"], target["refId"]] = await watched.over_time(expression)
    return drawing.page(raw, answers)


async def draw(folder: Path, seconds: float) -> None:
    """Write a page and a picture of each board."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        async with live.watched(Path(scratch)) as watched:
            await asyncio.sleep(seconds)
            for board in BOARDS:
                (folder / f"{board.uid}.html").write_text(await _page(watched, board))
    (folder / "runbooks.html").write_text(drawing.page(board_json(runbooks()), {}))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**BROWSER)
        page = await browser.new_page(viewport={"width": WIDTH, "height": 900})
        for board in (*BOARDS, runbooks()):
            await page.goto((folder / f"{board.uid}.html").as_uri())
            await page.screenshot(path=folder / f"{board.uid}.png", full_page=True)
        await browser.close()


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    place.mkdir(parents=True, exist_ok=True)
    uvloop.run(draw(place, float(sys.argv[2]) if len(sys.argv) > 2 else 40.0))
