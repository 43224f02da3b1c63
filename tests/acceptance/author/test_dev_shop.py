"""The shop sample in `botstead dev`: payments in a terminal."""

from __future__ import annotations

from pathlib import Path

import botstead
from tests.acceptance.author.test_author import PATIENCE, Terminal

SHOP = Path(botstead.__file__).parent / "samples" / "shop"


def test_a_mug_is_bought_in_the_terminal_and_given_back():
    with Terminal(SHOP) as terminal:
        terminal.wait_for("shop is ready.")
        terminal.type("#pay")
        terminal.wait_for("The bot asks for no payment.")
        terminal.type("goods")
        terminal.wait_for("#1 A mug, 12.50 EUR")
        terminal.type("#1")
        terminal.wait_for("shop: Order 1: A mug, 12.50 EUR. [Pay 12.50 EUR] (#pay or #decline)")
        terminal.type("#pay")
        terminal.wait_for("shop: Thank you! Order 1 is paid: A mug, 12.50 EUR.")
        terminal.type("refund 1")
        terminal.wait_for("shop: (gave money back)")
        terminal.wait_for("shop: 12.50 EUR of order 1 went back to you.")
        terminal.type("/quit")
        assert terminal.process.wait(PATIENCE) == 0
