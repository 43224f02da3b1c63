"""What an edge lets in, and what it says of whom. Each play returns what was wrong, in words."""

from __future__ import annotations

import asyncio
import base64

import msgspec

from botstead.processes.prove.rawhttp import Heard, connect, request, say
from tests.edges.edges import PASSWORD, Site
from tests.edges.upstream import SERVED

KEY = [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
"""The sample of RFC 6455, section 1.3."""


async def unknown_names(site: Site) -> list[str]:
    """Ask for hosts that are not ours, over TLS and without."""
    wrong = []
    for host in ("evil.example", "127.0.0.1", "localhost.evil.example"):
        for heard in (await site.say(request("GET", "/told", host=host)), await _plainly(site, host)):
            wrong += [f"{host}: {heard.statuses}"] if heard.statuses != [421] or not heard.answers[0].body else []
    heard = await _plainly(site, "localhost")
    wrong += [f"no redirection: {heard.statuses}"] if heard.statuses != [308] else []
    return wrong


async def _plainly(site: Site, host: str) -> Heard:
    return await say(site.ports.plain, request("GET", "/told?a=b", host=host))


async def told(site: Site, path: str = "/told", headers: tuple[tuple[str, str], ...] = ()) -> list[tuple[str, str]]:
    """Return the headers that an API process gets of a request."""
    heard = await site.say(request("GET", path, headers=headers))
    assert heard.statuses == [200], heard
    return msgspec.json.decode(heard.answers[0].body, type=list[tuple[str, str]])


async def forged_addresses(site: Site) -> list[str]:
    """Claim to be somebody else in each header that could say so."""
    names = (
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-WEBAUTH-USER",
        "x-webauth-user",
    )
    got = await told(site, headers=(*((name, "6.6.6.6") for name in names), ("X-Forwarded-For", "7.7.7.7")))
    wrong = [f"{name}: {value}" for name, value in got if "6.6.6.6" in value or "7.7.7.7" in value]
    expected = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https", "x-forwarded-host": "localhost"}
    return wrong + [f"{name} is {dict(got).get(name)}" for name, value in expected.items() if dict(got).get(name) != value]


async def grafana(site: Site) -> list[str]:
    """Ask for the boards without the login, with a wrong one, and with the right one and a forged name."""
    wrong = []
    for login in (None, "operator:wrong", "admin:" + PASSWORD, "operator:"):
        headers = [_basic(login)] if login else []
        heard = await site.say(request("GET", "/grafana/told", headers=headers))
        wrong += [f"{login}: {heard.statuses}"] if heard.statuses != [401] else []
        kept = heard.answers[0].headers.get("www-authenticate", "") if heard.answers else ""
        wrong += [f"{login}: it is not asked for"] if not kept.startswith("Basic ") else []
    headers = (_basic(f"operator:{PASSWORD}"), ("X-WEBAUTH-USER", "admin"), ("X-WEBAUTH-USER", "root"))
    got = await site.say(request("GET", "/grafana/told", headers=headers))
    if got.statuses != [200]:
        return [*wrong, f"refused: {got.statuses}"]
    names = [value for name, value in msgspec.json.decode(got.answers[0].body) if name == "x-webauth-user"]
    lower = {name for name, _ in msgspec.json.decode(got.answers[0].body)}
    return (
        wrong
        + ([f"names: {names}"] if names != ["operator"] else [])
        + (["the password went on"] if "authorization" in lower else [])
    )


def _basic(login: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(login.encode()).decode()


async def metrics(site: Site) -> list[str]:
    """Read the edge's metrics on its inner port; through the edge nobody's can be read."""
    inner = await say(site.ports.metrics, request("GET", "/metrics"))
    wrong = [f"inner: {inner.statuses}"] if inner.statuses != [200] or b"# TYPE" not in inner.answers[0].body else []
    health = await say(site.ports.metrics, request("GET", "/health"))
    wrong += [f"health: {health.statuses}"] if health.statuses != [200] else []
    for path in ("/metrics", "/metrics/", "/metrics/x", "//metrics", "/%6detrics", "/x/../metrics"):
        heard = await site.say(request("GET", path))
        wrong += [f"{path}: {heard.statuses}"] if any(status < 400 for status in heard.statuses) else []
    return wrong


async def door(site: Site) -> list[str]:
    """Deliver by the inner door, as the canary does; nothing else comes in there."""
    taken = await say(site.ports.door, request("POST", SERVED, body=b"canary", host="edge"))
    wrong = [f"a delivery: {taken.statuses}"] if taken.statuses != [200] else []
    for path in ("/", "/told", "/v1/orders", "/grafana/told", "/metrics"):
        heard = await say(site.ports.door, request("GET", path, host="edge"))
        wrong += [f"{path}: {heard.statuses}"] if heard.statuses != [404] else []
    return wrong


async def websocket(site: Site) -> list[str]:
    """Upgrade a connection to Grafana, as its live boards do, and say something both ways."""
    grafana = site.slots["grafana"]
    grafana.kill()
    server = await asyncio.start_server(_echo, "127.0.0.1", grafana.port)
    reader, writer = await connect(site.ports.https, site.tls)
    try:
        async with asyncio.timeout(10):
            upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), *KEY, _basic(f"operator:{PASSWORD}")]
            writer.write(request("GET", "/grafana/api/live/ws", headers=upgrade))
            told = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"spoken")
            heard = await reader.readexactly(6) if b" 101 " in told else b""
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        return [repr(error)]
    finally:
        writer.transport.abort()
        server.close()
        grafana.start()
        await site.listens(grafana)
    return [] if heard == b"spoken" else [f"{told[:60]!r}, then {heard!r}"]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    if b"upgrade: websocket" in asked.lower():
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + ACCEPT)
        writer.write(await reader.read(100))
        await writer.drain()
        await reader.read()
    writer.close()
