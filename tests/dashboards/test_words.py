"""The words that boards are written in, and PromQL that they make."""

from __future__ import annotations

import promql_parser as parser
import pytest
import yaml
from dashboards.__main__ import GENERATED
from dashboards.design import GRID, Board, Column, Limits, Query, Row, Series, Stat, Table
from dashboards.grafana import board_json, places
from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.embedded.prometheus import SCRAPE_SECONDS
from dashboards import limits, queries, slo
from tests.dashboards.promql import filled

labels = st.lists(st.sampled_from(["bot", "channel", "outcome"]), unique=True, max_size=3).map(tuple)
where = st.sampled_from(["", 'bot=~"$bot"', 'outcome!="ignored"'])
bounds = st.floats(min_value=-1e6, max_value=1e6)


def panel(kind=Series, title="Something", **more):
    return kind(title, says="It is normal.", queries=(Query("up"),), **more)


def only(row) -> dict:
    return next(each for each in board_json(Board("b", "B", ("Why?",), (Row("r", (row,)),)))["panels"] if each["type"] != "row")


@given(labels, where, st.booleans())
def test_every_word_makes_promql(by, matchers, zero):
    texts = [
        queries.rate("x_total", *by, where=matchers),
        queries.increase("x_total", *by, where=matchers),
        queries.share("x_total", 'outcome="failed"', *by, where=matchers, zero=zero),
        queries.quantile(0.95, "x_seconds", *by, where=matchers),
        queries.mean("x_seconds", *by, where=matchers),
        queries.slower("x_seconds", 0.25, *by, where=matchers),
        queries.heat("x_seconds", where=matchers).expr,
        *(query.expr for query in queries.quantiles("x_seconds", where=matchers)),
        slo.burn("1h", where=matchers),
        slo.bad_share("delivery", "1h"),
    ]
    for text in texts:
        parser.parse(filled(text, {"bot": ".+"}))


def test_a_share_of_nothing_is_nothing_and_of_no_failures_is_zero():
    assert queries.against("a", "b") == "a / (b > 0)"
    assert queries.against("a", "b", zero=True) == "(a or 0 * b) / (b > 0)"


def test_a_bucket_is_named_as_it_is_exposed():
    assert 'le="1.0"' in queries.slower("x_seconds", 1)


@given(bounds, bounds, st.booleans())
def test_colours_change_upwards_and_cover_everything(one, other, falling):
    """Grafana wants steps in rising order, from minus infinity."""
    warn, bad = (max(one, other), min(one, other)) if falling else (min(one, other), max(one, other))
    steps = Limits(warn=warn, bad=bad, falling=falling).steps()
    assert steps[0][0] is None
    assert [value for value, _ in steps[1:]] == sorted(value for value, _ in steps[1:])
    assert [colour for _, colour in steps] == (["red", "orange", "green"] if falling else ["green", "orange", "red"])


@given(st.lists(st.sampled_from([Stat, Series]), min_size=1, max_size=9))
def test_a_line_is_always_full(kinds):
    row = Row("r", tuple(panel(kind, title=str(number)) for number, kind in enumerate(kinds)))
    widths: dict[int, int] = {}
    for _, place in places(row, 0):
        assert place["x"] == widths.get(place["y"], 0)
        widths[place["y"]] = place["x"] + place["w"]
    assert set(widths.values()) == {GRID}


def test_a_line_is_drawn_only_where_it_gets_worse():
    steps = only(panel(limits=Limits(warn=1, bad=2)))["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["color"] for step in steps] == ["transparent", "orange", "red"]
    assert only(panel())["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "off"


def test_an_axis_begins_at_zero_unless_less_means_something():
    assert only(panel())["fieldConfig"]["defaults"]["min"] == 0
    assert "min" not in only(panel(negative=True))["fieldConfig"]["defaults"]


def test_many_lines_have_their_names_at_the_right():
    many = Series("x", says="It is.", queries=(Query("topk(10, up)", "{{instance}}"),))
    assert only(many)["options"]["legend"]["placement"] == "right"
    assert only(panel())["options"]["legend"]["placement"] == "bottom"


def test_a_name_keeps_the_number_when_the_title_changes():
    assert only(panel(title="New", name="Old"))["id"] == only(panel(title="Old"))["id"]


def test_a_table_names_its_columns_whether_it_has_one_or_several():
    """Grafana calls the value of a single query «Value», and those of several «Value #A», «Value #B»."""
    one = Table("x", says="It is.", keys={"bot": "Bot"}, columns=(Column("Up", "up"),), opens="b", follow="bot")
    two = Table("x", says="It is.", keys={"bot": "Bot"}, columns=(Column("Up", "up"), Column("Down", "up")))
    assert only(one)["transformations"][1]["options"]["renameByName"]["Value"] == "Up"
    assert only(two)["transformations"][1]["options"]["renameByName"]["Value #B"] == "Down"
    link = only(one)["fieldConfig"]["overrides"][-1]
    assert link["matcher"]["options"] == "Bot"
    assert link["properties"][0]["value"][0]["url"].startswith("/d/b/?var-bot=${__value.raw")


def test_limits_are_those_of_the_alerts():
    assert limits.failing("delivery") == Limits(warn=0.005, bad=pytest.approx(0.072))
    assert limits.good("delivery") == Limits(warn=0.995, bad=pytest.approx(0.928), falling=True)
    assert limits.within("ingress_ack") == 1.0
    assert limits.limit("QueueStuck", "waiting") == 300
    assert pytest.approx((14.4, 6, 3, 1)) == slo.SPENT


def test_grafana_is_given_the_interval_of_the_scrapes():
    """A shorter one makes `$__rate_interval` span one sample, and every rate empty."""
    found = yaml.safe_load((GENERATED.parent / "provisioning" / "datasources.yml").read_text())
    (source,) = found["datasources"]
    assert source["jsonData"]["timeInterval"] == f"{SCRAPE_SECONDS:g}s"
    assert source["jsonData"]["exemplarTraceIdDestinations"][0]["name"] == "trace_id"


def test_grafana_may_not_change_boards():
    (provider,) = yaml.safe_load((GENERATED.parent / "provisioning" / "providers.yml").read_text())["providers"]
    assert (provider["allowUiUpdates"], provider["disableDeletion"]) == (False, True)
