"""Declared REST services over the real way out: who asks, what is repeated, what is kept."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from botstead.core.declared import Auth, RestDeclared
from botstead.core.errors import EgressError, EgressRefused, EgressTimeout, SecretMissing
from botstead.core.messages import Event, Kind
from botstead.core.ports import Incoming
from botstead.core.secret import Secret
from botstead.integrations.rest.client import Rest, RestDesk
from botstead.integrations.rest.errors import RestAnswered, RestInvalid, RestKeyRefused
from botstead.integrations.rest.service import RestService
from botstead.runtime.egress import EgressClient
from botstead.runtime.outside import Outside
from botstead.store.valkey import MemoryCache
from botstead.telemetry.catalog import INTEGRATION_REQUESTS
from tests.doubles.rest_service import TOKEN_PATH, Asked, RestDouble, rest_service

SECRET = "canary-secret+/=1"


class Hand:
    """A clock that tests move; cache, deadlines and tokens go by it."""

    def __init__(self) -> None:
        self.moved = 0.0

    def now(self) -> float:
        return time.time() + self.moved

    def monotonic(self) -> float:
        return time.monotonic() + self.moved


class Given:
    """Secrets as a test wants them."""

    def __init__(self, **values: str) -> None:
        self.values = {name: Secret(value) for name, value in values.items()}

    def of(self, _bot: str) -> dict[str, Secret]:
        return self.values


class Watched:
    """The real way out; keeps the calls as code above the transport sees them."""

    def __init__(self, allow: str) -> None:
        self.egress = EgressClient(allow=[allow] if allow else [])
        self.calls: list[str] = []

    async def call(self, call, secrets=None):
        self.calls.append(repr(call) + repr(secrets))
        return await self.egress.call(call, secrets or {})


class Memory:
    """A cache that keeps everything it is told."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        assert seconds > 0
        self.kept[key] = value


class Setting:
    """A double and the bots that call it."""

    def __init__(self, double: RestDouble, watched: Watched) -> None:
        self.double = double
        self.watched = watched
        self.clock = Hand()
        self.cache = Memory()
        self.outside = Outside(watched, self.cache, clock=self.clock, chance=lambda: 0.0)

    def desk(self, *, secrets: Given | None = None, **more) -> RestDesk:
        """A declared service."""
        declared = RestDeclared(name="crm", base=f"{self.double.origin}/api", **more)
        given = secrets or Given(crm=SECRET)
        return RestDesk(RestService(declared, secrets=given, outside=self.outside, clock=self.clock))

    def rest(self, *, run: int = 7, bot: str = "shop", **more) -> Rest:
        """What one run calls with."""
        return self.desk(**more)(incoming(run, bot))


def incoming(run: int = 7, bot: str = "shop") -> Incoming:
    event = Event(kind=Kind.MESSAGE, conversation="a", key="k", text="x")
    return Incoming(id=run, bot=bot, channel="t", account=1, conversation="1.a", event=event, trace="ab" * 16)


def told(story, *, allow: str = "127.0.0.1") -> None:
    """Run a story."""

    async def main() -> None:
        watched = Watched(allow)
        try:
            async with rest_service() as double:
                await story(Setting(double, watched))
        finally:
            await watched.egress.close()

    asyncio.run(main())


def test_each_method_arrives_below_the_base():
    async def story(setting):
        crm = setting.rest()
        await crm.get("orders", {"state": "open"})
        await crm.post("orders", {"what": "mug"})
        await crm.put(("orders", "a/b"), b"raw")
        await crm.patch("orders/7", [1])
        await crm.delete("orders/7")
        assert await crm.json("orders/7") == {"number": 6}
        assert await crm.json("orders", method="POST", data={"a": 1}) == {"number": 7}
        seen = [(asked.method, asked.target, asked.body, asked.headers.get("content-type")) for asked in setting.double.asked]
        assert seen == [
            ("GET", "/api/orders?state=open", b"", None),
            ("POST", "/api/orders", b'{"what":"mug"}', "application/json"),
            ("PUT", "/api/orders/a%2Fb", b"raw", "application/octet-stream"),
            ("PATCH", "/api/orders/7", b"[1]", "application/json"),
            ("DELETE", "/api/orders/7", b"", None),
            ("GET", "/api/orders/7", b"", None),
            ("POST", "/api/orders", b'{"a":1}', "application/json"),
        ]
        assert not any("authorization" in asked.headers for asked in setting.double.asked)

    told(story)


def hashed(body: bytes, algorithm: str) -> bytes:
    return hmac.new(SECRET.encode(), body, getattr(hashlib, algorithm)).digest()


@pytest.mark.parametrize(
    ("declared", "header", "value"),
    [
        ({"auth": Auth.BEARER}, "authorization", f"Bearer {SECRET}"),
        ({"auth": Auth.BASIC, "user": "shop"}, "authorization", "Basic " + base64.b64encode(f"shop:{SECRET}".encode()).decode()),
        ({"auth": Auth.HEADER, "header": "X-Api-Key"}, "x-api-key", SECRET),
        ({"auth": Auth.HEADER, "header": "X-Api-Key", "prefix": "Token "}, "x-api-key", f"Token {SECRET}"),
        ({"auth": Auth.HMAC, "header": "X-Sig", "prefix": "sha256="}, "x-sig", "sha256=" + hashed(b'{"a":1}', "sha256").hex()),
        (
            {"auth": Auth.HMAC, "header": "X-Sig", "algorithm": "sha512", "encoding": "base64"},
            "x-sig",
            base64.b64encode(hashed(b'{"a":1}', "sha512")).decode(),
        ),
    ],
)
def test_each_kind_of_auth_arrives_and_is_not_seen_above_the_transport(declared, header, value):
    async def story(setting):
        await setting.rest(secret="crm", **declared).post("orders", {"a": 1})
        assert setting.double.asked[0].headers[header] == value
        assert "canary" not in "".join(setting.watched.calls)
        assert value not in "".join(setting.watched.calls)

    told(story)


def test_a_secret_in_the_query_is_encoded_and_not_seen_above_the_transport():
    async def story(setting):
        crm = setting.rest(secret="crm", auth=Auth.QUERY, parameter="key")
        await crm.get("orders")
        await crm.get("orders", {"a": 1})
        assert [parse_qs(asked.target.partition("?")[2], strict_parsing=True) for asked in setting.double.asked] == [
            {"key": [SECRET]},
            {"a": ["1"], "key": [SECRET]},
        ]
        assert "canary" not in "".join(setting.watched.calls)

    told(story)


OAUTH = {"auth": Auth.OAUTH2, "client_id": "shop:1", "secret": "crm", "scope": "orders.read orders.write"}


def oauth(setting, **more) -> RestDesk:
    return setting.desk(**{**OAUTH, "token_url": setting.double.origin + TOKEN_PATH, **more})


def guarded(double: RestDouble):
    """Take only tokens that are valid."""

    def decide(asked: Asked) -> web.Response | None:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        return None if token in double.valid else web.Response(status=401)

    return decide


def test_a_token_is_asked_for_once_and_used_until_shortly_before_its_end():
    async def story(setting):
        double, desk = setting.double, oauth(setting)
        double.decide, double.gate = guarded(double), asyncio.Event()
        calls = [asyncio.create_task(desk(incoming()).get("orders")) for _ in range(20)]
        asyncio.get_running_loop().call_later(0.05, double.gate.set)
        assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
        assert double.token_requests == [{"grant_type": ["client_credentials"], "scope": ["orders.read orders.write"]}]
        assert double.clients == [("shop:1", SECRET)]
        setting.clock.moved = 3600 - 61
        await desk(incoming()).get("orders")
        assert len(double.token_requests) == 1
        setting.clock.moved = 3600 - 59
        await desk(incoming()).get("orders")
        assert len(double.token_requests) == 2
        assert "canary" not in "".join(setting.watched.calls)
        assert not any(b"canary" in value for value in setting.cache.kept.values())

    told(story)


def test_a_refused_token_is_renewed_once_and_the_call_made_again():
    async def story(setting):
        double, desk = setting.double, oauth(setting)
        double.decide = guarded(double)
        await desk(incoming()).get("orders")
        double.valid.clear()
        assert (await desk(incoming()).post("orders", {"a": 1})).status == 200
        assert [asked.method for asked in double.asked] == ["GET", "POST", "POST"]
        assert len(double.token_requests) == 2
        double.decide = lambda _asked: web.Response(status=401)
        assert (await desk(incoming()).get("orders")).status == 401
        assert len(double.token_requests) == 3, "no more than one renewal for a call"

    told(story)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, b'{"error":"invalid_client","error_description":"canary"}', RestKeyRefused, "401 invalid_client"),
        (400, b'{"error":"canary"}', RestKeyRefused, "400"),
        (200, b"<html>canary", RestAnswered, "no bearer token"),
        (200, b'{"access_token":"canary","token_type":"mac"}', RestAnswered, "no bearer token"),
        (200, b'{"access_token":""}', RestAnswered, "no bearer token"),
        (404, b"canary", RestAnswered, "404"),
    ],
)
def test_no_token_is_told_with_what_to_check(status, body, kind, words):
    async def story(setting):
        setting.double.answer_token(status, body)
        with pytest.raises(kind, match=words) as refused:
            await oauth(setting)(incoming()).get("orders")
        assert "canary" not in refused.value.message
        assert setting.double.asked == []
        assert (await oauth(setting)(incoming()).get("orders")).status == 200, "a refusal is not kept"

    told(story)


@pytest.mark.parametrize(("expires_in", "lasts"), [(None, 240), ("90", 45), (20, 10), ("soon", 240), (-1, 240)])
def test_tokens_of_any_length_are_used_for_a_part_of_it(expires_in, lasts):
    async def story(setting):
        setting.double.expires_in = expires_in
        desk = oauth(setting)
        for moved, requests in ((0, 1), (lasts - 2, 1), (lasts + 1, 2)):
            setting.clock.moved = moved
            await desk(incoming()).get("orders")
            assert len(setting.double.token_requests) == requests, moved

    told(story)


def test_what_may_have_arrived_is_repeated_only_where_that_is_safe():
    async def story(setting):
        for method, times in (("get", 3), ("put", 3), ("delete", 3), ("post", 1), ("patch", 1)):
            setting.double.asked.clear()
            setting.outside = Outside(setting.watched, setting.cache, chance=lambda: 0.0)  # so that no failures add up to a rest
            for _ in range(times):
                setting.double.answer(503)
            answer = await getattr(setting.rest(), method)("orders")
            assert (answer.status, len(setting.double.asked)) == (503, times), method

    told(story)


def test_a_post_with_a_key_is_repeated_under_it_and_a_run_again_gives_the_same_keys():
    async def story(setting):
        def keys() -> list[str]:
            found = [asked.headers["idempotency-key"] for asked in setting.double.asked]
            setting.double.asked.clear()
            return found

        more = {"idempotency_header": "Idempotency-Key"}
        setting.double.answer(503)
        first = setting.rest(**more)
        await first.post("orders", {"a": 1})
        await first.post("orders", {"a": 2})
        one, repeated, two = keys()
        assert one == repeated != two
        again = setting.rest(**more)
        await again.post("orders", {"a": 1})
        await again.post("orders", {"a": 2})
        assert keys() == [one, two]
        await setting.rest(run=8, **more).post("orders", {"a": 1})
        assert keys()[0] not in {one, two}

    told(story)


def test_an_answer_is_kept_as_long_as_it_is_fresh_for_this_bot_alone():
    async def story(setting):
        desk = setting.desk(cache=60.0)
        assert [(await desk(incoming()).get("orders")).json() for _ in range(3)] == [{"number": 1}] * 3
        assert (await desk(incoming()).get("orders", {"page": 2})).json() == {"number": 2}
        assert (await desk(incoming(bot="other")).get("orders")).json() == {"number": 3}
        assert (await desk(incoming()).get("orders", headers={"x-mine": "1"})).json() == {"number": 4}
        setting.clock.moved = 61
        assert (await desk(incoming()).get("orders")).json() == {"number": 5}

    told(story)


def test_a_path_has_a_time_of_its_own():
    async def story(setting):
        desk = setting.desk()
        assert [(await desk(incoming()).json("a", cache=60.0))["number"] for _ in range(2)] == [1, 1]
        assert (await desk(incoming()).json("a"))["number"] == 2
        assert [(await setting.desk(cache=60.0)(incoming()).json("b", cache=0.0))["number"] for _ in range(2)] == [3, 4]

    told(story)


def test_what_has_not_changed_is_not_sent_again():
    async def story(setting):
        desk = setting.desk(cache=60.0)
        setting.double.answer(200, b'{"old":1}', etag='"v1"')
        await desk(incoming()).get("orders")
        setting.clock.moved = 61
        setting.double.answer(304)
        assert (await desk(incoming()).get("orders")).json() == {"old": 1}
        assert setting.double.asked[1].headers["if-none-match"] == '"v1"'
        assert (await desk(incoming()).get("orders")).json() == {"old": 1}
        assert len(setting.double.asked) == 2, "fresh again"
        setting.clock.moved = 122
        setting.double.answer(200, b'{"new":1}', etag='"v2"')
        assert (await desk(incoming()).get("orders")).json() == {"new": 1}

    told(story)


def test_old_news_is_told_while_a_new_answer_is_fetched_or_the_service_is_away():
    async def story(setting):
        desk = setting.desk(cache=60.0, stale=600.0)
        await desk(incoming()).get("orders")
        setting.double.arrived.clear()
        setting.clock.moved = 61
        assert (await desk(incoming()).get("orders")).json() == {"number": 1}
        async with asyncio.timeout(5):
            await setting.double.arrived.wait()
            while (await desk(incoming()).get("orders")).json() != {"number": 2}:  # noqa: ASYNC110  nobody tells of its end
                await asyncio.sleep(0)
        setting.clock.moved = 300
        setting.double.decide = lambda _asked: web.Response(status=500)
        assert (await desk(incoming()).get("orders")).json() == {"number": 2}
        setting.clock.moved = 1000
        assert (await desk(incoming()).get("orders")).status == 500
        await setting.outside.close()

    told(story)


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"{}", {}),
        (429, b"{}", {}),
        (500, b"{}", {}),
        (200, b"{}", {"cache_control": "no-store"}),
        (200, b"x" * 200_000, {}),
    ],
)
def test_what_is_no_answer_to_keep_is_asked_for_again(answer):
    async def story(setting):
        status, body, headers = answer
        desk = setting.desk(cache=60.0, tries=1)
        outcome = {429: "limited", 500: "error"}.get(status, "ok")
        before = INTEGRATION_REQUESTS.at("rest-crm", outcome).value
        for _ in range(2):
            setting.double.answer(status, body, **headers)
            found = await desk(incoming()).get("orders")
            assert (found.status, found.body) == (status, body)
        assert len(setting.double.asked) == 2
        assert INTEGRATION_REQUESTS.at("rest-crm", outcome).value == before + 2, "404 is no fault of the service"

    told(story)


def test_many_who_ask_the_same_share_one_request():
    async def story(setting):
        desk = setting.desk(cache=60.0)
        setting.double.gate = asyncio.Event()
        many = [asyncio.create_task(desk(incoming()).get("orders")) for _ in range(50)]
        await setting.double.arrived.wait()
        setting.double.gate.set()
        assert {(await one).body for one in many} == {b'{"number": 1}'}
        assert len(setting.double.asked) == 1

    told(story)


def test_many_who_ask_for_what_is_not_there_are_all_told():
    async def story(setting):
        setting.double.decide = lambda _asked: web.Response(status=404)
        desk = setting.desk(cache=60.0)
        answers = await asyncio.gather(*(desk(incoming()).get("orders") for _ in range(5)))
        assert {answer.status for answer in answers} == {404}

    told(story)


def test_errors_name_service_and_status_and_nothing_else():
    async def story(setting):
        setting.double.answer(403, b'{"message":"canary"}')
        with pytest.raises(RestAnswered) as refused:
            await setting.rest(secret="crm", auth=Auth.BEARER).json("orders/canary", {"name": "canary"})
        assert (refused.value.message, refused.value.answered) == ("crm answered 403.", 403)
        setting.double.answer(200, b"canary")
        with pytest.raises(RestAnswered, match=r"^crm answered something that is not JSON\.$"):
            await setting.rest().json("orders")
        setting.double.answer(204, b"")
        assert await setting.rest().json("orders") is None

    told(story)


def test_a_silent_service_costs_no_more_than_the_deadline():
    async def story(setting):
        setting.double.silent = True
        for call in (setting.rest(timeout=0.3).get, setting.rest(timeout=0.3, cache=60.0).get, setting.rest(timeout=0.3).post):
            began = time.monotonic()
            with pytest.raises(EgressTimeout):
                await call("orders")
            assert time.monotonic() - began < 1.5

    told(story)


def test_what_says_who_asks_is_not_for_callers_to_set():
    async def story(setting):
        crm = setting.rest(secret="crm", auth=Auth.HEADER, header="X-Api-Key")
        for headers in ({"x-api-key": "1"}, {"Authorization": "1"}, {"x-other": "{secret:auth}"}):
            with pytest.raises(RestInvalid):
                await crm.get("orders", headers=headers)
        with pytest.raises(EgressRefused):
            await crm.get("orders", headers={"host": "evil.example"})
        assert setting.double.asked == []

    told(story)


def test_a_missing_secret_is_told_with_the_command_that_sets_it():
    async def story(setting):
        for more in ({"auth": Auth.BEARER}, {**OAUTH, "token_url": setting.double.origin + TOKEN_PATH}):
            with pytest.raises(SecretMissing, match="botstead bots secrets set shop crm --file"):
                await setting.rest(**{**more, "secret": "crm"}, secrets=Given()).get("orders")
        assert (setting.double.asked, setting.double.token_requests) == ([], [])

    told(story)


def test_the_address_guard_and_redirects():
    async def refused(setting):
        with pytest.raises(EgressRefused, match="BOTSTEAD_EGRESS_ALLOW"):
            await setting.rest().get("orders")
        assert setting.double.asked == []

    told(refused, allow="")

    async def followed(setting):
        setting.double.answer(302, location="http://127.0.0.1:1/")
        assert (await setting.rest().get("orders")).status == 302

    told(followed)


def test_two_bots_that_declare_one_name_otherwise_have_their_own_tries():
    async def story(setting):
        for bot, tries in (("one", 1), ("two", 2)):
            setting.double.asked.clear()
            for _ in range(tries):
                setting.double.answer(503)
            assert (await setting.rest(bot=bot, tries=tries).get("orders")).status == 503
            assert len(setting.double.asked) == tries

    told(story)


@pytest.mark.parametrize("said", [SECRET, "canary-secret%2B%2F%3D1", SECRET.replace("/", "\\/")])
@pytest.mark.parametrize("where", ["body", "header"])
def test_an_answer_that_repeats_the_secret_is_told_and_not_kept(said, where):
    async def story(setting):
        rest = setting.desk(auth=Auth.HEADER, header="x-key", secret="crm", cache=60.0)(incoming())
        for number in range(2):
            more = {"etag": '"1"', "x-asked": said if where == "header" else "-"}
            words = said if where == "body" else ""
            setting.double.answer(200, f'{{"number": {number}, "said": "{words}"}}'.encode(), **more)
        assert [(await rest.json("a"))["number"] for _ in range(2)] == [0, 1]
        assert setting.cache.kept == {}

    told(story)


def test_without_a_cache_calls_still_work():
    class Gone(MemoryCache):
        async def get(self, key: str) -> bytes | None:
            return None

    async def story(setting):
        setting.outside = Outside(setting.watched, Gone())
        desk = setting.desk(cache=60.0)
        assert [(await desk(incoming()).get("orders")).json() for _ in range(2)] == [{"number": 1}, {"number": 2}]
        assert issubclass(RestAnswered, EgressError)

    told(story)
