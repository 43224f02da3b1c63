"""The page itself: pure, from a payment to HTML."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib import resources
from string import Template
from types import MappingProxyType
from typing import Final

import msgspec

from botstead.core.money import Money
from botstead.operate.payments.cashier import DOUBLE
from botstead.store.payment_records import PaymentRow
from botstead.web.chat.page import version

SENTENCES: Final = MappingProxyType(
    {
        "opened": ("Waiting", "The payment is being prepared. Look again in a moment."),
        "pending": ("Waiting", "Not paid yet. If you have just paid, this may take a moment."),
        "approved": ("Almost done", "You have agreed; the payment is being taken."),
        "paid": ("Paid", "Thank you. You can close this page and go on in the chat."),
        "fulfilled": ("Paid", "Thank you. You can close this page and go on in the chat."),
        "failed": ("Not paid", "Nothing was charged. To try again, ask for it in the chat once more."),
        "expired": ("Expired", "Nobody paid in time. Ask for a new link in the chat."),
        "refunded": ("Refunded", "The money went back."),
    }
)
"""By state: a heading and a sentence."""
TEST: Final = '<p class="test" role="note"><strong>Test payment.</strong> No money moves, whatever you press.</p>'
FORM: Final = Template(
    '<form method="post" action="/pay/$id">'
    '<button class="primary" name="choice" value="pay">Pay $total</button>'
    '<button name="choice" value="decline">Decline</button></form>'
)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is about.

    Args:
        row: the payment.
        stands: how it stands, as the person should see it.
        takes: whether test payments are taken for its bot.
        back: address of the chat, or "" where that is no page of ours.
    """

    row: PaymentRow
    stands: str
    takes: bool
    back: str = ""


def page(shown: Shown) -> bytes:
    """Write the page of a payment.

    Args:
        shown: what it is about.
    """
    row = shown.row
    test, opens = row.provider == DOUBLE, shown.stands in ("opened", "pending")
    total = str(Money(row.amount, row.currency))
    heading, sentence = SENTENCES[shown.stands]
    body = f'<p class="state {escape(shown.stands)}" role="status"><strong>{heading}.</strong> {sentence}</p>'
    if test and opens:
        closed = '<p class="state" role="status">This shop takes real payments now. Ask it for a new link.</p>'
        body = FORM.substitute(id=escape(row.id), total=escape(total)) if shown.takes else closed
    values = {
        "title": escape(row.title),
        "bot": escape(row.bot_name),
        "total": escape(total),
        "test": TEST if test else "",
        "body": body,
        "back": f'<p class="back"><a href="{escape(shown.back)}">Back to the chat</a></p>' if shown.back else "",
        "id": escape(row.id),
        "assets": f"/chat/assets/{version()}",
    }
    return _template().substitute(values).encode()


@cache
def _template() -> Template:
    return Template(resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
