"""How promises stand and how bots do, over HTTP, from a real ledger and real rows."""

from __future__ import annotations

from uuid import uuid4

import pytest

from botstead.core.declared import LlmDeclared
from botstead.core.metering import LlmUsage
from botstead.operate.objectives.model import load_objectives
from botstead.processes.cli.report import report_lines
from botstead.store.ledger import BotPromise, Counted, LedgerRows, Series
from botstead.store.llm_usage import UsageRows
from tests.integration.api.served import told

NAMES = [objective.name for objective in load_objectives()]
ANSWER = """
WITH made AS (
    INSERT INTO message (id, direction, bot, channel, conversation, reply_to, body, began, at)
    SELECT nextval('message_id'), 1, bot, channel, conversation, id, 'Yes', at + make_interval(secs => $2), at + make_interval(secs => $3)
    FROM message WHERE id = $1 RETURNING id, at
)
INSERT INTO delivery (id, outcome, attempts, at) SELECT id, $5, $6, at + make_interval(secs => $4) FROM made
"""
"""$1 question, $2 seconds until it was handled, $3 until answered, $4 from then until sent, $5 outcome, $6 attempts."""


async def add(api, *counted):
    await LedgerRows(api.postgres).add(uuid4(), 1, [Counted(Series(*one[0]), *one[1:]) for one in counted])


def bot(name):
    return ("delivery_bot", (("bot", name),))


def test_before_anything_happened(postgres_dsn):
    async def story(api):
        page = (await api.client.get("/v1/objectives")).json()
        assert [one["name"] for one in page["items"]] == NAMES
        assert page["next"] is None
        for one in page["items"]:
            assert (one["worst"]["status"], one["worst"]["good_ratio"], one["budgets"]) == ("idle", None, 1)
            assert one["worst"]["explanation"] == "Nothing happened in the last 30 days."

    told(postgres_dsn, story)


def test_a_promise_by_its_labels_worst_first(postgres_dsn):
    async def story(api):
        for name in ("weather", "shop", "quiet"):
            await api.deps.registry.ensure_bot(name, "python")
        ledger = LedgerRows(api.postgres)
        await ledger.promise(1, BotPromise(seconds=2.0, target=99.9, critical=True))
        await ledger.promise(2, BotPromise(seconds=5.0))
        await add(
            api,
            (bot("weather"), 0, 20, 400),
            (bot("shop"), 0, 20, 400),
            (bot("quiet"), 0, 0, 10),
            (bot("weather"), 20 * 86_400, 0, 100_000),
            (bot("shop"), 20 * 86_400, 0, 100_000),
        )
        one = (await api.client.get("/v1/objectives/delivery_bot")).json()
        weather, shop, quiet = one["standings"]
        assert [weather["labels"], shop["labels"], quiet["labels"]] == [{"bot": "weather"}, {"bot": "shop"}, {"bot": "quiet"}]
        assert (weather["target"], weather["firing"], weather["status"]) == (99.9, "fast", "burning")
        assert (weather["allowed"], weather["left"]) == (100, 80)
        assert [tier["name"] for tier in weather["tiers"]] == ["fast", "medium", "slow", "creep"]
        # A bot that is not critical makes tickets only; its 1 % allows ten times as much.
        assert (shop["target"], shop["firing"], shop["left"]) == (99.0, "slow", 984)
        assert [tier["name"] for tier in shop["tiers"]] == ["slow", "creep"]
        assert (quiet["status"], quiet["good_ratio"], quiet["exhausted_in"]) == ("kept", 1.0, None)
        assert "20 of 400 went wrong in the last hour, 50 times the 0.1 % that may." in weather["explanation"]
        assert weather["exhausted_at"] > "2"
        assert one["first_steps"]
        listed = {row["name"]: row for row in (await api.client.get("/v1/objectives")).json()["items"]}
        assert listed["delivery_bot"]["worst"] == {
            **weather,
            "exhausted_in": pytest.approx(weather["exhausted_in"]),
            "exhausted_at": listed["delivery_bot"]["worst"]["exhausted_at"],
        }
        assert listed["delivery_bot"]["budgets"] == 3
        assert "standings" not in listed["delivery_bot"]

    told(postgres_dsn, story)


def test_a_broken_promise_and_one_that_is_not_there(postgres_dsn):
    async def story(api):
        await add(api, (("delivery",), 10 * 86_400, 30, 1000), (("understood", (("bot", "weather"),)), 0, 1, 2))
        one = (await api.client.get("/v1/objectives/delivery")).json()["worst"]
        assert (one["status"], one["left"], one["exhausted_in"], one["firing"]) == ("broken", -25, 0.0, None)
        for name in ("understood", "none", "%00"):
            missing = await api.client.get(f"/v1/objectives/{name}")
            assert (missing.status_code, missing.json()["code"]) == (404, "not_found")

    told(postgres_dsn, story)


def test_who_may_look(postgres_dsn):
    async def story(api):
        allowed, other = await api.as_key("objectives:read"), await api.as_key("bots:read")
        for path in ("/v1/objectives", "/v1/objectives/delivery", "/v1/bots/shop/report"):
            assert (await api.stranger.get(path)).status_code == 401
            assert (await api.stranger.get(path, headers=other)).status_code == 403
            assert (await api.stranger.get(path, headers=allowed)).status_code in {200, 404}

    told(postgres_dsn, story)


async def conversation(api, name="shop"):
    await api.deps.registry.ensure_bot(name, "python")
    return await api.deps.registry.ensure_webchat(name)


def test_a_bots_report(postgres_dsn):
    async def story(api):
        shop = await conversation(api)
        other = await conversation(api, "other")
        asked = [*await api.said(shop, "anna", *("hello",) * 18), *await api.said(shop, "ben", "hi", "still there?")]
        await api.said(other, "carla", "not yours")
        for number, question in enumerate(asked[:19], 1):
            # Waits 0.1 s, is handled for 0.3 s, is sent within 0.1 s times its number: 0.5 to 2.3 s in all.
            await api.sql(ANSWER, question, 0.1, 0.4, 0.1 * number, "sent", 3 if number == 1 else 1)
        await api.sql(ANSWER, asked[19], 0.1, 0.4, 60.0, "failed", 12)
        await LedgerRows(api.postgres).promise(1, BotPromise(seconds=2.0))
        await add(
            api,
            (bot("shop"), 0, 1, 20),
            (bot("shop"), 2 * 86_400, 500, 1000),
            (("promptness", (("bot", "shop"),)), 0, 3, 19),
            (("understood", (("bot", "shop"),)), 0, 4, 20),
            (("ingress_ack", (("channel", "webchat"),)), 0, 2, 50),
            (("ingress_ack", (("channel", "telegram"),)), 0, 2, 50),
            (("repeated", (("channel", "webchat"),)), 0, 0, 7),
            (("retried", (("channel", "webchat"),)), 0, 0, 9),
        )
        report = (await api.client.get("/v1/bots/shop/report")).json()
        assert (report["bot"], report["hours"], report["promise"], report["whole"]) == ("shop", 24, 2.0, True)
        assert report["delivery"] == {"count": 19, "of": 20, "ratio": 0.95}
        assert report["answer_seconds"] == {"p50": pytest.approx(1.4), "p95": pytest.approx(2.21), "p99": pytest.approx(2.282)}
        whole = 19 * 0.4 + 0.1 * 190
        expected = {"queue": 1.9 / whole, "handle": 5.7 / whole, "send": 19 / whole}
        assert report["time_spent"] == {name: pytest.approx(share, abs=1e-6) for name, share in expected.items()}
        assert report["acknowledged"] == {"webchat": {"count": 48, "of": 50, "ratio": 0.96}}
        assert report["late"] == {"count": 3, "of": 19, "ratio": pytest.approx(3 / 19)}
        assert report["not_understood"] == {"count": 4, "of": 20, "ratio": 0.2}
        assert (report["send_retries"], report["retries"], report["duplicates"]) == (13, {"webchat": 9}, {"webchat": 7})
        assert (report["messages"], report["active_conversations"]) == (20, 2)
        assert report["budget"]["labels"] == {"bot": "shop"}
        assert report["budget"]["bad"] == 501
        three_days = (await api.client.get("/v1/bots/shop/report?hours=72")).json()
        assert three_days["delivery"]["of"] == 1020

    told(postgres_dsn, story)


def test_a_report_says_what_a_language_model_took_today(postgres_dsn):
    async def story(api):
        await conversation(api)
        declared = LlmDeclared(budget=2_000_000_000, price_in=150_000_000, price_out=600_000_000, currency="EUR")
        rows = UsageRows(api.postgres)
        usage = LlmUsage(asked=1_200_000, answered=300_000, cost=declared.cost(1_200_000, 300_000), requests=4, estimated=1)
        await rows.settle(await rows.reserve("shop", declared, 500_000_000), usage)
        assert await rows.reserve("shop", declared, 2_000_000_000) is None
        report = (await api.client.get("/v1/bots/shop/report")).json()
        day = report["llm"]
        assert (day["requests"], day["asked"], day["answered"], day["estimated"], day["refused"]) == (4, 1_200_000, 300_000, 1, 1)
        assert (day["cost"], day["currency"], day["budget"], day["left"]) == (0.36, "EUR", 2.0, 1.64)
        assert report_lines(report)["language_model_today"] == (
            "4 answers, 1,200,000 tokens in and 300,000 out for 0.3600 EUR; 1.6400 of 2.00 are left; 1 estimated; 1 refused"
        )
        counted = {**report, "llm": {**day, "cost": None, "budget": 200_000.0, "left": 5_000.0, "estimated": 0, "refused": 0}}
        assert report_lines(counted)["language_model_today"].endswith("out; 5,000 of 200,000 tokens are left")

    told(postgres_dsn, story)


def test_a_report_on_a_bot_that_nobody_has_spoken_to(postgres_dsn):
    async def story(api):
        await conversation(api)
        report = (await api.client.get("/v1/bots/shop/report?hours=1")).json()
        assert report["delivery"] == {"count": 0, "of": 0, "ratio": None}
        assert (report["answer_seconds"], report["time_spent"], report["budget"], report["since"]) == (None, None, None, None)
        assert report["promise"] == 5.0
        assert report["llm"] is None
        assert not report_lines(report)["language_model_today"]
        assert "cost" not in str(report)
        for wrong, status in (
            ("shop/report?hours=0", 422),
            ("shop/report?hours=721", 422),
            ("nobody/report", 404),
            ("A/report", 404),
        ):
            assert (await api.client.get(f"/v1/bots/{wrong}")).status_code == status

    told(postgres_dsn, story)


def test_a_report_looks_at_the_time_asked_for_only(postgres_dsn):
    async def story(api):
        shop = await conversation(api)
        ids = await api.said(shop, "anna", *(f"m{number}" for number in range(40)))
        await api.sql("UPDATE message SET at = now() - make_interval(mins => (40 - (id - $1))::integer * 10)", ids[0])
        for hours, messages in ((1, 5), (2, 11), (7, 40)):
            report = (await api.client.get(f"/v1/bots/shop/report?hours={hours}")).json()
            assert (report["messages"], report["whole"]) == (messages, True)
        from datetime import UTC, datetime, timedelta

        from botstead.store.performance import PerformanceRows

        few = await PerformanceRows(api.postgres, looked_at=10).of(shop.bot, datetime.now(UTC) - timedelta(hours=7))
        assert (few.messages, few.whole) == (10, False)

    told(postgres_dsn, story)
