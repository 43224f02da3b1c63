"""The picture of a timeline: its rates are right, and its labels can be read."""

from __future__ import annotations

import math
from itertools import combinations
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.prove.experiment import Moment, Sample
from botstead.processes.prove.picture import LETTER, RIGHT, WIDTH, nice, place, rates, timeline

moments = st.lists(
    st.builds(Moment, st.floats(0, 60), st.sampled_from(["SIGKILL api-a at 7", "SIGSTOP worker-b", "x" * 60]), st.just("fault"))
)


@given(moments)
def test_labels_never_overlap_and_stay_inside(found):
    labels = [label for label in place(sorted(found, key=lambda each: each.at), 60.0) if not math.isnan(label.left)]
    for label in labels:
        assert label.left >= 0
        assert label.left + len(label.text) * LETTER <= WIDTH - RIGHT + 0.01
    for one, other in combinations(labels, 2):
        if one.row == other.row:
            first, second = sorted((one, other), key=lambda each: each.left)
            assert first.left + len(first.text) * LETTER <= second.left


def test_each_fault_has_a_mark_even_without_room_for_its_label():
    found = [Moment(5.0, f"SIGKILL worker-{n}", "fault") for n in range(50)]
    picture = ET.fromstring(timeline([], found, 10.0, title="x"))
    assert len([each for each in picture.iter("line") if each.get("class") is None]) == 50


def test_rates_are_per_second():
    samples = [Sample(at / 5, at * 40, at * 20) for at in range(51)]
    for _, acknowledged, replied in rates(samples, 10.0):
        assert abs(acknowledged - 200) < 1e-6
        assert abs(replied - 100) < 1e-6


def test_there_is_a_picture_of_nothing():
    ET.fromstring(timeline([], [], 0.0, title="<nothing>"))
    ET.fromstring(timeline([Sample(0.0, 0, 0)], [], 0.0, title="nothing"))


@given(st.floats(1e-3, 1e9))
def test_an_axis_ends_at_a_number_that_reads_well(value):
    found = nice(value)
    assert found >= value
    assert found <= max(1.0, 10 * value)
    assert f"{found:.0e}"[0] in "125"
