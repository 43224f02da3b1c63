"""Settings: every name known, every value converted, every mistake named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import ConfigurationError
from botstead.core.settings import Settings, load


def test_nothing_given_is_the_default():
    assert load({}) == Settings()
    assert load({"PATH": "/bin", "BOTSTEAD_VENV": "/v", "BOTSTEAD_PYTHON": "python3"}) == Settings()


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        load({}).port = 1


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("data", "/srv/bots", Path("/srv/bots")),
        ("port", "9000", 9000),
        ("lease_seconds", "2.5", 2.5),
        ("samples", "no", False),
        ("samples", "ON", True),
        ("key_ring", "/run/keys.json", Path("/run/keys.json")),
        ("log_folder", "", None),
        ("trace_ratio", "", None),
        ("egress_allow", "127.0.0.1:9300, 10.0.0.0/8", ("127.0.0.1:9300", "10.0.0.0/8")),
        ("egress_allow", "", ()),
        ("egress_allow", "a, ,b,", ("a", "b")),
        ("bots", "/a,/b", (Path("/a"), Path("/b"))),
        ("public_url", "https://bots.example.org", "https://bots.example.org"),
    ],
)
def test_text_becomes_the_settings_type(name, text, value):
    assert getattr(load({f"BOTSTEAD_{name.upper()}": text}), name) == value


def test_variables_win_over_the_file():
    file = {"port": 1, "host": "0.0.0.0", "bots": ["/a", "/b"], "samples": False}
    found = load({"BOTSTEAD_PORT": "2"}, file=file)
    assert (found.port, found.host, found.bots, found.samples) == (2, "0.0.0.0", (Path("/a"), Path("/b")), False)


@pytest.mark.parametrize("order", [("", "_FILE"), ("_FILE", "")])
def test_a_secret_file_wins_over_the_variable_in_any_order(order):
    values = {f"BOTSTEAD_POSTGRES{suffix}": f"given{suffix}" for suffix in order}
    assert load(values, read=lambda path: f"content of {path}\n").postgres == "content of given_FILE"


def test_secret_files_are_refused_where_nothing_reads_them():
    with pytest.raises(ConfigurationError, match="BOTSTEAD_POSTGRES_FILE"):
        load({"BOTSTEAD_POSTGRES_FILE": "/run/secrets/dsn"})


def test_a_secret_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"BOTSTEAD_POSTGRES_FILE.*nowhere.*No such file"):
        load({"BOTSTEAD_POSTGRES_FILE": str(tmp_path / "nowhere")}, read=lambda path: Path(path).read_text(encoding="utf-8"))


def test_a_secret_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"BOTSTEAD_POSTGRES_FILE.*UTF-8"):
        load({"BOTSTEAD_POSTGRES_FILE": str(tmp_path / "binary")}, read=lambda path: Path(path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("values", "file", "words"),
    [
        ({"BOTSTEAD_PROT": "1"}, None, "Unknown setting BOTSTEAD_PROT. Did you mean port?"),
        ({"BOTSTEAD_POSTGRESS_FILE": "1"}, None, "Unknown setting BOTSTEAD_POSTGRESS_FILE. Did you mean postgres?"),
        ({}, {"lease_second": 1}, "Unknown setting lease_second. Did you mean lease_seconds?"),
        ({"BOTSTEAD_QQQQQQQQ": "1"}, None, "Unknown setting BOTSTEAD_QQQQQQQQ."),
        ({"BOTSTEAD_": "1"}, None, "Unknown setting BOTSTEAD_."),
        ({"BOTSTEAD_PORT": "many"}, None, "Setting port cannot be 'many'."),
        ({"BOTSTEAD_SAMPLES": "perhaps"}, None, "Setting samples cannot be 'perhaps'."),
        ({}, {"port": [1]}, "Setting port cannot be [1]."),
        ({}, {"bots": 7}, "Setting bots cannot be 7."),
    ],
)
def test_a_mistake_is_named_with_the_next_step(values, file, words):
    with pytest.raises(ConfigurationError) as caught:
        load(values, file=file)
    assert caught.value.message == words


@given(st.sampled_from([field.name for field in msgspec.structs.fields(Settings)]), st.text())
def test_any_text_is_taken_or_named(name, text):
    variables = {f"BOTSTEAD_{name.upper()}": text}
    try:
        load(variables)
    except ConfigurationError:
        with pytest.raises(ConfigurationError, match=name):
            load(variables)


def test_every_setting_is_explained():
    source = Path(__import__("botstead.core.settings", fromlist=["x"]).__file__).read_text()
    body = source.partition("class Settings")[2].partition("\ndef ")[0]
    lines = [line.strip() for line in body.splitlines()]
    for field in msgspec.structs.fields(Settings):
        at = next(index for index, line in enumerate(lines) if line.startswith(f"{field.name}:"))
        assert lines[at + 1].startswith('"""'), field.name
