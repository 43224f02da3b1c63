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


def read(folder: Path, name: str) -> dict:
    return tomllib.loads((folder / name).read_text("utf-8"))


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


def each(kind: bool):
    """The folders that are kinds of payment accounts, written as channels are; or the others."""
    found = [folder for folder in FOLDERS if ("kind" in read(folder, "manifest.toml")) is kind]
    return pytest.mark.parametrize("folder", found, ids=lambda folder: folder.name)


def test_there_are_some():
    assert {"weather", "mail", "slack", "rest"} <= {folder.name for folder in FOLDERS}
    assert all((folder / "README.md").is_file() for folder in FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_proof_exists(folder):
    rules = read(folder, "quality.toml")
    assert rules
    for name, rule in rules.items():
        assert rule["status"] in STATES, name
        if rule["status"] == "done":
            file, _, test = rule["proof"].partition("::")
            assert test in functions(ROOT / file), f"{name}: {rule['proof']}"
        else:
            assert rule["comment"].strip(), name


@each(kind=False)
def test_every_integration_provides_what_it_says(folder):
    manifest = read(folder, "manifest.toml")
    assert manifest["name"] == folder.name
    assert manifest["title"]
    for provided in manifest["provides"].split(", "):
        if not provided.startswith("botstead."):
            continue  # what the platform uses itself is no name for handlers
        module, _, name = provided.rpartition(".")
        assert hasattr(importlib.import_module(module), name), provided
