"""`botstead upgrade` hands everything to the script of the folder, and its status back."""

import pytest
from click.testing import CliRunner

from botstead.processes.cli.main import main


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "compose.yaml").touch()
    for name in ("upgrade", "rollback"):
        script = tmp_path / "scripts" / name
        script.write_text('#!/bin/sh\nprintf "%s\\n" "${0##*/}" "$@" >"${0%/*}/said"\nexit 7\n')
        script.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["upgrade", "1.2.3"], ["upgrade", "1.2.3"]),
        (["upgrade", "--image", "a:b", "--force"], ["upgrade", "--image", "a:b", "--force"]),
        (["upgrade", "--help"], ["upgrade", "--help"]),
        (["rollback", "3"], ["rollback", "3"]),
    ],
)
def test_words_and_status_go_through(folder, words, said):
    result = CliRunner().invoke(main, [words[0], "--folder", str(folder), *words[1:]])
    assert result.exit_code == 7, result.output
    assert (folder / "scripts" / "said").read_text().split() == said


def test_a_folder_without_an_appliance_is_named(tmp_path):
    result = CliRunner().invoke(main, ["upgrade", "--folder", str(tmp_path), "1.2.3"])
    assert result.exit_code == 1
    assert "no compose.yaml" in result.output
