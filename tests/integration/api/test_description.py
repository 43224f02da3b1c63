"""The API's description of itself, and the page made of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from botstead.web.openapi import operations
from tests.integration.api.served import told


class _Loads(HTMLParser):
    """Collects what a browser would fetch or run."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [tag] if tag in {"script", "link", "img", "iframe", "object"} else []
        self.found += [name for name, _ in attrs if name in {"src", "style"} or name.startswith("on")]


def test_the_description_is_whole(postgres_dsn):
    async def story(api):
        answer = await api.stranger.get("/openapi.json")
        description = answer.json()
        assert description["openapi"].startswith("3.1")
        schemas = description["components"]["schemas"]
        for reference in re.findall(r'"#/components/schemas/([^"]+)"', answer.text):
            assert reference in schemas
        for path, _method, operation in operations(description):
            assert operation["operationId"]
            assert operation["summary"]
            assert operation["description"], path
            assert operation["responses"]["default"]["content"]["application/problem+json"]
            assert bool(operation["security"]) == (operation["x-scope"] != "public")
            declared = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert declared == set(re.findall(r"\{([^}]+)\}", path))
        contract = {
            "/v1/bots",
            "/v1/bots/{bot}",
            "/v1/bots/{bot}/channels",
            "/v1/conversations/{conversation}/messages",
            "/v1/dead-letters/replay",
            "/v1/messages",
            "/v1/payments",
            "/v1/payments/{payment}",
            "/v1/payments/{payment}/refund",
            "/v1/objectives",
            "/v1/objectives/{objective}",
            "/v1/bots/{bot}/report",
            "/health/ready",
        }
        assert contract <= set(description["paths"])

    told(postgres_dsn, story)


def test_the_page_needs_no_script_and_nobody_else(postgres_dsn):
    async def story(api):
        answer = await api.stranger.get("/docs")
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        loads = _Loads()
        loads.feed(answer.text)
        assert loads.found == []
        assert "http://" not in answer.text.replace("http://127.0.0.1", "")
        for _path, _method, operation in operations(api.app.state.description):
            assert f'id="{operation["operationId"]}"' in answer.text

    told(postgres_dsn, story)
