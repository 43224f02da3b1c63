"""`/v1/payments`, the page of the double, and `botstead payments`."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from click.testing import CliRunner

from botstead.core.money import PaymentState
from botstead.processes.cli.main import main
from botstead.web.chat.page import asset
from botstead.web.pay.routes import PayDeps, pay_routes
from tests.doubles.till import Till
from tests.integration.api.served import served
from tests.integration.payments.shop import opened
from tests.integration.payments.test_paying import ordered, paid
from tests.servers import free_port, wait_until

S = PaymentState
FORM = {"content-type": "application/x-www-form-urlencoded"}


@asynccontextmanager
async def shop_and_api(dsn, *, real=True):
    """A shop that works, and the API in front of the same database."""
    async with opened(dsn, Till(), real=real) as shop:
        pay = PayDeps(cashier=shop.cashier, desk=shop.desk, accept=shop.inbox.accept, find=shop.directory.number)
        async with served(dsn, ledger=shop.ledger, public=pay_routes(pay)) as api:
            yield shop, api


def with_api(dsn, story, **how):
    """Run a story of a shop and an API."""

    async def run():
        async with shop_and_api(dsn, **how) as (shop, api):
            await story(shop, api)

    asyncio.run(run())


def test_payments_are_listed_shown_and_given_back(postgres_dsn):
    async def story(shop, api):
        row = await paid(shop)
        await shop.inbox.accept(shop.buyer, ())
        listed = (await api.client.get("/v1/payments")).json()
        (one,) = listed["items"]
        assert (one["id"], one["bot"], one["total"], one["state"], one["held"]) == (row.id, "shop", "12.50 EUR", "paid", False)
        shown = (await api.client.get(f"/v1/payments/{row.id}")).json()
        assert [(attempt["kind"], attempt["state"]) for attempt in shown["attempts"]] == [("open", "done")]
        assert [(said["said"]["state"], said["effect"]) for said in shown["events"]] == [("pending", "moved"), ("paid", "moved")]
        too_much = await api.client.post(f"/v1/payments/{row.id}/refund", json={"amount": 1251})
        assert (too_much.status_code, too_much.json()["detail"]) == (409, "Of this payment only 12.50 EUR can go back.")
        once = {"idempotency-key": "r1"}
        asked = [await api.client.post(f"/v1/payments/{row.id}/refund", json={"amount": 500}, headers=once) for _ in range(2)]
        assert [answer.status_code for answer in asked] == [202, 202]
        assert asked[0].json() == asked[1].json()
        await shop.settled()
        assert (await shop.payment()).refunded == 500
        assert (await api.client.get("/v1/payments?state=paid")).json()["items"][0]["refunded"] == 500

    with_api(postgres_dsn, story)


def test_money_is_asked_for_in_a_conversation(postgres_dsn):
    async def story(shop, api):
        ask = {"conversation": f"{shop.buyer.id}.anna", "amount": 990, "currency": "EUR", "title": "A cup", "reference": "cup"}
        answer = await api.client.post("/v1/payments", json=ask)
        assert answer.status_code == 202
        await shop.settled()
        assert shop.network.texts("anna") == ["A cup: 9.90 EUR"]
        found = (await api.client.get("/v1/payments", params={"conversation": ask["conversation"]})).json()["items"]
        assert [(one["reference"], one["amount"], one["state"]) for one in found] == [("cup", 990, "pending")]
        refused = await api.client.post(f"/v1/payments/{found[0]['id']}/refund", json={})
        assert (refused.status_code, refused.json()["detail"]) == (409, "Of this payment it is pending, so nothing was paid.")
        wrong = ({"amount": 0}, {"amount": -5}, {"amount": 1.5}, {"currency": "eur"}, {"conversation": "0.x"}, {"title": ""})
        for part in wrong:
            answer = await api.client.post("/v1/payments", json={**ask, **part})
            assert 400 <= answer.status_code < 500, part
        talks = (await api.client.get("/v1/conversations")).json()["items"]
        assert [talk["id"] for talk in talks] == [ask["conversation"]]

    with_api(postgres_dsn, story)


def test_lists_go_page_by_page_and_ids_are_checked(postgres_dsn):
    async def story(shop, api):
        for key in ("a", "b", "c"):
            await shop.inbox.accept(shop.buyer, ())
            await _order(shop, key)
        first = (await api.client.get("/v1/payments?limit=2&bot=shop")).json()
        rest = (await api.client.get(f"/v1/payments?limit=2&before={first['next']}")).json()
        assert [one["reference"] for one in [*first["items"], *rest["items"]]] == ["c", "b", "a"]
        assert rest["next"] is None
        for path in ("pay_x", "pay_" + "A" * 24, "%00", "pay_" + "é" * 24):
            assert (await api.client.get(f"/v1/payments/{path}")).status_code == 404
            assert (await api.stranger.get(f"/pay/{path}")).status_code == 404
        assert (await api.client.get("/v1/payments?bot=nobody")).status_code == 404
        assert (await api.client.get("/v1/payments?state=rich")).status_code == 422
        reader = await api.as_key("payments:read")
        row = (await shop.payments())[0]
        assert (await api.stranger.get("/v1/payments", headers=reader)).status_code == 200
        assert (await api.stranger.post(f"/v1/payments/{row.id}/refund", json={}, headers=reader)).status_code == 403
        assert (await api.stranger.get("/v1/payments")).status_code == 401

    with_api(postgres_dsn, story)


async def _order(shop, key):
    from tests.integration.pipeline.road import message

    await shop.inbox.accept(shop.buyer, (message("anna", key),))
    await shop.settled()


def test_the_page_of_the_double_takes_one_choice(postgres_dsn):
    async def story(shop, api):
        row = await ordered(shop)
        page = await api.stranger.get(f"/pay/{row.id}")
        assert "No money moves" in page.text
        assert "Pay 12.50 EUR" in page.text
        assert "script" not in page.text
        assert "form-action 'self'" in page.headers["content-security-policy"]
        for bad in ("", "choice=steal", "choice=pay&choice=pay", "x=1", "choice=%ff"):
            answer = await api.stranger.post(f"/pay/{row.id}", content=bad, headers=FORM)
            assert answer.status_code == 422, bad
        foreign = {**FORM, "sec-fetch-site": "cross-site"}
        assert (await api.stranger.post(f"/pay/{row.id}", content="choice=pay", headers=foreign)).status_code == 403
        assert (await shop.desk.clicked(row.id))[0] is None
        for choice in ("pay", "decline", "pay"):
            answer = await api.stranger.post(f"/pay/{row.id}", content=f"choice={choice}", headers=FORM)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/pay/{row.id}")
        assert "Paid" in (await api.stranger.get(f"/pay/{row.id}")).text
        await shop.settled()
        assert [payment.state for payment in shop.news] == [S.PAID]

    with_api(postgres_dsn, story, real=False)


def test_the_page_takes_nothing_once_there_is_a_real_account(postgres_dsn):
    async def story(shop, api):
        row = await ordered(shop)
        from botstead.core.ports import Prepared

        await shop.registry.create_channel("shop", kind="stripe", name="", prepared=Prepared(settings={}, secrets={}))
        await shop.directory.refresh()
        assert "takes real payments now" in (await api.stranger.get(f"/pay/{row.id}")).text
        answer = await api.stranger.post(f"/pay/{row.id}", content="choice=pay", headers=FORM)
        assert answer.status_code == 409
        assert (await shop.desk.clicked(row.id))[0] is None
        ((real,),) = await shop.fetch("SELECT public_id FROM channel WHERE kind = 'stripe'")
        await shop.registry.delete_channel(real)
        await shop.directory.refresh()
        await _order(shop, "cup")
        assert shop.network.texts("anna")[-1].startswith("Sorry"), "whoever took real money never falls back to a test"

    with_api(postgres_dsn, story, real=False)


def test_a_real_payments_page_says_how_it_stands_and_takes_nothing(postgres_dsn):
    async def story(shop, api):
        row = await paid(shop)
        page = await api.stranger.get(f"/pay/{row.id}")
        assert "Paid" in page.text
        assert "<form" not in page.text
        assert "Test payment" not in page.text
        assert (await api.stranger.post(f"/pay/{row.id}", content="choice=pay", headers=FORM)).status_code == 404

    with_api(postgres_dsn, story)


def test_what_bots_write_is_text_on_the_page():
    from types import SimpleNamespace

    from botstead.web.pay.page import Shown, page

    row = SimpleNamespace(
        id="pay_1", provider="testpay", amount=100, currency="EUR", title='<script>"x"</script>', bot_name="a", state=S.PENDING
    )
    html = page(Shown(row=row, stands="pending", takes=True, back='/chat/a"b')).decode()
    assert 'href="/chat/a&quot;b"' in html
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert b"button" in asset("pay.css")


def test_the_pages_sentences_cover_every_state():
    from botstead.web.pay.page import SENTENCES

    assert set(SENTENCES) == {str(state) for state in PaymentState}


@pytest.fixture
def command(postgres_dsn, tmp_path):
    """`botstead payments …` against a shop whose API is on a port."""
    box, ready, port = {}, threading.Event(), free_port()

    async def serve():
        async with shop_and_api(postgres_dsn) as (shop, api):
            box.update(shop=shop, row=await paid(shop), loop=asyncio.get_running_loop())
            key = await api.as_key("admin")
            (tmp_path / "key").write_text(key["authorization"].removeprefix("Bearer "))
            config = uvicorn.Config(api.app, host="127.0.0.1", port=port, lifespan="off", log_config=None, access_log=False)
            box["server"] = uvicorn.Server(config)
            ready.set()
            await box["server"].serve()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: _answers(url), seconds=10)

    def run(*arguments, code=0):
        given = ["payments", *arguments, "--url", url, "--key-file", str(tmp_path / "key")]
        result = CliRunner().invoke(main, given)
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    yield run, box
    box["server"].should_exit = True
    thread.join(20)


def _answers(url):
    try:
        return httpx.get(f"{url}/health/live").status_code == 200
    except httpx.HTTPError:
        return False


def test_the_command_lists_shows_and_gives_back(command):
    run, box = command
    payment = box["row"].id
    assert [one["id"] for one in json.loads(run("list", "--json"))] == [payment]
    assert "12.50 EUR" in run("list", "--state", "paid")
    assert "Nothing was asked for yet." in run("list", "--state", "failed")
    shown = run("show", payment)
    assert "pending (moved), paid (moved)" in shown
    assert json.loads(run("show", payment, "--json"))["payment"]["id"] == payment
    assert "has more digits" in run("refund", payment, "--amount", "1.005", code=2)
    assert "only 12.50 EUR can go back" in run("refund", payment, "--amount", "99", code=1)
    assert "There is no such payment." in run("show", "pay_x", code=1)
    assert f"botstead payments show {payment}" in run("refund", payment, "--amount", "5")
    asyncio.run_coroutine_threadsafe(box["shop"].settled(), box["loop"]).result(15)
    assert json.loads(run("show", payment, "--json"))["payment"]["refunded"] == 500
