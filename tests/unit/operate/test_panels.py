"""Links to panels: stable numbers, and values that cannot break out of an address."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from botstead.operate.panels import panel_id, panel_url

names = st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True)


def test_the_number_of_a_panel_does_not_change():
    """Letters sent last year must still open the panel, so these numbers are part of the interface."""
    assert panel_id("home", "delivery") == 573036232
    assert panel_id("objectives", "burn") == 1734309294


@given(names, names)
def test_a_number_fits_a_signed_integer_of_32_bits(board, panel):
    assert 0 <= panel_id(board, panel) < 2**31


def test_an_alert_fills_in_its_labels():
    found = panel_url("bot", "delivery", carried=("bot",))
    assert found == f"/d/bot/?viewPanel={panel_id('bot', 'delivery')}&var-bot={{{{ $labels.bot | urlquery }}}}"


@given(names, st.text(max_size=30))
def test_a_value_arrives_as_it_was(board, value):
    parts = urlsplit(panel_url(board, bot=value))
    assert parts.path == f"/d/{board}/"
    assert parse_qs(parts.query, keep_blank_values=True) == {"var-bot": [value]}


def test_a_board_alone():
    assert panel_url("home") == "/d/home/"
