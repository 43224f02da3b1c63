"""A page for each alert, with five headings, whose commands, boards, statements and queries exist."""

from __future__ import annotations

import asyncio
import json
import re
import shlex

import click
import pytest

from botstead.operate.alerting.runbooks import HEADINGS, TO_FILL, sections, skeleton
from botstead.processes.cli.main import main
from tests.alerts.play import CONDITIONS, GENERATED, OBJECTIVES
from tests.dashboards.promql import problems

FOLDER = GENERATED.parent / "runbooks"
PAGES = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.md"))}
NAMES = {*CONDITIONS, *(objective.alert for objective in OBJECTIVES.values())}
BOARDS = {path.stem: json.loads(path.read_text()) for path in (FOLDER.parents[1] / "dashboards" / "generated").glob("*.json")}
COMMAND = re.compile(r"`(botstead [^`]+)`")
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
BOARD = re.compile(r"[Bb]oard \*([a-z-]+)\*((?:,? (?:and )?panels? )?(?:(?:, | and )?«[^»]+»)*)")


def test_each_alert_has_its_page_and_each_page_its_alert():
    assert set(PAGES) == NAMES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_five_headings_that_are_filled(name):
    found = sections(PAGES[name])
    assert tuple(found) == HEADINGS
    assert all(len(body) > 8 for body in found.values())
    assert TO_FILL not in PAGES[name]
    assert PAGES[name].startswith(f"# {name}\n")
    assert re.match(r"1\. ", found["First five minutes"])


@pytest.mark.parametrize("name", PAGES)
def test_its_commands_exist(name):
    for command in COMMAND.findall(PAGES[name].replace("\n", " ")):
        assert _wrong(shlex.split(re.sub(r"\s+", " ", command))[1:]) == "", command


def _wrong(words: list[str]) -> str:
    """What is wrong with a command line; letters in capitals stand for what a person fills in."""
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"there is no {words[0]}"
        command, words = found, words[1:]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    strange = [word for word in words if word.startswith("--") and word not in options]
    return f"there is no {strange[0]}" if strange else ""


@pytest.mark.parametrize("name", PAGES)
def test_its_boards_and_panels_exist(name):
    text = PAGES[name].replace("\n   ", " ").replace("\n", " ")
    for board, panels in BOARD.findall(re.sub(r"\s+", " ", text)):
        assert board in BOARDS, board
        titles = {inner.get("title") for panel in BOARDS[board]["panels"] for inner in [panel, *panel.get("panels", [])]}
        assert {panel for panel in re.findall(r"«([^»]+)»", panels) if panel[0].isupper()} <= titles, (board, panels)


@pytest.mark.parametrize("name", PAGES)
def test_alerts_that_it_names_exist(name):
    named = set(re.findall(r"[Ss]ee `([A-Z]\w+)`|→ `([A-Z]\w+)`", PAGES[name]))
    assert {first or second for first, second in named} <= NAMES


def test_its_queries_and_statements_run(postgres_dsn):
    found = [(name, language, body) for name, page in PAGES.items() for _, language, body in BLOCK.findall(page)]
    assert {language for _, language, _ in found} == {"sql", "promql"}
    for name, language, body in found:
        if language == "promql" and "__name__" not in body:
            assert list(problems(body)) == [], name
    asyncio.run(_run(postgres_dsn, [(name, body) for name, language, body in found if language == "sql"]))


async def _run(dsn: str, statements: list[tuple[str, str]]) -> None:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        for name, statement in statements:
            try:
                await connection.fetch(statement)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{name}: {error}")
    finally:
        await connection.close()


def test_the_page_of_a_new_alert_says_what_is_known_and_what_is_not():
    page = sections(skeleton(CONDITIONS["QueueStuck"]))
    assert tuple(page) == HEADINGS
    assert page["Impact"] == CONDITIONS["QueueStuck"].impact
    assert page["Fix"] == TO_FILL
    burn = sections(skeleton(OBJECTIVES["delivery"]))
    assert burn["First five minutes"].count("\n") == len(OBJECTIVES["delivery"].first_steps) - 1
