"""Weather codes, days, and the files that describe the integration."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import botstead
from botstead.core.settings import Settings
from botstead.integrations.weather import errors
from botstead.integrations.weather.client import FORECAST_BASE, GEOCODING_BASE
from botstead.integrations.weather.models import ATTRIBUTION, Days, Forecast, Kept, Place, today, words

ROOT = Path(__file__).parents[3]
FOLDER = Path(botstead.__file__).parent / "integrations" / "weather"
QUALITY = tomllib.loads((FOLDER / "quality.toml").read_text())


@given(st.integers())
def test_every_code_has_words(code):
    assert words(code)


def test_codes_of_the_documentation_are_known():
    documented = [0, 1, 2, 3, 45, 48, 51, 53, 55, 56, 57, 61, 63, 65, 66, 67, 71, 73, 75, 77, 80, 81, 82, 85, 86, 95, 96, 99]
    said = [words(code) for code in documented]
    assert "Unknown weather" not in said
    assert words(4) == "Unknown weather"


@given(st.floats(0, 4e9), st.integers(-86_399, 86_399))
def test_the_day_is_that_of_the_place(now, offset):
    forecast = Forecast(offset, Days((), (), (), ()))
    assert today(Place("x", 0, 0), Kept(now, forecast), now) is None


def test_every_rule_of_quality_is_done_by_a_test_or_explained():
    for rule, entry in QUALITY.items():
        if entry["status"] == "done":
            path, _, name = entry["proof"].partition("::")
            tree = ast.parse((ROOT / path).read_text())
            assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, rule
        else:
            assert entry["status"] in {"todo", "exempt"}
            assert entry["comment"]


def test_the_manifest_says_what_the_code_does():
    manifest = tomllib.loads((FOLDER / "manifest.toml").read_text())
    assert manifest["attribution"] == ATTRIBUTION
    assert {f"https://{host}" for host in manifest["hosts"]} == {FORECAST_BASE, GEOCODING_BASE}
    assert set(manifest["settings"]) <= set(Settings.__struct_fields__)


@pytest.mark.parametrize("error", [errors.WeatherError, errors.PlaceUnknown, errors.WeatherUnavailable])
def test_errors_are_sentences_for_people(error):
    assert error().message.endswith(".")
    assert error.expected
