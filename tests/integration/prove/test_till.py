"""The till is a Stripe as far as Stripe's own client can tell, remembers before it answers, and goes wrong as it was told to."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager

import pytest
import stripe

from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import free_ports
from botstead.processes.prove.cashdesk import KEY, CashDesk
from botstead.processes.prove.serving import listen
from botstead.processes.prove.slot import Slot
from botstead.processes.prove.till.troubles import Fates, Orders, Trouble

SECRET = "whsec_told"
PAGE = {
    "mode": "payment",
    "client_reference_id": "pay_1",
    "metadata": {"order": "pay_1"},
    "payment_intent_data": {"metadata": {"order": "pay_1"}},
    "line_items": [
        {"quantity": 1, "price_data": {"currency": "eur", "unit_amount": 1250, "product_data": {"name": "A mug"}}},
    ],
    "success_url": "http://127.0.0.1/done",
}


class Shop:
    """The official client, its till, and a hook that hears events; the first try of each is not taken."""

    def __init__(self, desk, slot, port):
        self.desk, self.slot, self.port = desk, slot, port
        self.heard = asyncio.Queue()
        self.refused = set()
        self._client = stripe.StripeClient(KEY, base_addresses={"api": desk.base_url}, max_network_retries=0)

    async def call(self, what, *arguments, **more):
        service = self._client.v1
        for name in what.split("."):
            service = getattr(service, name)
        return await asyncio.to_thread(service, *arguments, **more)

    async def open(self, key="k1", **more):
        return await self.call("checkout.sessions.create", params={**PAGE, **more}, options={"idempotency_key": key})

    async def hear(self, asked, visit):
        if asked.body not in self.refused:
            self.refused.add(asked.body)
            visit.write(503, b"")
            return
        event = stripe.Webhook.construct_event(asked.body, asked.headers["stripe-signature"], SECRET)
        visit.write(200, b"")
        self.heard.put_nowait(event)

    async def orders(self, *troubles, **fates):
        orders = Orders(seed=3, troubles=troubles, fates=Fates(**fates), ports=(self.port,), path="/hooks/x", secret=SECRET)
        await self.desk.order(orders)

    def made(self, what):
        return [line for line in self.desk.lines() if line.what == what]


@asynccontextmanager
async def opened(folder):
    port, hook = free_ports(2)
    log = folder / "till.jsonl"
    command = (sys.executable, "-m", "botstead.processes.prove.till", str(port), str(log))
    program = Program(role="till", instance="till", command=command, environment={"PATH": os.defpath}, folder=folder)
    slot = Slot(program, log=folder / "out.log", said="till_ready")
    shop = Shop(CashDesk(port, log), slot, hook)
    server = await listen(hook, shop.hear)
    slot.start()
    try:
        await slot.becomes_ready()
        await shop.orders()
        yield shop
    finally:
        server.close()
        slot.kill()


def in_shop(folder, story):
    async def play():
        async with asyncio.timeout(30), opened(folder) as shop:
            await story(shop)

    asyncio.run(play())


def test_the_official_client_buys_and_gives_back(tmp_path):
    async def story(shop):
        page = await shop.open()
        assert (page.status, page.payment_status, page.amount_total) == ("open", "unpaid", 1250)
        assert await shop.desk.choose(page.url, "decline") == 200
        assert [await shop.desk.choose(page.url, "pay") for _ in range(2)] == [200, 400]
        looked = await shop.call("checkout.sessions.retrieve", page.id, params={"expand": ["payment_intent.latest_charge"]})
        intent = looked.payment_intent
        assert (looked.payment_status, intent.status, intent.latest_charge.amount) == ("paid", "succeeded", 1250)
        part = {"payment_intent": intent.id, "amount": 250, "metadata": {"refund": "r1"}}
        refunds = [await shop.call("refunds.create", params=part, options={"idempotency_key": "r1"}) for _ in range(2)]
        assert refunds[0].id == refunds[1].id
        with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
            await shop.call("refunds.create", params={"payment_intent": intent.id, "amount": 1001})
        rest = await shop.call("refunds.create", params={"payment_intent": intent.id})
        with pytest.raises(stripe.InvalidRequestError, match="already been refunded"):
            await shop.call("refunds.create", params={"payment_intent": intent.id})
        listed = await shop.call("refunds.list", params={"payment_intent": intent.id, "limit": 1})
        assert (listed.has_more, listed.data[0].id, rest.amount) == (True, rest.id, 1000)
        kinds = [(await shop.heard.get()).type for _ in range(6)]
        assert sorted(kinds) == sorted(
            ["payment_intent.payment_failed", "checkout.session.completed", *["charge.refunded", "refund.updated"] * 2]
        )
        assert [(line.order, line.amount) for line in shop.made("charge")] == [("pay_1", 1250)]
        assert [(line.order, line.amount) for line in shop.made("refund")] == [("pay_1", 250), ("pay_1", 1000)]

    in_shop(tmp_path, story)


def test_what_takes_days_is_complete_before_it_is_paid(tmp_path):
    async def story(shop):
        for number, end in enumerate(("arrive", "bounce")):
            page = await shop.open(f"k{number}")
            done = [await shop.desk.choose(page.url, step) for step in ("arrive", "later", "pay", end)]
            assert done == [400, 200, 400, 200]
            looked = await shop.call("checkout.sessions.retrieve", page.id, params={"expand": ["payment_intent"]})
            paid = ("paid", "succeeded") if end == "arrive" else ("unpaid", "requires_payment_method")
            assert (looked.status, looked.payment_status, looked.payment_intent.status) == ("complete", *paid)
        kinds = {(await shop.heard.get()).type for _ in range(4)}
        slow = "checkout.session.async_payment"
        assert kinds == {"checkout.session.completed", f"{slow}_succeeded", f"{slow}_failed"}
        assert len(shop.made("charge")) == 1

    in_shop(tmp_path, story)


def test_a_key_gets_the_stored_answer_and_serves_one_request_only(tmp_path):
    async def story(shop):
        pages = await asyncio.gather(*(shop.open() for _ in range(5)), return_exceptions=True)
        assert {page.id for page in pages if not isinstance(page, Exception)} == {shop.made("page")[0].id}
        assert {error.json_body["error"]["code"] for error in pages if isinstance(error, Exception)} <= {"idempotency_key_in_use"}
        with pytest.raises(stripe.IdempotencyError):
            await shop.open(client_reference_id="pay_2")
        assert len(shop.made("page")) == 1

    in_shop(tmp_path, story)


def test_lists_show_the_newest_first_in_pages_and_keys_are_asked_for(tmp_path):
    async def story(shop):
        ids = [(await shop.open(f"k{number}")).id for number in range(5)]
        found = await shop.call("checkout.sessions.list", params={"limit": 3})
        rest = await shop.call("checkout.sessions.list", params={"limit": 3, "starting_after": found.data[-1].id})
        assert [page.id for page in (*found.data, *rest.data)] == ids[::-1]
        assert (found.has_more, rest.has_more) == (True, False)
        late = await shop.call("checkout.sessions.list", params={"created": {"gte": 2**35}})
        assert not late.data
        with pytest.raises(stripe.AuthenticationError):
            await shop.call("checkout.sessions.list", options={"api_key": "sk_live"})

    in_shop(tmp_path, story)


@pytest.mark.parametrize(
    ("trouble", "error", "again", "pages"),
    [
        (Trouble(kind="error", every=2), stripe.APIError, None, 0),
        (Trouble(kind="error", every=2, applied=True), stripe.APIError, None, 1),
        (Trouble(kind="error", every=2, applied=True, stored=True), stripe.APIError, stripe.APIError, 1),
        (Trouble(kind="error", every=2, stored=True), stripe.APIError, stripe.APIError, 0),
        (Trouble(kind="limited", every=2, seconds=7), stripe.RateLimitError, None, 0),
        (Trouble(kind="hang", every=2, applied=True, seconds=0.1), stripe.APIConnectionError, None, 1),
        (Trouble(kind="close", every=2, applied=True), stripe.APIConnectionError, None, 1),
        (Trouble(kind="close", every=2), stripe.APIConnectionError, None, 0),
        (Trouble(kind="slow", every=2, seconds=0.1), None, None, 1),
    ],
    ids=lambda value: value.name if isinstance(value, Trouble) else None,
)
def test_each_trouble_strikes_every_second_request_and_is_in_the_log(tmp_path, trouble, error, again, pages):
    async def story(shop):
        await shop.orders(trouble)
        outcomes = {}
        for number in range(4):
            before = len(shop.made("page"))
            try:
                await shop.open(f"k{number}")
            except stripe.StripeError as problem:
                outcomes[f"k{number}"] = (type(problem), len(shop.made("page")) - before, problem)
        struck = [line for line in shop.made("fault") if line.kind == trouble.name and line.on == "open"]
        assert len(struck) == 2
        assert all(line.applied is trouble.applied for line in struck)
        if error is None:
            return
        assert [(kind, made) for kind, made, _ in outcomes.values()] == [(error, pages)] * 2
        if trouble.kind == "limited":
            assert {problem.headers["Retry-After"] for _, _, problem in outcomes.values()} == {"7"}
        await shop.orders()
        for key in outcomes:
            if again is None:
                assert (await shop.open(key)).status == "open"
            else:
                with pytest.raises(again):
                    await shop.open(key)
        assert len(shop.made("page")) == 2 + (2 if pages or again is None else 0)

    in_shop(tmp_path, story)


def test_of_webhooks_some_are_lost_doubled_or_late(tmp_path):
    async def story(shop):
        await shop.orders(lost=4, doubled=3)
        for number in range(4):
            await shop.desk.choose((await shop.open(f"k{number}")).url, "pay")
        heard = [(await shop.heard.get()).id for _ in range(4)]
        fates = {line.id: line.kind for line in shop.made("event")}
        assert list(fates.values()) == ["sent", "sent", "doubled", "lost"]
        assert sorted(heard) == sorted([*list(fates)[:3], list(fates)[2]])

    in_shop(tmp_path, story)


def test_what_was_answered_is_in_the_log_of_a_killed_till(tmp_path):
    async def story(shop):
        pages = await asyncio.gather(*(shop.open(f"k{number}") for number in range(20)))
        paid = await asyncio.gather(*(shop.desk.choose(page.url, "pay") for page in pages))
        shop.slot.kill()
        assert set(paid) == {200}
        assert {line.id for line in shop.made("page")} == {page.id for page in pages}
        assert len(shop.made("charge")) == 20

    in_shop(tmp_path, story)
