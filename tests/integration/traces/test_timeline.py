"""«Where is my message?» over the API and the command line: where, why, what next, and where the time went."""

from __future__ import annotations

import uuid

import pytest

from botstead.core.messages import Event, Kind
from botstead.processes.cli.output import CONTROLS
from botstead.processes.cli.road import WIDTH, bar
from botstead.store import journeys
from tests.integration.api.served import told as on_api
from tests.integration.cli.test_commands import running  # noqa: F401  # a fixture

TRACE = uuid.UUID(hex="4bf92f3577b34da6a3ce929d0e0e4736")
REPLY = """
INSERT INTO message (id, direction, bot, channel, conversation, reply_to, body, trace, began, at)
SELECT nextval('message_id'), 1, bot, channel, conversation, id, 'said', trace, at + interval '20 ms', at + interval '60 ms'
FROM message WHERE id = $1 RETURNING id
"""
SENT = "INSERT INTO delivery (id, outcome, reason, at) SELECT id, $2, $3, at + interval '40 ms' FROM message WHERE id = $1"
RUN = """
INSERT INTO hop SELECT id, false, 1, extract(epoch FROM at) + 0.02, extract(epoch FROM at) + 0.055, $2, '', $3 FROM message WHERE id = $1
"""
CALLS = '[["open-meteo","api.example.org","GET",1.0,2.0,"timeout",0,0]]'


async def shop(api):
    number = await api.deps.registry.ensure_bot("shop", "python")
    assert number
    await api.deps.registry.ensure_webchat("shop")
    return next(iter(await api.deps.registry.accounts()))


async def asked(api, account, *, trace: uuid.UUID | None = None) -> int:
    given = f"00-{trace.hex}-00f067aa0ba902b7-01" if trace else ""
    event = Event(kind=Kind.MESSAGE, conversation="c", key=uuid.uuid4().hex, text="hello", traceparent=given)
    return await api.inbox.accept_one(account, event)


async def answered(api, message: int, outcome: str = "sent", reason: str = "") -> int:
    await api.sql("DELETE FROM inbox WHERE id = $1", message)
    (row,) = await api.sql(REPLY, message)
    await api.sql(SENT, row["id"], outcome, reason)
    return row["id"]


def test_a_message_says_where_it_is_and_where_its_time_went(postgres_dsn):
    async def story(api):
        account = await shop(api)
        message = await asked(api, account)
        tale = (await api.client.get(f"/v1/messages/{message}")).json()
        assert (tale["where"], tale["why"], tale["stages"][-1]["open"]) == ("It waits for its turn with the bot.", "", True)
        reply = await answered(api, message)
        await api.sql(RUN, message, "ok", CALLS)
        tale = (await api.client.get(f"/v1/messages/{message}")).json()
        assert tale["where"] == "Answered, and the provider has it."
        found = {stage["name"]: stage for stage in tale["stages"]}
        assert list(found) == ["ack", "queue", "handle", "call", "commit", "send"]
        assert found["handle"]["milliseconds"] == pytest.approx(35, abs=0.01)
        assert (found["call"]["service"], found["call"]["outcome"]) == ("open-meteo (api.example.org)", "timeout")
        assert found["send"]["message"] == reply
        assert tale["milliseconds"] == pytest.approx(found["ack"]["milliseconds"] + 100, abs=0.01)
        assert sum(stage["share"] for name, stage in found.items() if name != "call") == pytest.approx(1, abs=0.01)
        said = (await api.client.get(f"/v1/messages/{reply}")).json()
        assert said["where"] == "Said, and the provider has it."
        assert said["stages"] == tale["stages"]

    on_api(postgres_dsn, story)


def test_one_that_failed_says_why_and_what_next(postgres_dsn):
    async def story(api):
        account = await shop(api)
        message = await asked(api, account)
        reply = await answered(api, message, "failed", "revoked")
        tale = (await api.client.get(f"/v1/messages/{reply}")).json()
        assert "credentials" in tale["why"]
        assert f"replay {reply}" in tale["advice"]
        await api.sql(
            "UPDATE inbox SET attempts = 1, error = 'It raised ValueError.' WHERE id = $1", second := await asked(api, account)
        )
        tale = (await api.client.get(f"/v1/messages/{second}")).json()
        assert (tale["why"], "tried again" in tale["advice"]) == ("It raised ValueError.", True)

    on_api(postgres_dsn, story)


def test_messages_are_found_by_their_trace(postgres_dsn, monkeypatch):
    monkeypatch.setattr(journeys, "STEP", 3)  # as if these few were many parts of history

    async def story(api):
        account = await shop(api)
        mine = []
        for number in range(12):
            message = await asked(api, account, trace=TRACE if number % 4 == 0 else None)
            if number % 4 == 0:
                mine += [message, await answered(api, message)]
        found = (await api.client.get("/v1/messages", params={"trace": TRACE.hex})).json()["items"]
        assert [row["id"] for row in found] == mine[::-1]
        found = (await api.client.get("/v1/messages", params={"trace": TRACE.hex.upper(), "limit": 2})).json()["items"]
        assert [row["id"] for row in found] == mine[:-3:-1]
        trace = (await api.client.get(f"/v1/traces/{TRACE.hex}")).json()
        assert trace["messages"] == mine[::2]
        roots = [span for span in trace["spans"] if span["name"] == "message"]
        assert [span["parent"] for span in roots] == ["00f067aa0ba902b7"] * 3
        assert {span["parent"] for span in trace["spans"] if span not in roots} == {span["id"] for span in roots}
        for wrong in ("x", "4bf9", TRACE.hex + "0", "٣" * 32):
            for path, query in (("/v1/messages", {"trace": wrong}), (f"/v1/traces/{wrong}", {})):
                assert (await api.client.get(path, params=query)).status_code == 422
        other = uuid.uuid4().hex
        assert (await api.client.get("/v1/messages", params={"trace": other})).json()["items"] == []
        assert (await api.client.get(f"/v1/traces/{other}")).status_code == 404
        assert (await api.stranger.get(f"/v1/traces/{TRACE.hex}")).status_code == 401
        little = await api.as_key("bots:read")
        assert (await api.client.get(f"/v1/traces/{TRACE.hex}", headers=little)).status_code == 403

    on_api(postgres_dsn, story)


def test_a_trace_of_very_many_messages_is_cut(postgres_dsn, monkeypatch):
    monkeypatch.setattr(journeys, "MOST_OF_A_TRACE", 5)

    async def story(api):
        account = await shop(api)
        for _ in range(8):
            await asked(api, account, trace=TRACE)
        assert len((await api.client.get(f"/v1/traces/{TRACE.hex}")).json()["messages"]) == 5

    on_api(postgres_dsn, story)


def test_the_command_line_draws_it(running):  # noqa: F811  # the fixture
    async def prepare():
        account = await shop(running.api)
        message = await asked(running.api, account, trace=TRACE)
        await answered(running.api, message, "failed", "gone")
        await running.api.sql(RUN, message, "ok", CALLS)
        await running.api.sql("UPDATE message SET body = E'tricky \\x1b[31m text' WHERE id = $1", message)
        return message

    message = running.do(prepare())
    drawn = running.run("messages", "show", str(message))
    for words in ("Answered, but the answer was not sent", "Why: The person or chat is gone", "Next: Nothing", "called open-meteo (api.example.org)", "timeout", "█", "in all", TRACE.hex):  # fmt: skip
        assert words in drawn
    assert not any(ord(character) in CONTROLS and character != "\n" for character in drawn)
    assert running.json("messages", "show", str(message))["stages"][0]["name"] == "queue"
    assert running.run("messages", "show", "--trace", TRACE.hex) == drawn
    assert [tale["message"]["id"] for tale in running.json("messages", "show", "--trace", TRACE.hex)] == [message]
    assert "No message belongs" in running.run("messages", "show", "--trace", uuid.uuid4().hex, code=1)
    assert "Give an id, or --trace" in running.run("messages", "show", code=2)
    running.do(asked(running.api, running.do(shop(running.api)), trace=TRACE))
    assert running.run("messages", "show", "--trace", TRACE.hex).count("in all") == 2


@pytest.mark.parametrize(
    ("offset", "length", "whole", "drawn"),
    [
        (0, 100, 100, "█" * WIDTH),
        (0, 50, 100, "█" * (WIDTH // 2)),
        (50, 50, 100, " " * (WIDTH // 2) + "█" * (WIDTH // 2)),
        (0, 0, 100, "▏"),
        (100, 0, 100, " " * (WIDTH - 1) + "█"),
        (0, 0, 0, ""),
    ],
)
def test_bars(offset, length, whole, drawn):
    assert bar(offset, length, whole) == drawn
