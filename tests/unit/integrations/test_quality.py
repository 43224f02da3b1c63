"""Each integration says what it is and what it does well, and each proof that it names is a test that exists."""

from __future__ import annotations

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

import botstead.integrations

ROOT = Path(__file__).parents[3]
HOME = Path(botstead.integrations.__file__).parent
FOLDERS = sorted(path.parent for path in HOME.glob("*/manifest.toml"))
STATES = {"done", "todo", "exempt"}
FILES = {"quality.toml", "README.md"}


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


def test_there_are_some():
    assert {"weather", "mail"} <= {folder.name for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_proof_exists(folder):
    rules = tomllib.loads((folder / "quality.toml").read_text("utf-8"))
    assert rules
    for name, rule in rules.items():
        assert rule["status"] in STATES, name
        if rule["status"] == "done":
            file, _, test = rule["proof"].partition("::")
            assert test in functions(ROOT / file), f"{name}: {rule['proof']}"
        else:
            assert rule["comment"].strip(), name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_folder_has_its_files_and_provides_what_it_says(folder):
    assert {path.name for path in folder.iterdir()} >= FILES
    manifest = tomllib.loads((folder / "manifest.toml").read_text("utf-8"))
    assert manifest["name"].casefold() == folder.name
    assert manifest["title"]
    for provided in manifest["provides"].split(", "):
        if not provided.startswith("botstead."):
            continue  # a kind of payment account is no name for handlers
        module, _, name = provided.rpartition(".")
        assert hasattr(importlib.import_module(module), name), provided
