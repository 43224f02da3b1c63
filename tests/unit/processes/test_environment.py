"""Where the settings of an appliance come from, and how its processes get them."""

from __future__ import annotations

from pathlib import Path

import pytest

from botstead.core import settings
from botstead.core.errors import ConfigurationError
from botstead.core.settings import Settings
from botstead.processes import environment


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_options_win_over_variables_and_those_over_the_file(tmp_path):
    (tmp_path / "botstead.toml").write_text('port = 1\nlog_level = "debug"\nhost = "::1"\n')
    found = environment.effective({"BOTSTEAD_PORT": "2", "BOTSTEAD_LOG_LEVEL": "error"}, port=3, data=None)
    assert (found.port, found.log_level, found.host) == (3, "error", "::1")


def test_paths_become_absolute(tmp_path):
    found = environment.effective({"BOTSTEAD_BOTS": "a,b"}, data=Path("here"))
    assert found.data == tmp_path / "here"
    assert found.bots == (tmp_path / "a", tmp_path / "b")


def test_a_file_that_is_named_must_be_readable(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml cannot be read"):
        environment.effective({"BOTSTEAD_CONFIG": "nowhere.toml"})
    (tmp_path / "botstead.toml").write_text("port =")
    with pytest.raises(ConfigurationError, match=r"botstead\.toml cannot be read"):
        environment.effective({})


def test_a_secret_comes_from_a_file(tmp_path):
    (tmp_path / "dsn").write_text("postgresql://x\n")
    assert environment.effective({"BOTSTEAD_POSTGRES_FILE": "dsn"}).postgres == "postgresql://x"


def test_processes_get_exactly_what_was_chosen():
    chosen = Settings(port=9, samples=False, bots=(Path("/a"), Path("/b")), egress_allow=("10.0.0.0/8",), key_ring=Path("/k"))
    given = environment.given(chosen)
    assert set(given) == {"port", "samples", "bots", "egress_allow", "key_ring"}
    assert settings.load({f"BOTSTEAD_{name.upper()}": value for name, value in given.items()}) == chosen
