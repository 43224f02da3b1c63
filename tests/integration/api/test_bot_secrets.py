"""`/v1/bots/{bot}/secrets`: values go in and never come out."""

from __future__ import annotations

from tests.integration.api.served import told

VALUE = "sk-canary-1234567890"
ADDRESS = "/v1/bots/shop/secrets"


def test_a_secret_is_set_listed_and_deleted_and_everybody_is_told(postgres_dsn):
    async def story(api):
        await api.deps.registry.ensure_bot("shop", "python")
        answers = [await api.client.put(f"{ADDRESS}/crm_token", json={"value": VALUE})]
        assert api.hints == ["directory"]
        answers.append(await api.client.get(ADDRESS))
        assert [item["name"] for item in answers[-1].json()["items"]] == ["crm_token"]
        assert set(answers[-1].json()["items"][0]) == {"name", "set_at"}
        assert (await api.deps.secrets.all())["shop"]["crm_token"].reveal() == VALUE
        answers.append(await api.client.get("/v1/bots/shop"))
        answers.append(await api.client.delete(f"{ADDRESS}/crm_token"))
        assert [answer.status_code for answer in answers] == [200, 200, 200, 204]
        assert api.hints == ["directory", "directory"]
        assert not any(VALUE in answer.text for answer in answers)
        assert (await api.client.get(ADDRESS)).json() == {"items": []}

    told(postgres_dsn, story)


def test_what_cannot_be_a_secret_is_refused_and_never_repeated(postgres_dsn):
    async def story(api):
        await api.deps.registry.ensure_bot("shop", "python")
        for name, body, status in (
            ("Bad-Name", {"value": VALUE}, 422),
            ("crm", {"value": ""}, 422),
            ("crm", {"value": f"{VALUE}\nx-injected: 1"}, 422),
            ("crm", {"value": VALUE * 500}, 422),
            ("crm", {"value": VALUE, "more": 1}, 422),
        ):
            answer = await api.client.put(f"{ADDRESS}/{name}", json=body)
            assert answer.status_code == status, (name, answer.text)
            assert VALUE not in answer.text
        assert (await api.client.put("/v1/bots/nobody/secrets/crm", json={"value": VALUE})).status_code == 404
        assert (await api.client.delete(f"{ADDRESS}/crm")).status_code == 404

    told(postgres_dsn, story)


def test_reading_and_writing_take_their_scopes(postgres_dsn):
    async def story(api):
        await api.deps.registry.ensure_bot("shop", "python")
        reader = await api.as_key("bots:read")
        assert (await api.stranger.get(ADDRESS, headers=reader)).status_code == 200
        assert (await api.stranger.put(f"{ADDRESS}/crm", json={"value": VALUE}, headers=reader)).status_code == 403
        assert (await api.stranger.get(ADDRESS)).status_code == 401

    told(postgres_dsn, story)
