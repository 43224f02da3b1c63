"""What the tool says about its figures: medians, tables, the picture, the model, and where they are written."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.bench import growth, plot, report


def echoed(target: str, cpu: float, *, replied: int = 10, refused: int = 0) -> dict:
    return {
        "target": target,
        "rate": 0,
        "round": 1,
        "n": 10,
        "replied": replied,
        "refused": refused,
        "broken": 0,
        "repeated": 0,
        "stray": 0,
        "cpu_ms": cpu,
        "cpu_ms_all": cpu,
        "memory_mb": 80.0,
        "memory_mb_all": 80.0,
    }


def point(axis: str, at: float, cpu: float, *, memory: float = 80.0, disk: float = 1.0) -> dict:
    figures = dict.fromkeys(("saturation_cpu_ms", "low_cpu_ms"), cpu)
    spread = {f"{name}_{end}": cpu for name in figures for end in ("from", "to")}
    sizes = {"bytes_a_message": 1_800.0, "messages": 1_000, "disk_gb": disk, "words_gb": disk / 4, "memory_mb": memory, "lost": 0}
    return {"axis": axis, "at": at, **figures, **spread, **sizes}


def test_medians_spread_and_ratios() -> None:
    rows = [echoed("one", 1.0), echoed("grammy", 2.0), echoed("one", 3.0), echoed("grammy", 2.0)]
    ours, peer = medians = report.summed_up(rows)
    assert (ours["cpu_ms"], ours["cpu_ms_from"], ours["cpu_ms_to"]) == (2.0, 1.0, 3.0)
    assert peer["cpu_ms"] == 2.0
    assert list(report.ratios(medians)) == [{"target": "one", "peer": "grammy", "rate": 0, "cpu_ms": 1.0, "memory_mb": 1.0}]
    table = report.echo_table(medians)
    assert table[0] == ["", "one", "grammy", "one / grammy"]
    assert ["CPU, ms a message", "2.00 (1.00–3.00)", "2.00", "1.00"] in table


def test_a_message_that_was_not_answered_is_told() -> None:
    assert report.losses(report.summed_up([echoed("one", 1.0)])).startswith("No message was")
    assert "not all answered" in report.losses(report.summed_up([echoed("one", 1.0), echoed("one", 1.0, replied=9)]))
    assert "2 refused" in report.losses(report.summed_up([echoed("one", 1.0, refused=2)]))


def test_figures_are_written_between_their_markers_again_and_again(tmp_path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- echo -->\n<!-- /echo -->\nafter\n")
    for body in ("old", "new"):
        report.write("echo", report.markdown([["a", "b"], [body, "1"]]), file=page)
    assert page.read_text() == "before\n<!-- echo -->\n| a | b |\n|---|---|\n| new | 1 |\n<!-- /echo -->\nafter\n"
    with pytest.raises(ValueError, match="no place for rest"):
        report.write("rest", "", file=page)


def test_our_page_has_a_place_for_every_table() -> None:
    for file, markers in (
        (report.README, ("echo", "rest", "search", "scrape", "telemetry", "growth")),
        (report.PLATFORM, ("scale",)),
    ):
        for marker in markers:
            assert f"<!-- {marker} -->" in file.read_text()
            assert f"<!-- /{marker} -->" in file.read_text()


def test_the_model_knows_two_rates_and_is_held_against_the_others() -> None:
    rates = [{"axis": "messages a second", "at": rate, "cores": 0.01 * rate**0.5} for rate in (50, 100, 600, 2_400)]
    bots = [point("bots", count, 0.3, memory=80 + 0.05 * (count - 1)) for count in (1, 10, 1_000)]
    history = [point("history rows", rows, 0.3, disk=rows / 1e6) for rows in (0, 1_000_000, 10_000_000)]
    talks = [point("conversations", count, 0.3) for count in (1_000, 10_000)]
    rows = [*rates, *bots, *history, *talks]
    held = list(growth.foretold(rows))
    assert [row["what"] for row in held] == [
        "cores at 50 messages/s",
        "cores at 2400 messages/s",
        "memory with 10 bots, MB",
        "disk of 10,000,000 rows, GB",
        "disk of 1,000 messages in 10,000 conversations, MB",
    ]
    assert all(abs(row["off"]) < 0.01 for row in held)
    known = growth.figures(rows)
    assert known["power"] == pytest.approx(0.5)
    assert known["memory_a_bot_mb"] == pytest.approx(0.05)
    rates[0]["cores"] *= 2
    assert next(growth.foretold(rows))["off"] == pytest.approx(-50)


def test_the_picture_is_well_formed_and_shows_every_point() -> None:
    rows = [point("bots", 1, 0.3), point("bots", 10, 0.4), point("history rows", 0, 0.3), point("history rows", 1_000_000, 2.0)]
    picture = ET.fromstring(plot.plotted(rows))
    circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 8
    width, height = map(float, picture.attrib["viewBox"].split()[2:])
    assert all(0 < float(circle.attrib["cx"]) < width and 0 < float(circle.attrib["cy"]) < height for circle in circles)


def test_the_cost_of_telemetry_is_a_share_of_the_whole():
    rows = [{"target": target, "rate": 0.0, "round": 1, "cpu_ms": cpu} for target, cpu in (("one", 0.25), ("muted", 0.2))]
    table = report.telemetry_table(report.summed_up(rows))
    assert [row[-1] for row in table] == ["share of it", "20.0%"]
    assert table[1][0] == "saturation"
