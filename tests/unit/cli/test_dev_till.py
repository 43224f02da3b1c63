"""Payments in the terminal."""

from __future__ import annotations

from botstead.core.messages import Pay, Refund
from botstead.processes.cli.dev_till import DevTill


def test_the_newest_that_waits_is_paid_or_declined_once():
    till = DevTill()
    assert till.choose("#pay") is None
    assert till.ask(Pay(1250, "EUR", "A mug", reference="mug")) == "A mug: 12.50 EUR [Pay 12.50 EUR] (#pay or #decline)"
    assert till.ask(Pay(100, "JPY", "Tea", text="Hot tea", label="Yes")) == "Hot tea [Yes] (#pay or #decline)"
    tea, mug = till.choose("#decline"), till.choose("#pay")
    assert (str(tea.state), tea.title) == ("failed", "Tea")
    assert (str(mug.state), mug.reference, mug.provider) == ("paid", "mug", "testpay")
    assert till.choose("#pay") is None


def test_no_more_goes_back_than_was_paid():
    till = DevTill()
    till.ask(Pay(1250, "EUR", "A mug"))
    assert till.give_back(Refund("pay_dev1")) is None
    till.choose("#pay")
    part = till.give_back(Refund("pay_dev1", 250))
    assert (str(part.state), part.refunded) == ("fulfilled", 250)
    assert till.give_back(Refund("pay_dev1", 1001)) is None
    whole = till.give_back(Refund("pay_dev1"))
    assert (str(whole.state), whole.refunded) == ("refunded", 1250)
    assert till.give_back(Refund("pay_dev1")) is None
    assert till.give_back(Refund("pay_dev9")) is None
