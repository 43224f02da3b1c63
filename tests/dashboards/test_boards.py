"""Rules that every board keeps, so that whoever can read one can read all."""

from __future__ import annotations

import json
import re
import zlib

import pytest
from dashboards.boards import BOARDS
from dashboards.design import GRID, HUES, PANELS_A_ROW, STATS_A_ROW, Column, Heat, Limits, Note, Series, Stat, Table, asked
from dashboards.grafana import board_json, places
from dashboards.runbooks import FOLDER, runbooks
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from botstead.operate.alerting.conditions import load_conditions
from botstead.operate.alerting.files import rule_files
from botstead.operate.objectives.model import load_objectives
from botstead.operate.panels import panel_url
from dashboards import __main__ as generator
from dashboards import boards as package
from tests.dashboards.promql import KNOWN

ALL = (*BOARDS, runbooks())
UNITS = {value for name, value in vars(units).items() if name[0].isupper() and isinstance(value, str)}
PANELS = [pytest.param(board, panel, id=f"{board.uid}/{panel.title}") for board in BOARDS for panel in board.panels()]
each_board = pytest.mark.parametrize("board", ALL, ids=lambda board: board.uid)
each_panel = pytest.mark.parametrize(("board", "panel"), PANELS)


def drawn(board):
    """All panels of a board's JSON, those in closed rows too."""
    for panel in board_json(board)["panels"]:
        yield from [panel, *panel.get("panels", [])]


def test_what_is_committed_is_what_the_program_writes():
    there = {path.name: path.read_text("utf-8") for path in generator.GENERATED.glob("*.json")}
    assert there == generator.files(), "run scripts/generate"


def test_a_board_is_named_like_its_file():
    assert [board.uid for board in BOARDS] == [file.__name__.rsplit(".")[-1].replace("_", "-") for file in package._FILES]


@each_board
def test_grafanas_own_types_know_every_key(board):
    """They drop what they do not know, so a misspelt key does not come back."""
    register_default_plugins()
    raw = board_json(board)
    back = json.loads(JSONEncoder().encode(Dashboard.from_json(raw)))
    # The data source adds this key of its own: https://grafana.com/docs/grafana/latest/datasources/prometheus/annotations/
    own = {f".annotations.list[{number}].titleFormat" for number in range(len(raw["annotations"]["list"]))}
    assert set(lost(raw, back)) == own


def test_the_types_drop_a_misspelt_key():
    register_default_plugins()
    raw = board_json(BOARDS[0])
    raw["panels"][1]["discription"] = "x"
    raw["panels"][1]["fieldConfig"]["defaults"]["untis"] = "s"
    back = json.loads(JSONEncoder().encode(Dashboard.from_json(raw)))
    assert {path.rsplit(".")[-1] for path in lost(raw, back)} == {"untis", "discription", "titleFormat"}


def lost(raw, back, path=""):
    """Give the paths of what did not come back."""
    if isinstance(raw, dict) and isinstance(back, dict):
        for key, value in raw.items():
            yield from lost(value, back[key], f"{path}.{key}") if key in back else [f"{path}.{key}"]
    elif isinstance(raw, list) and isinstance(back, list) and len(raw) == len(back):
        for number, (one, other) in enumerate(zip(raw, back, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif raw != back:
        yield f"{path}: {raw!r} became {back!r}"


@each_board
def test_a_board_is_read_only_and_follows_the_reader(board):
    found = board_json(board)
    assert (found["editable"], found["graphTooltip"], found["timezone"], found["refresh"]) == (False, 1, "browser", "30s")
    assert found["time"] == {"from": "now-6h", "to": "now"}
    assert found["schemaVersion"] == 41
    assert found["tags"] == ["botstead"]
    assert found["templating"]["list"][0]["type"] == "datasource"
    assert all(question.endswith("?") for question in board.asks)


@each_board
def test_numbers_come_from_names_alone(board):
    """Links in old letters still open the panel, whatever was moved."""
    for panel in board.panels():
        number = zlib.crc32(f"{board.uid}/{panel.key}".encode()) & 0x7FFFFFFF
        assert f"viewPanel={number}" in panel_url(board.uid, panel.key)
        assert number in {each["id"] for each in drawn(board)}
    numbers = [each["id"] for each in drawn(board)]
    assert len(numbers) == len(set(numbers))
    titles = [panel.title for panel in board.panels()]
    assert len(titles) == len(set(titles))


@each_board
def test_panels_fill_the_grid_without_overlap(board):
    for row in board.rows:
        taken: set[tuple[int, int]] = set()
        for panel, place in places(row, 0):
            cells = {
                (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel.title
            assert place["x"] + place["w"] <= GRID, panel.title
            taken |= cells
        lines = [{x for x, y in taken if y == line} for line in {y for _, y in taken}]
        assert all(len(line) == GRID for line in lines), f"{row.title} has holes"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_board_can_be_read_from_top_to_bottom(board):
    verdict, *others = board.rows
    assert all(isinstance(panel, Stat) for panel in verdict.panels), "the first row is the verdict"
    assert len(verdict.panels) <= STATS_A_ROW
    assert not any(isinstance(panel, Stat) for row in others for panel in row.panels)
    assert sum(len(row.panels) for row in others if not row.closed) <= 20, "more than 20 open panels cannot be looked at"
    for row in others:
        beside: dict[int, int] = {}
        for _, place in places(row, 0):
            beside[place["y"]] = beside.get(place["y"], 0) + 1
        assert max(beside.values()) <= PANELS_A_ROW


@each_panel
def test_a_panel_says_what_is_normal(board, panel):
    assert re.fullmatch(r"[A-Z][^.?!]{1,40}", panel.title), "a title is short, in sentence case, without a full stop"
    assert panel.says.endswith((".", "?")), "says what is normal, and what to do"
    assert 10 < len(panel.says) <= 200
    assert asked(panel)
    assert panel.unit in UNITS or panel.unit.startswith("count:")
    assert not panel.empty_ok or panel.empty_ok[0].islower()


@each_panel
def test_links_lead_somewhere(board, panel):
    assert not panel.opens or panel.opens in {each.uid for each in BOARDS}
    assert not panel.runbook or (FOLDER / f"{panel.runbook}.md").exists()


@each_panel
def test_colour_is_for_verdicts(board, panel):
    """A figure without a limit is blue; what has a limit or is a state has its colour from there."""
    json_panel = next(each for each in drawn(board) if each["title"] == panel.title and each["type"] != "row")
    steps = json_panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert (len(steps) > 1) == bool(panel.limits)
    if isinstance(panel, Stat):
        assert (json_panel["options"]["colorMode"] == "background") == bool(panel.limits or panel.words)


@each_panel
def test_legends_name_what_differs(board, panel):
    """Several lines need names, and a label in a name must be kept by the query."""
    if isinstance(panel, Series) and len(panel.queries) > 1:
        assert all(query.legend for query in panel.queries)
    if isinstance(panel, Heat):
        assert panel.queries[0].legend == "{{le}}"
    if isinstance(panel, Table):
        assert panel.keys
        assert all(isinstance(column, Column) for column in panel.columns)
        assert not panel.worst or panel.worst in {*(column.title for column in panel.columns), *panel.keys.values()}
        assert not panel.follow or panel.opens


@pytest.mark.parametrize("cause", [*load_objectives(), *load_conditions()], ids=lambda cause: cause.name)
def test_every_alert_has_a_panel_and_its_panel_the_alert(cause):
    """An alert links to a panel that is there, and the panel names a runbook."""
    board = next(each for each in BOARDS if each.uid == cause.board)
    panel = next(each for each in board.panels() if each.title == cause.panel)
    assert panel.runbook, f"{board.uid}/{panel.title} should link to a runbook: {cause.name} opens it"
    for label in getattr(cause, "labels", ()):
        assert label in KNOWN["ALERTS"].labels or label in {"queue", "table", "metric", "rule_group", "integration"}


def test_every_runbook_is_on_the_board_of_runbooks():
    expected = {cause.alert for cause in load_objectives()} | {cause.name for cause in load_conditions()}
    notes = {panel.title: panel for panel in runbooks().panels()}
    assert set(notes) == expected & {path.stem for path in FOLDER.glob("*.md")}
    assert all(isinstance(note, Note) and note.text and note.opens for note in notes.values())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_variables_mean_everything_at_first(board):
    """With an empty «All» boards are empty; a list from a metric that an idle system lacks cannot be chosen from."""
    for variable, found in zip(board.variables, board_json(board)["templating"]["list"][1:], strict=True):
        assert variable.metric in KNOWN
        assert variable.label in KNOWN[variable.metric].labels
        assert (found["allValue"], found["refresh"], found["includeAll"], found["multi"]) == (".+", 2, True, True)
        assert any(f"${variable.name}" in query.expr for panel in board.panels() for query in asked(panel))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_targets_are_as_grafana_wants_them(board):
    for panel in drawn(board):
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["instant"] is not target["range"]
            assert "\n" not in target["expr"]


def test_limits_become_steps():
    assert Limits(warn=1, bad=2).steps() == [(None, "green"), (1, "orange"), (2, "red")]
    assert Limits(warn=0.25, bad=0, falling=True).steps() == [(None, "red"), (0, "orange"), (0.25, "green")]
    assert Limits(bad=3).steps() == [(None, "green"), (3, "red")]
    assert Limits(warn=3, falling=True).steps() == [(None, "orange"), (3, "green")]


def test_a_word_has_one_colour():
    assert HUES["failed"] == HUES["error"] == HUES["dead"]
    assert len({HUES[word] for word in ("p50", "p95", "p99")}) == 3
    assert len({HUES[word] for word in ("queue", "handle", "commit", "send")}) == 4


def test_links_of_alerts_open_panels():
    """Every link that our rules carry has the number of a panel on the board that it names."""
    numbers = {board.uid: {each["id"] for each in drawn(board)} for board in BOARDS}
    links = re.findall(r"dashboard_url: .*?/d/([a-z-]+)/\?viewPanel=(\d+)", "\n".join(rule_files().values()))
    assert len(links) > 50
    assert [link for link in links if int(link[1]) not in numbers[link[0]]] == []
