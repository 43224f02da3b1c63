"""`/v1/objectives`: what is promised, how much of it was kept, and when a budget is gone."""

from __future__ import annotations

from litestar import get
from litestar.params import FromPath

from botstead.operate.objectives.standing import ObjectiveDetail, ObjectiveStanding
from botstead.web.auth import needs
from botstead.web.deps import Deps
from botstead.web.paging import Page

TAGS = ["Objectives"]
SCOPE = needs("objectives:read")


@get("/v1/objectives", operation_id="listObjectives", opt=SCOPE, tags=TAGS, summary="How every promise stands")
async def list_objectives(deps: Deps) -> Page[ObjectiveStanding]:
    """All of them on one page, from the ledger in the database: right without any Prometheus, and at most ten seconds old."""
    return Page(items=await deps.standings.all())


@get("/v1/objectives/{objective:str}", operation_id="getObjective", opt=SCOPE, tags=TAGS, summary="How one promise stands")
async def get_objective(deps: Deps, objective: FromPath[str]) -> ObjectiveDetail:
    """One objective with a budget for each value of its labels, worst first, and what to do first when it breaks."""
    return await deps.standings.one(objective)


ROUTES = (list_objectives, get_objective)
