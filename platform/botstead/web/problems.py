"""Every error as a problem document (RFC 9457, https://www.rfc-editor.org/rfc/rfc9457), with a stable `code`.

A stranger's fault is always 4xx: nobody outside may burn the error budget. What is our fault says nothing of the inside.
"""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from botstead.core.errors import BotsteadError, Invalid, NotFound, TooLarge, Unreadable
from botstead.telemetry.logs import event

MEDIA_TYPE = "application/problem+json"
DEPTH_MESSAGE = "The JSON is nested too deep: at most 64 levels."
_LOG = logging.getLogger(__name__)
_CODES = {400: Unreadable.code, 404: NotFound.code, 405: "method_not_allowed", 413: TooLarge.code, 422: Invalid.code}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document.

    Args:
        type: a URI that names the kind of problem.
        title: the kind in words.
        status: the HTTP status.
        detail: this one, and the next step.
        code: the kind for programs; never changes.
        retry_after: seconds, as in the header of that name.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry_after: int | None = None


def describe(*, status: int, code: str, detail: str, after: float | None = None) -> Problem:
    """Build a problem document.

    Args:
        status: the HTTP status.
        code: the stable name.
        detail: what happened and the next step.
        after: seconds until a retry makes sense; rounded up.
    """
    return Problem(
        type=f"urn:botstead:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        retry_after=None if after is None else max(1, math.ceil(after)),
    )


def answer(problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Turn a problem document into a response."""
    extra = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {}), **extra},
    )


def _ours(request: Request[Any, Any, Any], error: BotsteadError) -> Response[bytes]:
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not error.expected:
        return _unforeseen(request, error)
    return answer(describe(status=error.status, code=error.code, detail=error.message, after=error.after))


def _frameworks(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if isinstance(error.__cause__, RecursionError):
        return _too_deep(request, error.__cause__)
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unforeseen(request, error)
    if isinstance(error, ValidationException):
        return answer(describe(status=Invalid.status, code=Invalid.code, detail=_which(error)))
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    return answer(describe(status=error.status_code, code=code, detail=_words(error)), error.headers)


def _words(error: HTTPException) -> str:
    """Our words where the framework's repeat the input or say nothing."""
    if error.status_code == Unreadable.status:
        return Unreadable().message
    if error.status_code == NotFound.status:
        return "There is nothing at this address. /docs lists the addresses."
    return error.detail


def _which(error: ValidationException) -> str:
    """Name the fields that are wrong, never their values."""
    found = error.extra if isinstance(error.extra, list) else []
    parts = [": ".join(filter(None, (str(item.get("key", "")), str(item.get("message", ""))))) for item in found]
    return "; ".join(parts) or Invalid().message


def _too_deep(_request: Request[Any, Any, Any], _error: Exception) -> Response[bytes]:
    return answer(describe(status=Unreadable.status, code=Unreadable.code, detail=DEPTH_MESSAGE))


def _unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Ours: tell the operator everything, the caller nothing but that it is not their fault."""
    route = request.scope.get("path_template") or ""
    event(_LOG, "request_failed", level=logging.ERROR, exception=error, route=route, method=request.method)
    return answer(describe(status=BotsteadError.status, code=BotsteadError.code, detail=BotsteadError().message))


HANDLERS: ExceptionHandlersMap = {
    BotsteadError: _ours,
    HTTPException: _frameworks,
    RecursionError: _too_deep,
    Exception: _unforeseen,
}
"""For `Litestar(exception_handlers=…)`."""
