"""The shop sample in a browser: goods, the test page, the confirmation in the chat, and the money back. All processes are real."""

from __future__ import annotations

import pytest

from tests.acceptance.chat_browser.conftest import CHROMIUM, FLAGS
from tests.acceptance.roles.test_payments import base

__all__ = ["base"]


@pytest.fixture
def page(base):
    """The chat page of the shop, in a browser of its own."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1180, "height": 820}, locale="en-GB").new_page()
        page.set_default_timeout(10_000)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{base}/chat/shop")
        page.wait_for_selector("#log[aria-busy=false]", state="attached")
        yield page
        browser.close()
        assert complaints == []


def say(page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")


def heard(page, text: str):
    """The bot's message that says this, when it has come."""
    bubble = page.locator(".bubble").filter(has_text=text).last
    bubble.wait_for()
    return bubble


def buy(page, goods: str, order: str, choice: str):
    """Order, and choose on the test page; the page of the payment stays open."""
    say(page, "goods")
    page.locator("button:enabled", has_text=goods).last.click()
    assert "This is a test payment: no money moves." in heard(page, order).inner_text()
    link = page.get_by_role("link", name="Pay").last.get_attribute("href")
    assert link is not None
    till = page.context.new_page()
    till.goto(link)
    assert "Test payment. No money moves" in till.inner_text("main")
    till.get_by_role("button", name=choice).click()
    return till


def test_a_mug_is_bought_in_a_browser_and_the_money_comes_back(page):
    till = buy(page, "A mug, 12.50 EUR", "Order 1: A mug", "Pay 12.50 EUR")
    assert "Paid" in till.inner_text("main")
    thanks = heard(page, "Thank you! Order 1 is paid: A mug, 12.50 EUR.")
    assert "This was a test payment: no money has moved." in thanks.inner_text()
    till.get_by_role("link", name="Back to the chat").click()
    till.wait_for_url("**/chat/shop")
    declined = buy(page, "A sticker, 1.00 EUR", "Order 2: A sticker", "Decline")
    assert "Not paid" in declined.inner_text("main")
    heard(page, "Order 2 was not paid, and nothing was charged.")
    page.get_by_role("button", name="Try again").wait_for()
    say(page, "refund 1")
    heard(page, "12.50 EUR of order 1 went back to you.")
    say(page, "orders")
    heard(page, "1: A mug, refunded")
    assert page.locator(".bubble").filter(has_text="Thank you!").count() == 1
