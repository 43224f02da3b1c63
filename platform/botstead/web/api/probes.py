"""The addresses that balancers and people ask for health."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from botstead.core.errors import Unavailable
from botstead.web.auth import PUBLIC, known, needs
from botstead.web.deps import AppDeps, Deps
from botstead.web.health import Report

RETRY_AFTER = 5
"""Seconds after which whoever was told «not ready» should ask again."""


def _answer(report: Report, *, good: bool) -> Response[Report]:
    headers = {"Cache-Control": "no-store"} if good else {"Cache-Control": "no-store", "Retry-After": str(RETRY_AFTER)}
    return Response(report, status_code=200 if good else 503, headers=headers)


async def _shown(request: Request[Any, Any, Any], deps: AppDeps, report: Report) -> Report:
    """Hide the detail from whoever holds no key, or whose key cannot be checked now."""
    try:
        principal = await known(request, deps.keys)
    except Unavailable:
        principal = None
    return report if principal else Report(status=report.status)


@get("/health", operation_id="health", opt=needs(PUBLIC), tags=["Health"], summary="How this process is")
async def health(request: Request[Any, Any, Any], deps: Deps) -> Response[Report]:
    """Always 200; the status is in the body, detail only for key holders."""
    return _answer(await _shown(request, deps, await deps.probes.report()), good=True)


@get("/health/live", operation_id="live", opt=needs(PUBLIC), tags=["Health"], summary="Whether the process turns")
async def live() -> Response[Report]:
    """200 as long as requests are answered at all; nothing else is looked at."""
    return _answer(Report(status="ok"), good=True)


@get("/health/ready", operation_id="ready", opt=needs(PUBLIC), tags=["Health"], summary="Whether requests should come here")
async def ready(request: Request[Any, Any, Any], deps: Deps) -> Response[Report]:
    """503 with Retry-After while it starts, drains, or lacks something it needs."""
    report = await deps.probes.report()
    return _answer(await _shown(request, deps, report), good=report.ready)


@get("/health/startup", operation_id="startup", opt=needs(PUBLIC), tags=["Health"], summary="Whether warm-up is done")
async def startup(deps: Deps) -> Response[Report]:
    """503 until then; nothing else is looked at."""
    good = deps.probes.started
    return _answer(Report(status="ok" if good else "starting"), good=good)


ROUTES = (health, live, ready, startup)
