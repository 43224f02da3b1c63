"""Through the edge: restarts, deaths, requests that fit nothing, and clients that take their time."""

from __future__ import annotations

from tests.acceptance.prove.plays import holds


def test_a_rolling_restart_behind_the_edge_loses_no_request():
    holds("E15")


def test_an_api_process_killed_behind_the_edge_costs_at_most_what_was_under_way():
    holds("E16")


def test_what_fits_nothing_is_never_answered_with_success():
    holds("E18")


def test_slow_clients_hold_nobody_else_up():
    holds("E24")
