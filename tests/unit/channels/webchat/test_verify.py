"""Who is let in: visitors by id, browsers only from our own page."""

from __future__ import annotations

import uuid
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.webchat.verify import check_origin, visitor_of
from botstead.core.errors import Forbidden, Rejected
from botstead.core.messages import Delivery

ID = "0b7e2f1a-94c5-4d1e-8a55-6f2f6e0d7c11"


def delivery(*headers: tuple[bytes, bytes]) -> Delivery:
    return Delivery(b"", headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"sec-fetch-site", b"same-origin"),),
        ((b"sec-fetch-site", b"none"),),
        ((b"sec-fetch-site", b"same-origin"), (b"origin", b"https://elsewhere.example")),
        ((b"origin", b"https://bots.example.org"), (b"host", b"bots.example.org")),
        ((b"origin", b"http://127.0.0.1:8080"), (b"host", b"127.0.0.1:8080")),
        ((b"origin", b"https://Bots.example.org"), (b"host", b"bots.Example.org")),
    ],
)
def test_our_own_page_and_programs_pass(headers):
    check_origin(delivery(*headers))


@pytest.mark.parametrize(
    "headers",
    [
        ((b"sec-fetch-site", b"cross-site"),),
        ((b"sec-fetch-site", b"same-site"),),
        ((b"sec-fetch-site", b""), (b"origin", b"https://bots.example.org"), (b"host", b"bots.example.org")),
        ((b"origin", b"https://evil.example"), (b"host", b"bots.example.org")),
        ((b"origin", b"https://bots.example.org.evil.example"), (b"host", b"bots.example.org")),
        ((b"origin", b"http://127.0.0.1:9000"), (b"host", b"127.0.0.1:8080")),
        ((b"origin", b"null"), (b"host", b"bots.example.org")),
        ((b"origin", b"https://[broken"), (b"host", b"bots.example.org")),
        ((b"origin", b"null"),),
    ],
)
def test_pages_of_others_do_not(headers):
    with pytest.raises(Forbidden):
        check_origin(delivery(*headers))


@pytest.mark.parametrize(
    ("headers", "visitor"),
    [
        ((), ""),
        (((b"x-visitor", ID.encode()),), ID),
        (((b"x-visitor", ID.upper().encode()),), ID),
        (((b"cookie", f"a=b; botstead_visitor={ID}; c=d".encode()),), ID),
        (((b"cookie", b"botstead_visitor=nonsense"),), ""),
        (((b"cookie", b"botstead_visitor"),), ""),
        (((b"cookie", b"other=1"),), ""),
        (((b"x-visitor", ID.encode()), (b"cookie", f"botstead_visitor={uuid.uuid4()}".encode())), ID),
    ],
)
def test_the_visitor_is_found(headers, visitor):
    assert visitor_of(delivery(*headers)) == visitor


@pytest.mark.parametrize("values", [(b"",), (b"me",), (b"\xff",), (ID.encode(), ID.encode())])
def test_a_header_that_is_no_id_is_refused(values):
    with pytest.raises(Rejected) as refused:
        visitor_of(delivery(*((b"x-visitor", value) for value in values)))
    assert refused.value.reason == "malformed"


@given(
    st.lists(st.tuples(st.sampled_from([b"origin", b"host", b"cookie", b"sec-fetch-site"]), st.binary(max_size=40)), max_size=4)
)
def test_hostile_headers_only_ever_get_our_own_errors(headers):
    given_delivery = delivery(*headers)
    visitor = visitor_of(given_delivery)
    assert visitor == "" or uuid.UUID(visitor)
    with suppress(Forbidden):
        check_origin(given_delivery)
