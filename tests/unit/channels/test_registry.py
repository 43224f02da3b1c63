"""Every kind has its folder, its manifest and its claims."""

from __future__ import annotations

from pathlib import Path

import pytest

from botstead import channels
from botstead.channels.registry import kinds, manifests, quality

FOLDER = Path(next(iter(channels.__path__)))
FILES = {"__init__.py", "verify.py", "parse.py", "render.py", "api.py", "health.py", "manifest.toml", "quality.toml", "README.md"}


def test_every_folder_is_listed():
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert folders == set(kinds()) == set(manifests())


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_whoever_knows_one_knows_all(kind):
    assert {path.name for path in (FOLDER / kind).iterdir()} >= FILES


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_a_manifest_says_what_the_code_does(kind):
    manifest = manifests()[kind]
    assert (manifest.kind, bool(manifest.name), bool(manifest.about)) == (kind, True, True)
    assert set(manifest.actions) == {"send", "edit", "delete", "typing", "answer"}
    for name, field in {**manifest.settings, **manifest.secrets}.items():
        assert field.about, name
        assert not (field.required and field.made), name


def test_telegram_waits_as_telegram_asks():
    rates = manifests()["telegram"].rates
    assert (rates.bot_per_second, rates.conversation_per_second) == (30, 1)


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_each_rule_is_done_or_has_a_reason(kind):
    rules = set(quality("telegram"))
    claims = quality(kind)
    assert set(claims) == rules
    for rule, claim in claims.items():
        if claim != "done":
            assert claim["status"] in ("todo", "exempt"), rule
            assert claim["why"], rule
