"""The embedded edge: Caddy between the world and the API. The API itself never faces a client: a slow one would hold it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from botstead.processes.embedded import probes, wheels
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import write_whole

MAX_HEADER_BYTES = 32_768
READ_SECONDS = 15
"""Seconds that a client has for a whole request."""
CHUNKED_BUFFER = 262_144
"""Bytes kept of a body in chunks before it is sent on. Such a body is not sent again, so it need not be kept whole; and one that
does not say how long it is, kept to the limit, would cost more than 2 MB, as a buffer in Go doubles."""
MEMORY = "64MiB"
"""The heap from which on Go collects often, rather than letting it double (https://pkg.go.dev/runtime#hdr-Environment_Variables)."""
CHUNKED = {"header": {"Transfer-Encoding": ["*"]}}
"""Requests whose body comes in chunks; Caddy asks the request, not its headers, where this one is gone by then."""
REPEATABLE = ({"method": ["GET", "HEAD"]}, {"method": ["POST"], "path": ["/hooks/*"]})
"""Requests that may be sent again. A delivery may: the inbox knows it by its id. Other POSTs may not."""
LENGTH = "{http.request.header.Content-Length}"
CODES = {
    400: ("Bad Request", "bad_request"),
    404: ("Not Found", "not_found"),
    413: ("Content Too Large", "too_large"),
    503: ("Service Unavailable", "unavailable"),
}
"""Errors of the edge, with title and code; those that the API has too are the same there."""
CLOSING = ("400", "413")
"""Answers after which the connection is of no use: what would come next is the rest of a body."""
MESSAGE = "{http.error.message}"
UNREADABLE = (
    f"{MESSAGE}.matches('chunk|trailer|malformed MIME header|header line too long|bare LF|bare CR|^read tcp .*: i/o timeout$')"
)
"""What Go says of a body that it cannot read (net/http/internal/chunked.go), or that took too long. Caddy takes it for a failure
of the API, from which nothing is read with a deadline."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where the edge stands.

    Args:
        host: address to bind.
        port: port to bind.
        metrics_port: loopback port for its metrics.
        api_ports: loopback ports of the API processes.
        body_limit: the largest request body, in bytes.
        read_seconds: that a client has for a whole request.
    """

    host: str
    port: int
    metrics_port: int
    api_ports: tuple[int, ...]
    body_limit: int
    read_seconds: int = READ_SECONDS

    @property
    def listen(self) -> str:
        """The address as Caddy writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def prepare(data: Path, site: Site) -> Program:
    """Return how the edge is run.

    Args:
        data: the data folder.
        site: where it stands.

    Raises:
        ConfigurationError: Caddy is not installed.
    """
    folder = data / "edge"
    folder.mkdir(exist_ok=True, mode=0o700)
    settings = folder / "caddy.json"
    write_whole(settings, msgspec.json.format(msgspec.json.encode(configuration(site, storage=folder)), indent=2))
    return Program(
        role="edge",
        instance="edge",
        command=(str(wheels.caddy()), "run", "--config", str(settings)),
        environment={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "GOMEMLIMIT": MEMORY,
        },
        folder=folder,
        ready=probes.http(site.metrics_port, "/metrics"),
        stop_seconds=10.0,
        metrics=f"http://127.0.0.1:{site.metrics_port}/metrics",
    )


def configuration(site: Site, *, storage: Path) -> dict[str, Any]:
    """Return Caddy's configuration (https://caddyserver.com/docs/json/).

    Args:
        site: where it stands.
        storage: folder that Caddy may keep files in.
    """
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(storage)},
        "logging": {"logs": {"default": {"level": "WARN", "encoder": {"format": "json"}}}},
        "apps": {
            "http": {
                "grace_period": "5s",
                "metrics": {},
                "servers": {"edge": _edge(site), "metrics": _metrics(site.metrics_port)},
            }
        },
    }


def _edge(site: Site) -> dict[str, Any]:
    return {
        "listen": [site.listen],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "read_header_timeout": "5s",
        "read_timeout": f"{site.read_seconds}s",
        "idle_timeout": "60s",
        "max_header_bytes": MAX_HEADER_BYTES,
        "routes": [
            {
                # Such a request may have had a length too, which Go has dropped by now. Two servers could read it differently, so
                # what stands behind it is no request of anybody: RFC 9112 section 6.1 wants the connection closed.
                "match": [CHUNKED],
                "handle": [{"handler": "headers", "response": {"set": {"Connection": ["close"]}}}],
            },
            {
                # A client that took too long. Without, Go would first wait for the rest of its body, with no deadline.
                "handle": [
                    {
                        "handler": "headers",
                        "response": {"deferred": True, "require": {"status_code": [499]}, "set": {"Connection": ["close"]}},
                    }
                ],
            },
            {
                "match": [{"path": ["/metrics", "/metrics/*"]}],
                "handle": [{"handler": "error", "status_code": 404}],
                "terminal": True,
            },
            {
                # Known from its length alone, and answered before it comes, as Go does only when it closes (see `CLOSING`).
                # The limit below is for bodies that do not say how long they are.
                "match": [{"expression": f"{LENGTH} != '' && int({LENGTH}) > {site.body_limit}"}],
                "handle": [{"handler": "error", "status_code": 413}],
                "terminal": True,
            },
            {"handle": [{"handler": "request_body", "max_size": site.body_limit}]},
            {"match": [{"path": ["/chat/*/events"]}, CHUNKED], "handle": [_proxy(site, stream=True)], "terminal": True},
            {"handle": [_proxy(site, stream=False)]},
        ],
        "errors": {"routes": _errors()},
    }


def _proxy(site: Site, *, stream: bool) -> dict[str, Any]:
    handler: dict[str, Any] = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{port}"} for port in site.api_ports],
        "transport": {
            "protocol": "http",
            "dial_timeout": "2s",
            "response_header_timeout": "60s",
            # Shorter than uvicorn keeps an idle connection (5 s): a POST must not race with its closing.
            "keep_alive": {"idle_timeout": "4s"},
        },
        "load_balancing": {
            "selection_policy": {"policy": "least_conn"},
            "try_duration": "5s",
            "try_interval": "100ms",
            # Not in chunks: that may have been broken by the client, and would be as broken again.
            "retry_match": [{**safe, "not": [CHUNKED]} for safe in REPEATABLE],
        },
        # Active only: with passive checks one hostile client could put every API process out of use.
        "health_checks": {"active": {"uri": "/health/ready", "interval": "1s", "timeout": "1s"}},
        # Whole bodies before anything is sent on: a slow sender holds the edge, not the API; and a retry has the body. With
        # less than a whole one Caddy would repeat a request without it. Of bodies in chunks the first part only: see the README.
        "request_buffers": min(CHUNKED_BUFFER, site.body_limit) if stream else site.body_limit,
        # A client's word on who it is counts for nothing; Caddy sets X-Forwarded-For anew.
        "headers": {"request": {"delete": ["Forwarded", "X-Real-IP"]}},
    }
    if stream:
        handler["flush_interval"] = -1
    return handler


def _errors() -> list[dict[str, Any]]:
    """Errors of the edge itself, as problem documents (RFC 9457).

    «Retry later» is only said where a retry is safe: nothing was sent on (503), or the request may be sent twice. Another
    request that broke under way stays a 502: what became of it is not known.
    """
    known = [_error({"expression": f"{{http.error.status_code}} == {status}"}, status) for status in CODES]
    failed = "{http.error.status_code} in [502, 504]"
    theirs = _error({"expression": f"{failed} && {UNREADABLE}"}, 400)
    later = [_error({"expression": failed, **safe}, 503) for safe in REPEATABLE]
    return [*known, theirs, *later, {"handle": [_problem("{http.error.status_code}")]}]


def _error(match: dict[str, Any], status: int) -> dict[str, Any]:
    return {"match": [match], "handle": [_problem(str(status), *CODES[status])], "terminal": True}


def _problem(status: str, title: str = "{http.error.status_text}", code: str = "edge") -> dict[str, Any]:
    headers = {"Content-Type": ["application/problem+json"]}
    if status == "503":
        headers["Retry-After"] = ["1"]
    body = f'{{"type":"about:blank","title":"{title}","status":{status},"code":"{code}"}}'
    return {"handler": "static_response", "status_code": status, "headers": headers, "body": body, "close": status in CLOSING}


def _metrics(port: int) -> dict[str, Any]:
    return {
        "listen": [f"127.0.0.1:{port}"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [{"match": [{"path": ["/metrics"]}], "handle": [{"handler": "metrics"}]}],
    }
