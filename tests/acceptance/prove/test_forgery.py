"""Deliveries that were forged, replayed or sent many times: none is believed that should not be, none counts twice."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_a_delivery_sent_again_at_once_late_or_changed_takes_effect_once():
    holds("E21")


def test_no_forged_delivery_is_believed():
    holds("E26")


def test_a_replayed_delivery_is_refused_when_old_and_counts_once_when_not():
    holds("E27")
