"""What a child prints, wherever the pipe cuts it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.embedded import logs

words = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)


@given(lines=st.lists(words, max_size=10), cut=st.integers(1, 7))
def test_lines_survive_any_cut(tmp_path_factory, lines, cut):
    seen = []
    log = logs.ChildLog(tmp_path_factory.mktemp("logs") / "api-a.log", echo=lambda name, line: seen.append((name, line)))
    raw = "".join(line + "\n" for line in lines).encode()
    for start in range(0, len(raw), cut):
        log.feed(raw[start : start + cut])
    log.close()
    expected = [line.rstrip() for line in lines if line.strip()]
    assert seen == [("api-a", line) for line in expected]
    assert list(log.last) == expected[-logs.LAST_LINES :]
    assert [line for line in log.path.read_text().split("\n") if line] == expected


def test_an_unfinished_line_counts_when_its_writer_is_gone(tmp_path):
    log = logs.ChildLog(tmp_path / "x.log", echo=logs.nowhere)
    log.feed(b"last words")
    assert list(log.last) == []
    log.flush()
    assert list(log.last) == ["last words"]
    log.close()


def test_a_child_without_line_ends_cannot_fill_memory(tmp_path):
    log = logs.ChildLog(tmp_path / "x.log", echo=logs.nowhere)
    log.feed(b"x" * (logs.LINE_LIMIT + 1))
    assert len(log.last) == 1
    log.close()


def test_bytes_that_are_no_text_are_shown_all_the_same(tmp_path):
    log = logs.ChildLog(tmp_path / "x.log", echo=logs.nowhere)
    log.feed(b"\xff%s %d\n")
    assert list(log.last) == ["\ufffd%s %d"]
    log.close()


def test_files_are_rotated(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "FILE_SIZE", 1_000)
    log = logs.ChildLog(tmp_path / "x.log", echo=logs.nowhere)
    for number in range(200):
        log.feed(f"line {number} of many\n".encode())
    log.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["x.log", "x.log.1", "x.log.2"]
    assert all(path.stat().st_size <= 1_000 for path in tmp_path.iterdir())


def test_the_terminal_gets_the_name_with_the_line(capsys):
    logs.on_terminal("api-a", "hello")
    assert capsys.readouterr().err.split() == ["api-a", "hello"]
