"""The API's description for people at `/docs`: one page, no script, nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec
from litestar import Request, Response, get

from botstead.store.keys import SCOPES
from botstead.web.auth import PUBLIC, needs
from botstead.web.openapi import operations

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}
summary{cursor:pointer;padding:.3rem 0}summary code{font-weight:600}.m{display:inline-block;width:4.5rem}
pre{background:#f4f4f4;padding:.8rem;overflow-x:auto}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}pre{background:#242424}h2{border-color:#444}a{color:#8bf}}
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def render(description: Mapping[str, Any]) -> str:
    """Write a description as one HTML page.

    Args:
        description: an OpenAPI document.
    """
    groups: dict[str, list[str]] = {}
    for path, method, operation in operations(description):
        tag = (operation.get("tags") or ["Other"])[0]
        groups.setdefault(tag, []).append(_entry(path, method, operation))
    scopes = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{escape(what)}</td></tr>" for name, what in SCOPES.items())
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(entries)}" for tag, entries in sorted(groups.items()))
    schemas = "".join(_schema(name, schema) for name, schema in sorted(description["components"]["schemas"].items()))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>botstead API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><h1>botstead API</h1>'
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a>. Send a key as <code>Authorization: Bearer bsk_…</code>. '
        f"Lists page by <code>?limit=&amp;before=</code>: give the <code>next</code> of a page as <code>before</code>. "
        f"Errors are problem documents with a stable <code>code</code>.</p>"
        f"<details><summary>Scopes</summary><table>{scopes}</table></details>{body}<h2>Shapes</h2>{schemas}</body></html>"
    )


def _entry(path: str, method: str, operation: Mapping[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    body = "".join(f"<p>Body</p>{_block(value.get('schema'))}" for value in content.values())
    head = f'<code class="m">{method.upper()}</code><code>{escape(path)}</code> {escape(operation.get("summary") or "")}'
    return (
        f'<details id="{escape(operation["operationId"])}"><summary>{head}</summary>'
        f"<p>{escape(operation.get('description') or '')}</p><p>Scope: <code>{escape(operation['x-scope'])}</code></p>"
        f"{_parameters(operation)}{body}{_answers(operation)}</details>"
    )


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{escape(one.get('description') or '')}</td></tr>"
        for one in operation.get("parameters", [])
    )
    return f"<table>{rows}</table>" if rows else ""


def _answers(operation: Mapping[str, Any]) -> str:
    return "".join(
        f"<p>{escape(status)}</p>" + "".join(_block(value.get("schema")) for value in (answer.get("content") or {}).values())
        for status, answer in operation["responses"].items()
        if status != "default"
    )


def _schema(name: str, schema: Any) -> str:
    return f"<details><summary><code>{escape(name)}</code></summary>{_block(schema)}</details>"


def _block(schema: Any) -> str:
    return f"<pre>{escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())}</pre>"


@get("/docs", include_in_schema=False, opt=needs(PUBLIC))
async def docs(request: Request[Any, Any, Any]) -> Response[str]:
    """The page."""
    html = render(request.app.state.description)
    return Response(html, media_type="text/html", headers={"Content-Security-Policy": POLICY})


ROUTES = (docs,)
