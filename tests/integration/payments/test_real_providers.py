"""Stripe and PayPal on the whole road: real hooks, inbox, worker and ledger, and doubles that lose, repeat and fail."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from botstead.core.money import PaymentState
from botstead.integrations.paypal import PayPal
from botstead.integrations.stripe import Stripe
from botstead.runtime.egress import EgressClient
from botstead.store.valkey import MemoryCache
from botstead.web.hooks import HookDeps, Hooks
from tests.doubles.impatient import Impatient
from tests.doubles.paypal import CLIENT, CLIENT_SECRET, PayPalDouble
from tests.doubles.paypal_signing import authority_pem
from tests.doubles.provider_faults import Chaos
from tests.doubles.stripe import VERSION, StripeDouble
from tests.integration.payments.shop import opened
from tests.integration.pipeline.road import message, until

S = PaymentState
DONE = {S.PAID, S.FULFILLED}
WEBHOOK, KEY, SECRET = "8PT597110X687430L", "sk_test_51Botstead0000000000", "whsec_abc"


def given(kind: str, base: str) -> tuple[dict[str, str], dict[str, str]]:
    if kind == "stripe":
        return {"api_base": base}, {"key": KEY, "webhook_secret": SECRET}
    settings = {"api_base": base, "authority": authority_pem().decode(), "webhook_id": WEBHOOK}
    return settings, {"client_id": CLIENT, "client_secret": CLIENT_SECRET}


@asynccontextmanager
async def selling(dsn: str, kind: str):
    """A bot that sells by a provider, and the hook that the provider delivers to."""
    double = StripeDouble() if kind == "stripe" else PayPalDouble()
    egress = EgressClient(allow=["127.0.0.1"])
    outside = Impatient(egress, MemoryCache())
    provider = Stripe(outside) if kind == "stripe" else PayPal(outside)
    async with double, opened(dsn, provider, real=False) as shop, hook(shop, provider) as url:
        prepared = provider.prepare(*given(kind, double.url))
        shop.account = await shop.registry.create_channel("shop", kind=kind, name="", prepared=prepared)
        await shop.directory.refresh()
        double.hook(f"{url}/hooks/{shop.account.public_id}", SECRET if kind == "stripe" else WEBHOOK)
        try:
            yield shop, double
        finally:
            await double.hooks.close()
            await egress.close()


@asynccontextmanager
async def hook(shop, provider):
    """Our real hooks, behind a server."""

    async def find(public: str):
        return shop.account if public == shop.account.public_id else None

    async def moved(*_) -> None:
        raise AssertionError

    deps = HookDeps(find=find, kinds={provider.kind: provider}, accept=shop.inbox.accept, moved=moved, body_limit=1_048_576)
    hooks = Hooks(deps, None)

    async def serve(request: web.Request) -> web.Response:
        body = await request.read()
        said: dict = {}

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(part):
            said.update(part)

        headers = [(name.lower(), value) for name, value in request.raw_headers]
        scope = {"type": "http", "method": "POST", "path": request.path, "headers": headers, "query_string": b""}
        await hooks(scope, receive, send)
        return web.Response(status=said.get("status", 200))

    app = web.Application()
    app.router.add_post("/hooks/{id}", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def play(dsn: str, kind: str, story, seconds: float = 40.0) -> None:
    async def run() -> None:
        async with selling(dsn, kind) as (shop, double):
            await story(shop, double)

    asyncio.run(asyncio.wait_for(run(), seconds))


@pytest.mark.parametrize("kind", ["stripe", "paypal"])
def test_a_mug_is_bought_by_webhooks_alone_and_brought_back(postgres_dsn, kind):
    async def story(shop, double):
        await shop.inbox.accept(shop.buyer, (message("anna", "mug"),))
        await shop.settled()
        row = await shop.payment()
        assert (row.state, row.provider) == (S.PENDING, kind)
        assert row.url.startswith(double.url)
        await double.pay(row.session)
        await until(lambda: shop.news, what="the bot is told")
        await double.hooks.idle()
        assert [payment.state for payment in shop.news] == [S.PAID]
        assert len(double.made("charge", row.id)) == 1
        await shop.inbox.accept(shop.buyer, (message("anna", "back", f"refund {row.id}"),))
        await until(lambda: len(shop.news) > 1, what="the bot is told of the refund")
        await double.hooks.idle()
        await shop.settled()
        assert shop.news[-1].state is S.REFUNDED
        assert len(double.made("refund", row.id)) == 1
        assert not double.hooks.refused

    play(postgres_dsn, kind, story)


def test_a_refund_in_the_dashboard_is_known_though_an_event_of_it_was_lost(postgres_dsn):
    async def story(shop, double):
        await shop.inbox.accept(shop.buyer, (message("anna", "mug"),))
        await shop.settled()
        row = await shop.payment()
        await double.pay(row.session)
        await until(lambda: shop.news, what="the bot is told")
        double.hooks.hold()
        async with aiohttp.ClientSession() as dashboard:
            headers = {"Authorization": f"Bearer {KEY}", "Stripe-Version": VERSION, "Idempotency-Key": "by hand"}
            fields = {"payment_intent": next(iter(double.intents)), "amount": "1250"}
            async with dashboard.post(f"{double.url}/v1/refunds", data=fields, headers=headers) as answer:
                assert answer.status == 200
        double.hooks.release(lambda held: [one for one in held if b"refund.updated" in one[1]])
        await until(lambda: len(shop.news) > 1, what="the bot is told of the refund")
        assert shop.news[-1].state is S.REFUNDED

    play(postgres_dsn, "stripe", story)


@pytest.mark.parametrize("kind", ["stripe", "paypal"])
def test_nobody_is_charged_twice_or_forgotten_whatever_goes_wrong(postgres_dsn, kind):
    people = 12

    async def story(shop, double):
        shares = {"answer": 0.06, "close": 0.06, "nonsense": 0.02, "broken": 0.02}
        double.trouble.chaos(Chaos(seed=5, requests=shares, lost=0.2, doubled=0.5, late=0.5, delay=0.3))
        for number in range(people):
            await shop.inbox.accept(shop.buyer, (message(f"person{number}", f"mug{number}"),))
        await until(lambda: len(sessions(double)) >= people, what="everybody has a page", seconds=20)
        paid: set[str] = set()
        async with asyncio.timeout(25):
            while True:
                rows = await shop.payments()
                for row in rows:
                    if row.session and row.session not in paid:
                        paid.add(row.session)
                        await double.pay(row.session)
                if len(rows) == people and all(row.state in DONE for row in rows):
                    break
                await shop.overdue()
                await shop.reconcile.turn()
                await asyncio.sleep(0.05)
        double.trouble.chaos(Chaos())
        await double.hooks.idle()
        await shop.settled()
        for row in await shop.payments():
            assert len(double.made("charge", row.id)) == 1, row
        assert len(double.taken) == people
        assert sorted(payment.reference for payment in shop.news) == sorted(f"mug{number}" for number in range(people))
        assert double.trouble.done
        assert double.hooks.lost

    play(postgres_dsn, kind, story, 60)


def sessions(double):
    return double.sessions if isinstance(double, StripeDouble) else double.orders
