from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import Invalid
from botstead.core.money import MOST, Money, decimal, exponent, money

CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "ISK", "BHD", "GBP"])


@pytest.mark.parametrize(
    ("amount", "currency", "units", "shown"),
    [
        ("12.50", "EUR", 1250, "12.50 EUR"),
        ("12.5", "eur", 1250, "12.50 EUR"),
        (12, "EUR", 1200, "12.00 EUR"),
        (Decimal("0.01"), "USD", 1, "0.01 USD"),
        ("1200", "JPY", 1200, "1200 JPY"),
        ("1.234", "KWD", 1234, "1.234 KWD"),
    ],
)
def test_an_amount_is_whole_in_its_smallest_unit(amount, currency, units, shown):
    found = money(amount, currency)
    assert found == Money(units, currency.upper())
    assert str(found) == shown


@pytest.mark.parametrize(
    ("amount", "currency", "why"),
    [
        ("0", "EUR", "above 0"),
        ("-1", "EUR", "above 0"),
        ("1.005", "EUR", "more digits"),
        ("1.5", "JPY", "more digits"),
        ("1e400", "EUR", "above 0|no amount"),
        ("NaN", "EUR", "no amount"),
        ("Infinity", "EUR", "above 0"),
        ("1e300000", "EUR", "above 0"),
        ("1e3000000", "EUR", "no amount"),
        ("1e-300000", "EUR", "more digits|no amount"),
        ("twelve", "EUR", "no amount"),
        ("", "EUR", "no amount"),
        (12.5, "EUR", "float"),
        (True, "EUR", "float"),
        ("1", "EURO", "no currency"),
        ("1", "E1R", "no currency"),
        ("1", "\N{LATIN SMALL LETTER SHARP S}U", "no currency"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(amount, currency, why):
    with pytest.raises(Invalid, match=why):
        money(amount, currency)


@given(st.integers(1, MOST), CURRENCIES)
def test_what_was_written_is_read_again(units, currency):
    assert money(decimal(Money(units, currency)), currency) == Money(units, currency)
    assert len(decimal(Money(units, currency)).partition(".")[2]) == exponent(currency)


@given(st.text(max_size=12), st.text(max_size=4))
def test_any_text_is_an_amount_or_refused(amount, currency):
    try:
        found = money(amount, currency)
    except Invalid:
        return
    assert 0 < found.amount <= MOST
