"""A payment account over the API: made, changed and asked after like any channel, and its secrets are never shown."""

from __future__ import annotations

import logging

import pytest

from botstead.channels.registry import kinds
from botstead.integrations.paypal import PayPal
from botstead.integrations.stripe import Stripe
from botstead.runtime.egress import EgressClient
from botstead.runtime.outside import Outside
from tests.doubles.paypal import CLIENT, CLIENT_SECRET, PayPalDouble
from tests.doubles.paypal_signing import authority_pem
from tests.doubles.stripe import StripeDouble
from tests.integration.api.served import told

KEY, SECRET = "sk_test_51Botstead0000000000", "whsec_canary0123456789"


@pytest.fixture
def everything():
    egress = EgressClient(allow=["127.0.0.1"])
    outside = Outside(egress)
    return {"kinds": {**kinds(), "stripe": Stripe(outside), "paypal": PayPal(outside)}}


def test_stripe_is_set_up_in_two_steps_and_shows_no_secret(postgres_dsn, everything, caplog):
    async def story(api):
        async with StripeDouble() as double:
            await api.client.post(
                "/v1/bots", json={"name": "shop", "kind": "http", "url": "https://x.example", "secret": "s" * 32}
            )
            asked = {"kind": "stripe", "settings": {"api_base": double.url}, "secrets": {"key": KEY}}
            made = await api.client.post("/v1/bots/shop/channels", json=asked)
            assert made.status_code == 201, made.text
            account = made.json()
            assert account["install"]["status"] == "degraded"
            changed = await api.client.patch(f"/v1/channels/{account['id']}", json={"secrets": {"webhook_secret": SECRET}})
            assert changed.json()["install"]["status"] == "ok", changed.text
            health = await api.client.get(f"/v1/channels/{account['id']}/health")
            assert health.json()["facts"]["mode"] == "test"
            shown = made.text + changed.text + health.text + (await api.client.get("/v1/channels")).text + caplog.text
            assert KEY not in shown
            assert SECRET not in shown
            wrong = await api.client.post("/v1/bots/shop/channels", json={**asked, "secrets": {"key": "pk_test_1"}})
            assert (wrong.status_code, "sk_ or rk_" in wrong.json()["detail"]) == (422, True)
            rows = await api.sql("SELECT secrets::text AS kept FROM channel")
            assert all(KEY not in str(row["kept"]) and SECRET not in str(row["kept"]) for row in rows)

    with caplog.at_level(logging.DEBUG):
        told(postgres_dsn, story, **everything)


def test_paypal_says_which_webhook_leads_here(postgres_dsn, everything):
    async def story(api):
        async with PayPalDouble() as double:
            await api.client.post(
                "/v1/bots", json={"name": "shop", "kind": "http", "url": "https://x.example", "secret": "s" * 32}
            )
            settings = {"api_base": double.url, "authority": authority_pem().decode()}
            asked = {"kind": "paypal", "settings": settings, "secrets": {"client_id": CLIENT, "client_secret": CLIENT_SECRET}}
            made = await api.client.post("/v1/bots/shop/channels", json=asked)
            assert made.status_code == 201, made.text
            account = made.json()
            assert account["install"]["status"] == "degraded"
            double.hook("https://bots.example/hooks/x", "8PT597110X687430L")
            changed = await api.client.patch(
                f"/v1/channels/{account['id']}", json={"settings": {"webhook_id": "8PT597110X687430L"}}
            )
            assert changed.json()["install"]["status"] == "ok", changed.text
            assert CLIENT_SECRET not in made.text + changed.text

    told(postgres_dsn, story, **everything)
