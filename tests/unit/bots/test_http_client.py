"""`Http`: only to the hosts that bot.toml lists, and answers that are no answers are errors."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from botstead import Bot, Http
from botstead.bots.manifest import Manifest
from botstead.bots.runner import PythonBot
from botstead.core.errors import EgressError, EgressRefused, EgressTimeout, EgressUnsent
from botstead.core.messages import Call, Event, Kind, Response, Send
from botstead.core.ports import Incoming, Limits
from botstead.runtime.outside import Outside
from botstead.telemetry.catalog import INTEGRATION_DURATION, INTEGRATION_REQUESTS


class Recorder:
    """A way out that leads nowhere: records calls, gives prepared answers."""

    def __init__(self, status=200, body=b'{"a":1}') -> None:
        self.calls: list[Call] = []
        self.answer = Response(status=status, body=body)

    async def call(self, call, secrets=None):
        self.calls.append(call)
        return self.answer


def test_json_in_and_out():
    egress = Recorder()
    http = Http(Outside(egress), ("api.example.org",))
    assert asyncio.run(http.get_json("https://api.example.org/v1?x=1", {"q": "å b", "n": [1, 2]}, seconds=3)) == {"a": 1}
    assert asyncio.run(http.post_json("https://api.example.org/v1", {"k": "v"}, headers={"x-y": "z"})) == {"a": 1}
    get, post = egress.calls
    assert (get.method, get.url, get.timeout, get.service) == (
        "GET",
        "https://api.example.org/v1?x=1&q=%C3%A5+b&n=1&n=2",
        pytest.approx(3, abs=0.1),
        "http",
    )
    assert (post.method, post.body) == ("POST", b'{"k":"v"}')
    assert post.headers == {"content-type": "application/json", "accept": "application/json", "x-y": "z"}


@pytest.mark.parametrize(
    ("allowed", "url", "passes"),
    [
        (("api.example.org",), "https://api.example.org/x", True),
        (("api.example.org",), "https://API.example.org:8443/x", True),
        (("*.example.org",), "https://a.b.example.org", True),
        (("*.example.org",), "https://example.org", False),
        (("*.example.org",), "https://example.org.evil.net", False),
        (("api.example.org",), "https://api.example.org@evil.net/", False),
        (("127.0.0.1:9000",), "http://127.0.0.1:9000/", True),
        (("127.0.0.1:9000",), "http://127.0.0.1:9001/", False),
        (("*",), "https://anything.example", True),
        (("*",), "file:///etc/passwd", False),
        (("*",), "https://x:99999/", False),
        ((), "https://api.example.org", False),
    ],
)
def test_only_listed_hosts(allowed, url, passes):
    egress = Recorder()
    call = Http(Outside(egress), allowed).get(url)
    if passes:
        assert asyncio.run(call).status == 200
    else:
        with pytest.raises(EgressRefused, match=r"Add it to bot\.toml|is no http"):
            asyncio.run(call)
        assert not egress.calls


@pytest.mark.parametrize(
    ("status", "body", "why"), [(404, b"{}", "answered 404"), (500, b"", "answered 500"), (200, b"<html>", "not JSON")]
)
def test_no_json_is_an_error(status, body, why):
    with pytest.raises(EgressError, match=why):
        asyncio.run(Http(Outside(Recorder(status, body)), ("x.org",)).get_json("https://x.org"))


@pytest.mark.parametrize("url", ["ftp://a.example/{}", "htt p://a.example?key={}", "http://a.example:99999/{}", "http://[{}/"])
def test_an_address_that_is_none_is_not_repeated(url):
    """The words of our errors stand in dead letters; a query may hold a key."""
    with pytest.raises(EgressRefused) as refused:
        asyncio.run(Http(Outside(Recorder()), ("*",)).get(url.format("canary"), {"key": "canary"}))
    assert "canary" not in str(refused.value)


def test_an_empty_answer_is_none():
    assert asyncio.run(Http(Outside(Recorder(204, b"")), ("x.org",)).post_json("https://x.org", 1)) is None


def test_a_handler_gets_the_client_of_its_bot():
    bot = Bot("caller")

    @bot.on.message
    async def h(http: Http) -> str:
        return str(await http.get_json("https://x.org/1"))

    egress = Recorder()
    handler = PythonBot(bot, Manifest(egress=("x.org",)), outside=Outside(egress))
    incoming = Incoming(
        id=1, bot="caller", channel="t", account=1, conversation="1.c", event=Event(Kind.MESSAGE, "c", "k", text="x")
    )
    assert asyncio.run(handler.handle(incoming)).actions == (Send("{'a': 1}"),)
    assert (egress.calls[0].service, egress.calls[0].places) == ("http", "http:caller:x.org")
    assert egress.calls[0].timeout == pytest.approx(8.0, abs=0.1)


class Broken:
    """A way out that raises."""

    def __init__(self, error: EgressError) -> None:
        self.error = error

    async def call(self, call, secrets=None):
        raise self.error


@pytest.mark.parametrize(
    ("egress", "outcome", "tries"),
    [
        (Recorder(200), "ok", 1),
        (Recorder(404), "ok", 1),
        (Recorder(302), "ok", 1),
        (Recorder(429), "limited", 3),
        (Recorder(503), "error", 3),
        (Broken(EgressTimeout("x")), "timeout", 3),
        (Broken(EgressRefused("x")), "refused", 1),
        (Broken(EgressUnsent("x")), "error", 3),
    ],
)
def test_what_becomes_of_calls_is_counted(egress, outcome, tries):
    http = Http(Outside(egress, chance=lambda: 0.0), ("*",))
    counter, duration = INTEGRATION_REQUESTS.at("http", outcome), INTEGRATION_DURATION.at("http")
    before = counter.value, duration.count
    with suppress(EgressError):
        asyncio.run(http.get("https://api.example.org/"))
    assert (counter.value - before[0], duration.count - before[1]) == (1, tries)


def test_a_redirect_is_returned_and_not_followed():
    egress = Recorder(302, b"")
    egress.answer = Response(status=302, headers={"location": "http://169.254.169.254/"})
    answer = asyncio.run(Http(Outside(egress), ("x.org",)).get("https://x.org"))
    assert (answer.status, answer.headers["location"], len(egress.calls)) == (302, "http://169.254.169.254/", 1)


def test_calls_end_a_little_before_the_run_so_that_the_handler_can_say_so():
    bot = Bot("late")

    class Slow:
        async def call(self, call, secrets=None):
            await asyncio.wait_for(asyncio.Event().wait(), call.timeout + 1) if call.timeout > 0.2 else None
            raise EgressTimeout("late")

    @bot.on.message
    async def h(http: Http) -> str:
        try:
            await http.post("https://x.org/", b"", seconds=60)
        except EgressTimeout:
            return "late"
        return "in time"

    limits = Limits(deadline=0.2)
    handler = PythonBot(bot, Manifest(egress=("x.org",), limits=limits), outside=Outside(Slow()))
    incoming = Incoming(
        id=1, bot="late", channel="t", account=1, conversation="1.c", event=Event(Kind.MESSAGE, "c", "k", text="x")
    )
    assert asyncio.run(handler.handle(incoming)).actions == (Send("late"),)
