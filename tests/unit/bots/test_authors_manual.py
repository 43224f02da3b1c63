"""AUTHORS.md: every example is loaded as a bot's folder, its test is run, and nothing in it goes without a test."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path

import pytest

import botstead.bots
from botstead import chat_with
from botstead.core.errors import BotBroken

MANUAL = Path(botstead.bots.__file__).parent / "AUTHORS.md"
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", MANUAL.read_text("utf-8"), re.DOTALL | re.MULTILINE))
SERVICES = ("Weather", "Http", "Rest", "Llm", "Mail", "Slack", "Payments")
UNDECLARED = {"Http": "", "Weather": "", "Payments": ""}
"""Services without a declaration, or whose declaration is looked at when they are called."""


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL)


def folder(section: str, path: Path, *, declared: bool = True) -> Path:
    code, _ = blocks(section, "python")
    (path / "bot.py").write_text(code, "utf-8")
    for toml in blocks(section, "toml") if declared else ():
        (path / "bot.toml").write_text(toml, "utf-8")
    return path


def test_each_service_has_a_section():
    assert tuple(SECTIONS) == SERVICES


@pytest.mark.parametrize("section", SERVICES)
def test_the_example_does_what_its_test_says(section, tmp_path):
    names: dict[str, object] = {}
    exec(compile(blocks(section, "python")[1], f"{section} in AUTHORS.md", "exec"), names)
    [test] = [value for name, value in names.items() if name.startswith("test_") and inspect.iscoroutinefunction(value)]

    async def run() -> None:
        async with chat_with(folder(section, tmp_path)) as chat:
            await test(chat)

    asyncio.run(run())


@pytest.mark.parametrize("section", [name for name in SERVICES if name not in UNDECLARED])
def test_without_its_declaration_the_example_is_refused_with_what_to_add(section, tmp_path):
    async def run() -> None:
        async with chat_with(folder(section, tmp_path, declared=False)):
            pass

    with pytest.raises(BotBroken, match=r"is not declared. Add to bot.toml: \["):
        asyncio.run(run())


def test_every_file_that_it_names_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", MANUAL.read_text("utf-8")):
        assert (MANUAL.parent / target).exists(), target
