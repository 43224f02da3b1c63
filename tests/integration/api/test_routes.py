"""Bots, channels, conversations, messages, letters and keys over HTTP, as a program uses them."""

from __future__ import annotations

from urllib.parse import quote

from tests.integration.api.served import told

HOOK = {"kind": "webhook", "name": "Orders"}


async def _bot(api, name="shop"):
    answer = await api.client.post("/v1/bots", json={"name": name, "url": "https://bot.example.org/events"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_bot_from_birth_to_death(postgres_dsn):
    async def story(api):
        made = await _bot(api)
        assert made["secret"].startswith("whsec_")
        assert api.hints == ["directory"]
        shown = (await api.client.get("/v1/bots/shop")).json()
        assert shown == {**{name: value for name, value in made.items() if name != "secret"}}
        assert (await api.client.get("/v1/bots")).json()["items"] == [shown]
        channels = (await api.client.get("/v1/bots/shop/channels")).json()["items"]
        assert [channel["kind"] for channel in channels] == ["webchat"]
        off = await api.client.patch("/v1/bots/shop", json={"enabled": False, "url": "https://other.example.org/"})
        assert (off.json()["enabled"], off.json()["url"]) == (False, "https://other.example.org/")
        rotated = (await api.client.patch("/v1/bots/shop", json={"secret": None})).json()
        assert rotated["secret"] not in {None, made["secret"]}
        (known,) = await api.deps.registry.http_bots()
        assert known.secrets["secret_previous"].reveal() == made["secret"]
        again = await api.client.post("/v1/bots", json={"name": "shop", "url": "https://x.example.org"})
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        gone = await api.client.delete("/v1/bots/shop")
        assert (gone.status_code, gone.content) == (204, b"")
        missing = await api.client.get("/v1/bots/shop")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")

    told(postgres_dsn, story)


def test_python_bots_are_listed_with_their_problem(postgres_dsn):
    async def story(api):
        await api.deps.registry.ensure_bot("echo", "python")
        await api.deps.registry.set_problem("echo", "bot.py, line 3")
        (bot,) = (await api.client.get("/v1/bots")).json()["items"]
        assert (bot["kind"], bot["problem"]) == ("python", "bot.py, line 3")
        wrong = await api.client.patch("/v1/bots/echo", json={"url": "https://x.example.org"})
        assert wrong.status_code == 422

    told(postgres_dsn, story)


def test_a_channel_from_birth_to_death(postgres_dsn):
    async def story(api):
        await _bot(api)
        made = await api.client.post("/v1/bots/shop/channels", json=HOOK)
        assert made.status_code == 201, made.text
        channel, secret = made.json(), made.json()["hook_secret"]
        assert channel["hook_url"] == f"https://bots.example.org/hooks/{channel['id']}"
        assert channel["install"]["status"] in {"ok", "unknown"}
        assert secret
        address = f"/v1/channels/{channel['id']}"
        for answer in (await api.client.get(address), await api.client.get("/v1/channels")):
            assert answer.status_code == 200
            assert secret not in answer.text
        rotated = (await api.client.patch(address, json={"secrets": {"hook_secret": None}, "name": "New"})).json()
        assert rotated["hook_secret"] not in {None, secret}
        assert rotated["channel"]["name"] == "New"
        account = await api.deps.registry.account(channel["id"])
        assert account.secrets["hook_secret_previous"].reveal() == secret
        assert (await api.client.get(f"{address}/health")).json()["status"] in {"ok", "unknown"}
        assert (await api.client.get(address)).json()["health"]
        assert (await api.client.delete(address)).status_code == 204
        assert (await api.client.get(address)).status_code == 404

    told(postgres_dsn, story, public_url="https://bots.example.org")


def test_channels_say_what_they_miss(postgres_dsn):
    async def story(api):
        await _bot(api)
        unknown = await api.client.post("/v1/bots/shop/channels", json={"kind": "pigeon"})
        assert unknown.status_code == 422
        assert "telegram" in unknown.json()["detail"]
        tokenless = await api.client.post("/v1/bots/shop/channels", json={"kind": "telegram"})
        assert tokenless.status_code == 422
        assert "token" in tokenless.json()["detail"]
        previous = await api.client.post("/v1/bots/shop/channels", json={**HOOK, "secrets": {"hook_secret_previous": "x"}})
        assert previous.status_code == 422
        assert (await api.client.post("/v1/bots/none/channels", json=HOOK)).status_code == 404

    told(postgres_dsn, story)


def test_a_channel_whose_provider_is_away_is_made_all_the_same(postgres_dsn):
    async def story(api):
        await _bot(api)
        request = {
            "kind": "telegram",
            "settings": {"api_base": "http://127.0.0.1:9"},
            "secrets": {"token": "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"},
        }
        made = await api.client.post("/v1/bots/shop/channels", json=request)
        assert made.status_code == 201, made.text
        assert made.json()["install"]["status"] != "ok"
        assert (await api.client.get(f"/v1/channels/{made.json()['id']}/health")).json()["status"] != "ok"

    told(postgres_dsn, story, public_url="https://bots.example.org")


def test_history_is_read_and_searched(postgres_dsn):
    async def story(api):
        await _bot(api)
        account = await api.deps.registry.ensure_webchat("shop")
        first = await api.said(account, "anna/1", "Good morning", "two red apples")
        (bread,) = await api.said(account, "bert", "a loaf of bread")
        talks = (await api.client.get("/v1/conversations")).json()
        assert [talk["id"] for talk in talks["items"]] == [f"{account.id}.bert", f"{account.id}.anna%2F1"]
        anna = quote(talks["items"][1]["id"], safe="")
        said = (await api.client.get(f"/v1/conversations/{anna}/messages")).json()["items"]
        assert [message["text"] for message in said] == ["two red apples", "Good morning"]
        page = (await api.client.get(f"/v1/conversations/{anna}/messages?limit=1")).json()
        assert page["next"] == first[1]
        rest = (await api.client.get(f"/v1/conversations/{anna}/messages?limit=1&before={page['next']}")).json()
        assert ([message["id"] for message in rest["items"]], rest["next"]) == ([first[0]], None)
        found = (await api.client.get("/v1/messages", params={"q": "APPLES red"})).json()["items"]
        assert [message["id"] for message in found] == [first[1]]
        assert (await api.client.get("/v1/messages", params={"q": "!!"})).status_code == 422
        newest = (await api.client.get(f"/v1/messages?bot=shop&channel={account.public_id}&limit=1")).json()
        assert ([message["id"] for message in newest["items"]], newest["next"]) == ([bread], bread)
        assert (await api.client.get("/v1/messages?bot=other")).status_code == 404
        tale = (await api.client.get(f"/v1/messages/{bread}")).json()
        assert [step["what"] for step in tale["timeline"]] == ["received", "waiting_in_inbox"]
        assert (await api.client.get("/v1/messages/999999")).status_code == 404

    told(postgres_dsn, story)


def test_sending_happens_once_for_each_idempotency_key(postgres_dsn):
    async def story(api):
        await _bot(api)
        account = await api.deps.registry.ensure_webchat("shop")
        address = f"/v1/conversations/{account.id}.anna/messages"
        body = {"text": "Hello", "buttons": [[{"label": "Yes", "value": "y"}, {"label": "More", "url": "https://x.example.org"}]]}
        once = await api.client.post(address, json=body, headers={"idempotency-key": "order-7"})
        assert once.status_code == 202
        twice = await api.client.post(address, json=body, headers={"idempotency-key": "order-7"})
        other = await api.client.post(address, json=body)
        assert twice.json() == once.json()
        assert other.json()["id"] != once.json()["id"]
        tale = (await api.client.get(f"/v1/messages/{once.json()['id']}")).json()
        assert [step["what"] for step in tale["timeline"]] == ["asked", "waiting_in_inbox"]
        assert (await api.client.get("/v1/messages")).json()["items"] == []
        assert (await api.client.post("/v1/conversations/99.anna/messages", json=body)).status_code == 404
        assert (await api.client.post(f"/v1/conversations/{account.id}./messages", json=body)).status_code == 404
        assert (await api.client.post(address, json=body, headers={"idempotency-key": ""})).status_code == 422
        await api.client.patch("/v1/bots/shop", json={"enabled": False})
        assert (await api.client.post(address, json=body)).status_code == 409

    told(postgres_dsn, story)


def test_dead_letters_are_replayed_once(postgres_dsn):
    async def story(api):
        await _bot(api)
        account = await api.deps.registry.ensure_webchat("shop")
        ids = await api.said(account, "anna", "one", "two", "three")
        await api.sql(
            "WITH gone AS (DELETE FROM inbox RETURNING id) INSERT INTO dead_letter (id, direction, bot, channel, conversation, reason, error)"
            " SELECT m.id, 0, m.bot, m.channel, m.conversation, 'failed', 'KeyError' FROM message m JOIN gone USING (id)"
        )
        listed = (await api.client.get("/v1/dead-letters?reason=failed&bot=shop&direction=in&replayed=false")).json()
        assert [letter["id"] for letter in listed["items"]] == ids[::-1]
        assert (await api.client.get(f"/v1/dead-letters/{ids[0]}")).json()["error"] == "KeyError"
        assert (await api.client.post(f"/v1/dead-letters/{ids[0]}/replay")).status_code == 202
        again = await api.client.post(f"/v1/dead-letters/{ids[0]}/replay")
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert (await api.client.post("/v1/dead-letters/replay", json={})).status_code == 422
        dry = (await api.client.post("/v1/dead-letters/replay", json={"first": ids[1], "dry_run": True})).json()
        assert dry == {"replayed": 0, "left": 2, "dry_run": True}
        done = (await api.client.post("/v1/dead-letters/replay", json={"all": True})).json()
        assert done == {"replayed": 2, "left": 0, "dry_run": False}
        assert [row["id"] for row in await api.sql("SELECT id FROM inbox ORDER BY id")] == ids
        assert (await api.client.post("/v1/dead-letters/424242/replay")).status_code == 404

    told(postgres_dsn, story)


def test_keys_give_away_no_more_than_they_have(postgres_dsn):
    async def story(api):
        small = await api.as_key("keys:write", "bots:read")
        made = await api.stranger.post("/v1/keys", json={"name": "n", "scopes": ["bots:read"]}, headers=small)
        assert made.status_code == 201
        assert made.json()["expires_at"]
        assert (await api.stranger.get("/v1/bots", headers={"authorization": f"Bearer {made.json()['key']}"})).status_code == 200
        greedy = await api.stranger.post("/v1/keys", json={"name": "n", "scopes": ["admin"]}, headers=small)
        assert greedy.status_code == 403
        listed = await api.client.get("/v1/keys?limit=2")
        assert made.json()["key"] not in listed.text
        assert len(listed.json()["items"]) == 2
        rest = (await api.client.get("/v1/keys", params={"limit": 2, "before": listed.json()["next"]})).json()
        everyone = [*listed.json()["items"], *rest["items"]]
        admin = next(key for key in everyone if key["scopes"] == ["admin"])
        assert (await api.stranger.delete(f"/v1/keys/{admin['id']}", headers=small)).status_code == 403
        assert (await api.client.delete(f"/v1/keys/{made.json()['id']}")).status_code == 204
        assert (await api.client.delete(f"/v1/keys/{made.json()['id']}")).status_code == 409
        bad = await api.client.post("/v1/keys", json={"name": "n", "scopes": ["everything"]})
        assert bad.status_code == 422

    told(postgres_dsn, story)
