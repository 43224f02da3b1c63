"""A worker without a network loses its work to others, writes nothing when it is back, and works again."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_a_worker_cut_off_without_a_word_is_replaced_and_comes_back():
    holds("E12")
