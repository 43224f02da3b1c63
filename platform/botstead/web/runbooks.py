"""Runbooks at `/runbooks/NAME.md`, where the links of alerts lead: what to do, from the appliance that complains.

They are no secret (everybody has them with the program), and whoever is woken at night may have no key at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from botstead.core.errors import NotFound
from botstead.operate.objectives.document import shipped
from botstead.web.auth import PUBLIC, needs

FOLDER: Final = "runbooks"
SUFFIX: Final = ".md"
PLACES: Final = """
## Where that is

- After `scripts/up`: `DATA` is the data folder, by default `.botstead`.
- On Docker Compose, in the folder of compose.yaml: `DATA/logs/NAME.log` is `docker compose logs NAME`, without `-a` for worker
  and scheduler; `botstead …` is `docker compose exec api-a botstead …`; SQL goes to
  `docker compose exec postgres psql -U botstead`; settings are in `compose/prometheus` and `secrets/receivers`.
"""
"""Added to each page: whoever is woken does not know what the pages take for known."""


def pages(folder: Path) -> Mapping[str, str]:
    """Read all runbooks, each with the places that its words stand for.

    Args:
        folder: with a Markdown file for each alert, by its name.
    """
    return {path.name: path.read_text("utf-8").rstrip() + "\n" + PLACES for path in folder.glob(f"*{SUFFIX}")}


@cache
def _shipped() -> Mapping[str, str]:
    return pages(shipped(FOLDER))


@get("/runbooks/{name:str}", include_in_schema=False, sync_to_thread=False, opt=needs(PUBLIC))
def runbook(name: FromPath[str]) -> Response[str]:
    """The page of an alert, as it was written: Markdown reads well without a program."""
    page = _shipped().get(name)
    if page is None:
        raise NotFound("There is no such runbook. Its name is the alert's, such as /runbooks/QueueStuck.md.")
    return Response(page, media_type="text/plain")


ROUTES = (runbook,)
