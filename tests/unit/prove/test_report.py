"""Reports say what was found, whatever was found; and a page of it needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from botstead.processes.prove.experiment import Figure, Moment, Sample
from botstead.processes.prove.page import page
from botstead.processes.prove.play import Result, number
from botstead.processes.prove.report import Run, document, text


def result(outcome="holds", **more):
    found = {
        "key": "E1",
        "title": "Things are killed",
        "promises": ("P1", "P7"),
        "outcome": outcome,
        "why": "",
        "seconds": 12.0,
        "figures": [Figure(promise="P1", name="updates lost", value=0, wanted="none", holds=True)],
        "moments": [Moment(3.0, "SIGKILL <worker-a>", "fault"), Moment(4.0, "back", "recovery"), Moment(5.0, "just so")],
        "samples": [Sample(float(at), at * 100, at * 90) for at in range(12)],
        "folder": "",
    }
    return Result(**(found | more))


def run(*results):
    return Run(
        began="2030-01-01T00:00:00+00:00",
        seconds=12.0,
        seed=77,
        scales={"E1": "full"},
        versions={"botstead": "1.2.3", "postgres": "18.6"},
        machine={"cores": "2"},
        results=results,
    )


LOST = Figure(promise="P1", name="updates lost", value=2, wanted="none", holds=False, examples=("chat 5: u7", "chat <6>: u8"))
BROKEN = {"outcome": "broken", "figures": [LOST], "folder": "/var/tmp/kept"}


def test_all_that_a_figure_depends_on_is_said():
    said = text(run(result()))
    for word in (
        "seed 77",
        "botstead 1.2.3",
        "postgres 18.6",
        "cores 2",
        "[full]",
        "SIGKILL",
        "1,100 acknowledged",
        "990 replied",
    ):
        assert word in said


@pytest.mark.parametrize(
    ("results", "holds"),
    [
        ([result()], True),
        ([result(), result("skipped", figures=(), why="no faketime")], True),
        ([result("skipped", figures=())], False),
        ([], False),
        ([result(), result(**BROKEN)], False),
        ([result(), result("failed", why="TimeoutError")], False),
        ([result(), result("stopped")], False),
    ],
)
def test_only_what_was_finished_and_held_is_a_proof(results, holds):
    assert run(*results).holds is holds


def test_a_promise_holds_only_if_each_figure_of_it_does():
    assert run(result()).promises() == {"P1": "holds", "P7": "holds"}
    assert run(result(), result(**BROKEN)).promises()["P1"] == "broken"
    assert run(result("skipped", figures=())).promises() == {"P1": "not shown", "P7": "not shown"}


def test_what_broke_is_named_with_examples_and_where_the_logs_are():
    for said in (text(run(result(**BROKEN))), page(run(result(**BROKEN)))):
        for word in ("chat 5: u7", "/var/tmp/kept", "Not everything"):
            assert word in said


def test_json_has_all_of_it_and_reads_back():
    whole = document(run(result(**BROKEN)))
    assert msgspec.json.decode(whole)["holds"] is False
    assert msgspec.json.decode(whole, type=Run).results[0].figures[0] == LOST


class _Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_texts_cannot_change_it():
    made = page(run(result(), result(**BROKEN), result("skipped", why="no <b>faketime</b>", figures=(), samples=(), moments=())))
    assert not re.search(r"<script|<link|https?://|url\(|@import", made)
    assert "<6>" not in made
    assert "<worker-a>" not in made
    assert "<b>" not in made
    assert "prefers-color-scheme:dark" in made
    assert "viewport" in made
    parser = _Balanced()
    parser.feed(made)
    assert not parser.open


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (8_000, "8,000"), (0.01634, "0.0163"), (2.0, "2"), (1234.5, "1,234"), (1.914, "1.91")]
)
def test_numbers_are_written_for_people(value, shown):
    assert number(value) == shown


def test_a_figure_without_an_end_is_still_a_number():
    assert number(float("inf")) == "inf"
