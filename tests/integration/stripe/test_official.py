"""Stripe's own client against the double: it takes what we send, and answers what that client knows."""

from __future__ import annotations

import typing
import urllib.request

import pytest
import stripe

from tests.doubles.beside import beside
from tests.doubles.provider_faults import ProviderFault
from tests.doubles.stripe import StripeDouble
from tests.doubles.stripe_rules import SESSION, hints_of, nested, wrong
from tests.integration.stripe.shop import KEY, order


@pytest.fixture(scope="module")
def double():
    with beside(StripeDouble(strict=False)) as running:
        yield running


@pytest.fixture(scope="module")
def client(double):
    http = stripe.RequestsClient(timeout=10)
    made = stripe.StripeClient(KEY, base_addresses={"api": double.url}, http_client=http, max_network_retries=2)
    yield made
    http.close()


def page(client):
    asked = order()
    params = {
        "mode": "payment",
        "client_reference_id": asked.id,
        "metadata": {"order": asked.id},
        "payment_intent_data": {"metadata": {"order": asked.id}},
        "success_url": "https://shop.example/",
        "line_items": [
            {"quantity": 1, "price_data": {"currency": "eur", "unit_amount": 1250, "product_data": {"name": "A mug"}}}
        ],
    }
    return asked, client.v1.checkout.sessions.create(params, {"idempotency_key": asked.key})


def known(thing) -> None:
    """Hold an answer to the class that the client has for it: nothing that must be there is missing, nothing is made up."""
    hints = {name: hint for name, hint in hints_of(type(thing)).items() if name in type(thing).__annotations__}
    needed = {name for name, hint in hints.items() if type(None) not in typing.get_args(hint)} - {"deleted", "OBJECT_NAME"}
    given = set(thing.to_dict())
    assert (needed - given, given - set(hints)) == (set(), set()), type(thing)


def pay(double, session):
    """As a person does who opens the page."""
    request = urllib.request.Request(f"{double.url}/pay/{session}", method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def test_it_reads_every_object_that_we_read(double, client):
    asked, session = page(client)
    known(session)
    assert (session.status, session.payment_status, session.client_reference_id) == ("open", "unpaid", asked.id)
    pay(double, session.id)
    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert paid.payment_status == "paid"
    known(paid.payment_intent)
    known(paid.payment_intent.latest_charge)
    refund = client.v1.refunds.create(
        {"payment_intent": paid.payment_intent.id, "amount": 250, "metadata": {"order": asked.id, "refund": "k"}}
    )
    known(refund)
    assert [one.id for one in client.v1.refunds.list({"payment_intent": paid.payment_intent.id}).data] == [refund.id]
    events = client.v1.events.list({"delivery_success": False, "limit": 100})
    known(events.data[0])
    assert {event.type for event in events.data} >= {"checkout.session.completed", "charge.refunded", "refund.updated"}
    assert next(one.id for one in client.v1.checkout.sessions.list({"limit": 100}).auto_paging_iter()) == session.id


def test_it_repeats_under_one_key_and_gets_one_page(double, client):
    before = len(double.sessions)
    double.fault(ProviderFault(kind="close", applied=True, on="POST"))
    asked, session = page(client)
    assert session.client_reference_id == asked.id
    assert len(double.sessions) == before + 1
    with pytest.raises(stripe.IdempotencyError):
        client.v1.checkout.sessions.create(
            {"mode": "payment", "success_url": "https://y.example/"}, {"idempotency_key": asked.key}
        )


@pytest.mark.parametrize(
    "form",
    [
        "mode=payment&amount=5",
        "expires_at=soon",
        "line_items[0][quantity]=x",
        "line_items[1][quantity]=1",
        "metadata=x",
        "api_key=sk",
    ],
)
def test_what_its_types_do_not_know_is_refused(form):
    assert list(wrong(nested(form.encode()), SESSION))


def test_errors_are_those_that_it_knows(double, client):
    with pytest.raises(stripe.InvalidRequestError, match="No such object"):
        client.v1.checkout.sessions.retrieve("cs_test_nobody")
    http = stripe.RequestsClient(timeout=10)
    stranger = stripe.StripeClient("nobody", base_addresses={"api": double.url}, http_client=http)
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.events.list()
    http.close()
