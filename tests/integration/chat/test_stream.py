"""The web chat over HTTP on a real Postgres: what is posted, what is streamed, and what breaks it."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import asyncpg

from botstead.core.messages import Send
from botstead.store import migrate
from botstead.store.postgres import Postgres
from botstead.web.chat import response, stream
from tests.doubles.chat_app import ACCOUNT, SAY, STORY, Platform, payload, serving
from tests.servers import free_port, postgres_server

DEADLINE = 10


class Client:
    """A program that chats: posts, and collects events with their cursors."""

    def __init__(self, session: aiohttp.ClientSession, visitor: str = "") -> None:
        self.session = session
        self.visitor = visitor or str(uuid.uuid4())
        self.conversation = f"{ACCOUNT.id}.{self.visitor}"
        self.events: list[tuple[str, str, dict]] = []

    async def post(self, body: dict | bytes, bot: str = "weather", **headers: str) -> aiohttp.ClientResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"X-Visitor": self.visitor, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.post(f"/chat/{bot}/messages", data=data, headers=headers) as answer:
            await answer.read()
            return answer

    @asynccontextmanager
    async def listening(self, cursor: str = "", *, query: bool = False):
        headers = {"X-Visitor": self.visitor} | ({"Last-Event-ID": cursor} if cursor and not query else {})
        async with self.session.get(
            "/chat/weather/events", headers=headers, params={"after": cursor} if query else None
        ) as answer:
            assert answer.status == 200
            reading = asyncio.create_task(self._read(answer))
            try:
                yield reading
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, answer: aiohttp.ClientResponse) -> None:
        name = cursor = ""
        async for raw in answer.content:
            key, _, value = raw.decode().rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "id":
                cursor = value
            elif key == "data":
                self.events.append((name or "message", cursor, json.loads(value)))
                name = ""

    async def until(self, condition, what: str = "the events") -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110  # the conditions are of many kinds
                await asyncio.sleep(0.01)

    @property
    def ids(self) -> list[int]:
        return [data["id"] for name, _, data in self.events if name in ("message", "edit", "delete")]

    @property
    def texts(self) -> list[str]:
        return [data["text"] for name, _, data in self.events if name == "message"]

    def has(self, *texts: str):
        return lambda: all(text in self.texts for text in texts)


@asynccontextmanager
async def chat(dsn: str):
    port = free_port()
    async with serving(dsn, port) as platform, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield platform, session


def run(story):
    asyncio.run(asyncio.wait_for(story, 60))


def test_a_message_is_answered_and_both_are_streamed(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session):
            client = Client(session)
            async with client.listening():
                answer = await client.post({"text": "hello"})
                assert answer.status == 202, await answer.text()
                await client.until(client.has("hello", "echo: hello"))
            inbound, outbound = [data for name, _, data in client.events if name == "message"]
            assert inbound["id"] == (await answer.json())["id"]
            assert (inbound["direction"], outbound["direction"]) == ("in", "out")
            assert inbound["buttons"] == outbound["buttons"] == []
            async with client.listening(client.events[-1][1]):
                await client.post({"text": "quiet"})
                await client.until(lambda: client.events[-1][0] == "typing")
            assert client.texts == ["hello", "echo: hello", "quiet"]

    run(story())


def test_buttons_edits_and_deletions_are_shown(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session):
            client = Client(session)
            async with client.listening():
                await client.post({"text": "weather Oslo"})
                await client.until(lambda: len(client.ids) == 2)
                forecast = client.events[-1][2]
                assert forecast["buttons"][0][0] == {"label": "Tomorrow", "value": "tomorrow", "url": ""}
                assert forecast["buttons"][1][0] == {"label": "Map", "value": "", "url": "https://www.yr.no/en/map"}
                await client.post({"button": "tomorrow", "text": "Tomorrow", "message": forecast["id"]})
                await client.until(client.has("You chose tomorrow."))
                pressed = next(data for _, _, data in client.events if data.get("button"))
                assert (pressed["text"], pressed["target"]) == ("Tomorrow", forecast["id"])
                for word in ("edit", "delete"):
                    await client.post({"text": word})
                    await client.until(lambda word=word: word in [name for name, _, _ in client.events])
                    name, _, change = client.events[-1]
                    assert name == word
                    assert change["target"] == change["id"] - 1

    run(story())


def test_the_same_id_says_it_once(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session):
            client, key = Client(session), str(uuid.uuid4())
            answers = [await (await client.post({"text": "once", "id": key})).json() for _ in range(3)]
            assert len({answer["id"] for answer in answers}) == 1
            other = Client(session)
            assert (await (await other.post({"text": "mine", "id": key})).json())["id"] != answers[0]["id"]
            async with client.listening():
                await client.until(client.has("once"))
            assert client.texts.count("once") == 1

    run(story())


def test_a_cookie_is_made_for_somebody_new_and_recognised(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session), session.get("/chat/weather") as answer:
            assert answer.status == 200
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=lax" in cookie
            assert "Path=/chat" in cookie
            assert "Secure" not in cookie
            value = answer.cookies["botstead_visitor"].value
            assert uuid.UUID(value)
            async with session.get("/chat/weather", headers={"Cookie": f"botstead_visitor={value}"}) as again:
                assert "set-cookie" not in again.headers

    run(story())


REFUSED = [
    (b"{", {}, 400),
    (b"\xff", {}, 400),
    (b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}", {}, 400),
    (b"[]", {}, 422),
    ({}, {}, 422),
    ({"text": 1}, {}, 422),
    ({"text": "   "}, {}, 422),
    ({"text": "x" * 8_001}, {}, 422),
    ({"button": "x" * 257}, {}, 422),
    ({"text": "x", "id": "no uuid"}, {}, 422),
    ({"text": "x", "message": -1}, {}, 422),
    ({"text": "x" * 70_000}, {}, 413),
    ({"text": "x"}, {"X_Visitor": "me"}, 401),
    ({"text": "x"}, {"Origin": "https://evil.example"}, 403),
    ({"text": "x"}, {"Origin": "null"}, 403),
    ({"text": "x"}, {"Sec_Fetch_Site": "cross-site"}, 403),
    ({"text": "x"}, {"Sec_Fetch_Site": "same-site"}, 403),
    ({"text": "x" * 8_000}, {"Sec_Fetch_Site": "same-origin"}, 202),
    ({"text": "nul \0 byte \ud83d\ude00"}, {}, 202),
]


def test_what_is_refused_is_the_callers_fault(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session):
            for body, headers, status in REFUSED:
                assert (await Client(session).post(body, **headers)).status == status, (body, headers)

    run(story())


def test_unknown_and_closed_bots_are_not_found(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session):
            for bot in ("nobody", "closed"):
                assert (await Client(session).post({"text": "x"}, bot=bot)).status == 404
                for path in (f"/chat/{bot}", f"/chat/{bot}/events"):
                    async with session.get(path) as answer:
                        assert answer.status == 404

    run(story())


def test_too_fast_is_told_when_to_come_again(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session):
            client = Client(session)
            answers = [await client.post({"text": "quiet"}) for _ in range(11)]
            assert [answer.status for answer in answers] == [202] * 10 + [429]
            assert 0 < float(answers[-1].headers["retry-after"]) <= 10
            assert (await Client(session).post({"text": "quiet"})).status == 202

    run(story())


def test_a_visitor_has_five_streams_and_gets_them_back(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session):
            client = Client(session)
            async with AsyncExitStack() as stack:
                for _ in range(stream.STREAMS_OF_VISITOR - 1):
                    await stack.enter_async_context(client.listening())
                async with (
                    client.listening(),
                    session.get("/chat/weather/events", headers={"X-Visitor": client.visitor}) as sixth,
                ):
                    assert sixth.status == 429
                    assert sixth.headers["retry-after"]
                async with asyncio.timeout(DEADLINE):
                    while True:
                        async with session.get("/chat/weather/events", headers={"X-Visitor": client.visitor}) as sixth:
                            if sixth.status == 200:
                                break

    run(story())


def test_somebody_new_gets_the_newest_fifty_and_the_position_after_them(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (platform, session):
            client = Client(session)
            for number in range(70):
                await platform.say(client.conversation, f"m{number}", Send())
            async with client.listening():
                await client.until(lambda: client.events and client.events[-1][0] == "ready")
            assert client.texts == [f"m{number}" for number in range(20, 70)]

    run(story())


def test_a_plain_message_id_is_a_position(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (platform, session):
            client = Client(session)
            ids = [await platform.say(client.conversation, f"m{number}", Send()) for number in range(150)]
            async with client.listening(str(ids[9]), query=True):
                await client.until(client.has("m149"))
            assert client.ids == ids[10:]

    run(story())


def test_transactions_that_commit_late_lose_and_repeat_nothing(postgres_dsn):
    """Smaller ids become visible after larger ones, while the client comes and goes with its cursor."""

    async def story():
        async with chat(postgres_dsn) as (platform, session):
            client = Client(session)
            late = await asyncpg.connect(postgres_dsn)
            expected = []
            for turn in range(4):
                transaction = late.transaction()
                await transaction.start()
                expected.append(await late.fetchval(SAY, 1, client.conversation, f"late {turn}", payload(Send()), None))
                async with client.listening(client.events[-1][1] if client.events else ""):
                    expected.append(await platform.say(client.conversation, f"early {turn}", Send()))
                    await client.until(client.has(f"early {turn}"))
                    if turn % 2:
                        await transaction.commit()  # no hint comes for it: the poll finds it
                        await client.until(client.has(f"late {turn}"))
                if turn % 2 == 0:
                    await transaction.commit()  # visible only to the next connection
            async with client.listening(client.events[-1][1]):
                await client.until(lambda: len(client.ids) >= len(expected))
                await platform.say(client.conversation, "the end", Send())
                await client.until(client.has("the end"))
            await late.close()
            assert sorted(client.ids[:-1]) == sorted(expected)

    run(story())


def test_what_asks_for_money_is_shown_once_it_has_a_button(postgres_dsn, monkeypatch):
    monkeypatch.setattr("botstead.web.chat.cursor.WINDOW", 0.0)  # the floor rises at once: it must not pass what changes

    async def story():
        async with chat(postgres_dsn) as (_, session):
            client = Client(session)
            async with client.listening():
                await client.post({"text": "a mug"})
                await client.until(client.has("echo: a mug"))
                connection = await asyncpg.connect(postgres_dsn)
                try:
                    asked = await connection.fetchval(
                        "INSERT INTO message (id, direction, bot, channel, conversation, body, payload)"
                        " SELECT nextval('message_id'), 1, bot, channel, conversation, '', $2 FROM message"
                        " WHERE conversation = $1 LIMIT 1 RETURNING id",
                        client.conversation,
                        '{"type":"pay","amount":1250,"currency":"EUR","title":"A mug"}',
                    )
                    for word in ("still", "there"):
                        await client.post({"text": word})
                        await client.until(client.has(f"echo: {word}"))
                    assert asked not in client.ids
                    await connection.execute(
                        "UPDATE message SET body = 'A mug: 12.50 EUR', payload = $2 WHERE id = $1",
                        asked,
                        '{"type":"send","text":"A mug: 12.50 EUR","buttons":[[{"label":"Pay","url":"https://x.example"}]]}',
                    )
                    await client.until(client.has("A mug: 12.50 EUR"))
                finally:
                    await connection.close()
            assert client.ids.count(asked) == 1

    run(story())


def test_streams_end_at_once_when_the_process_drains(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (platform, session):
            client = Client(session)
            async with client.listening() as reading:
                await client.until(lambda: client.events)
                platform.draining.set()
                async with asyncio.timeout(2):
                    await reading
            async with session.get("/chat/weather/events") as answer:
                assert answer.status == 503
                assert answer.headers["retry-after"]

    run(story())


def test_an_outage_is_an_answer_and_open_streams_survive_it():
    with postgres_server() as server:

        async def story():
            await migrate.migrate(server.dsn)
            async with chat(server.dsn) as (platform, session):
                client = Client(session)
                async with client.listening():
                    await client.until(lambda: client.events)
                    server.kill()
                    async with session.get("/chat/weather/events") as answer:
                        assert answer.status == 503
                        assert answer.headers["retry-after"]
                    assert (await client.post({"text": "x"})).status == 503
                    await asyncio.to_thread(server.start)
                    await platform.say(client.conversation, "back", Send())
                    await client.until(client.has("back"))

        run(story())


def test_silence_is_filled_with_comments(postgres_dsn, monkeypatch):
    monkeypatch.setattr(stream, "PING_SECONDS", 0.05)

    async def story():
        async with chat(postgres_dsn) as (_, session), session.get("/chat/weather/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-accel-buffering"] == "no"
            async with asyncio.timeout(DEADLINE):
                assert await answer.content.readline() == b"retry: 1000\n"
                while await answer.content.readline() != b": ping\n":
                    pass

    run(story())


def test_a_client_that_reads_nothing_is_cut_off_and_its_place_is_free(postgres_dsn, monkeypatch):
    monkeypatch.setattr(response, "SEND_SECONDS", 0.1)
    monkeypatch.setattr(response, "END_SECONDS", 0.1)

    async def never(*_):
        await asyncio.Event().wait()

    async def send(message):
        if message["type"] == "http.response.body":
            await never()

    async def story():
        platform = Platform(await Postgres.open(postgres_dsn), 0)
        streams = stream.Streams(platform.deps)
        for _ in range(stream.STREAMS_OF_VISITOR + 1):
            await response.EventStream(streams, "7.v", None, draining=platform.draining)({}, never, send)
        await platform.postgres.close()

    run(story())


def test_files_of_the_page_are_kept_and_revalidated(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (_, session), session.get("/chat/weather") as answer:
            text = await answer.text()
            assert "script-src 'self'" in answer.headers["content-security-policy"]
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            version = text.partition("/chat/assets/")[2].partition("/")[0]
            for name in ("chat.js", "feed.js", "markdown.js", "outbox.js", "view.js", "chat.css", "icon.svg"):
                async with session.get(f"/chat/assets/{version}/{name}") as file:
                    assert file.status == 200
                    assert file.headers["content-type"].count("charset") == (not name.endswith(".svg"))
                    assert ["immutable" in value for value in file.headers.getall("cache-control")] == [True]
                    tag = file.headers["etag"]
                async with session.get(f"/chat/assets/old/{name}", headers={"If-None-Match": tag}) as file:
                    assert file.status == 304
                    assert file.headers["cache-control"] == "no-cache"
            for name in ("page.html", "..%2fpage.py", "none.js"):
                async with session.get(f"/chat/assets/{version}/{name}") as file:
                    assert file.status == 404

    run(story())


def drafts_of(client: Client) -> list[str]:
    return [data["text"] for name, _, data in client.events if name == "draft"]


def test_a_reply_is_seen_while_it_grows_by_its_visitor_alone(postgres_dsn, caplog):
    async def story():
        async with chat(postgres_dsn) as (platform, session):
            client, stranger = Client(session), Client(session)
            async with client.listening(), stranger.listening():
                await client.post({"text": "write"})
                await client.until(lambda: "beach" in "".join(drafts_of(client)))
                assert client.texts == ["write"]
                platform.go_on.set()
                await client.until(client.has("".join(STORY)))
                texts = drafts_of(client)
                assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
                assert "".join(STORY).startswith(texts[-1])
                assert all(data["id"] is None for name, _, data in client.events if name == "draft")
                platform.wake.publish("draft", json.dumps([client.conversation, (client.ids)[0], "too late"]))
                platform.wake.publish("draft", "no hint")
                await client.post({"text": "after"})
                await client.until(client.has("echo: after"))
                assert drafts_of(client) == texts
                await stranger.post({"text": "hello"})
                await stranger.until(stranger.has("echo: hello"))
                assert drafts_of(stranger) == []

    run(story())
    assert "beach" not in caplog.text


def test_a_handler_that_runs_again_begins_its_draft_anew(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (platform, session):
            client = Client(session)
            async with client.listening():
                await client.post({"text": "write badly"})
                await client.until(lambda: "beach" in "".join(drafts_of(client)))
                before = len(drafts_of(client))
                platform.go_on.set()
                await client.until(lambda: len(drafts_of(client)) > before)
                assert STORY[0].startswith(drafts_of(client)[before][: len(STORY[0])])
                platform.go_on.set()
                await client.until(client.has("".join(STORY)))
            assert client.texts == ["write badly", "".join(STORY)]

    run(story())


def test_who_comes_back_later_gets_no_draft_but_the_whole(postgres_dsn):
    async def story():
        async with chat(postgres_dsn) as (platform, session):
            client = Client(session)
            async with client.listening():
                await client.post({"text": "write"})
                await client.until(lambda: drafts_of(client))
            cursor = client.events[-2][1] or client.events[0][1]
            client.events.clear()
            platform.go_on.set()
            async with client.listening(cursor):
                await client.until(client.has("".join(STORY)))
            assert drafts_of(client) == []

    run(story())
