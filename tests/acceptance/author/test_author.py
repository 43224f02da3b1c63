"""`botstead new`, `botstead test`, `botstead dev`: from nothing to a bot that is edited while one talks with it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

import pytest
from click.testing import CliRunner

from botstead.processes.cli import author
from botstead.processes.cli.dev_room import snapshot
from tests.doubles.rest_service import rest_service

BOTSTEAD = [sys.executable, "-m", "botstead"]
PATIENCE = 40


def botstead(*arguments, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BOTSTEAD, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


class Terminal:
    """A person at `botstead dev`: types, and waits for what is shown."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*BOTSTEAD, "dev", str(folder), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            # In a terminal Ctrl-C is heard; what a script starts in the background would ignore it, and hand that down.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def type(self, text: str) -> None:
        self.process.stdin.write(f"{text}\n")

    def wait_for(self, part: str) -> list[str]:
        """All lines up to the one that has this."""
        seen = []
        while not seen or part not in seen[-1]:
            try:
                seen.append(self.lines.get(timeout=PATIENCE))
            except queue.Empty:
                raise AssertionError(f"{part!r} was not shown, only {seen}") from None
        return seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def test_new_writes_a_bot_whose_tests_pass(tmp_path):
    made = botstead("new", "my-bot", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "botstead test my-bot" in made.stdout
    assert sorted(path.name for path in (tmp_path / "my-bot").iterdir()) == ["bot.py", "bot.toml", "test_bot.py"]
    tested = botstead("test", "my-bot", "-q", cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "3 passed" in tested.stdout

    (tmp_path / "my-bot" / "bot.py").write_text((tmp_path / "my-bot" / "bot.py").read_text().replace("Hello, {", "Hi, {"))
    failed = botstead("test", "my-bot", "-q", cwd=tmp_path)
    assert failed.returncode == 1
    assert "Hi, World!" in failed.stdout


def test_new_overwrites_nothing(tmp_path):
    (tmp_path / "mine").mkdir()
    refused = botstead("new", "mine", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "Error: mine is there already, and nothing was changed. Choose another name.\n"
    assert list((tmp_path / "mine").iterdir()) == []


def test_new_speaks_json_and_refuses_what_is_no_name(tmp_path):
    run = CliRunner().invoke
    made = run(author.new, ["a-bot", "--in", str(tmp_path / "bots"), "--json"])
    assert json.loads(made.output)["files"] == [
        str(tmp_path / "bots" / "a-bot" / name) for name in ("bot.py", "bot.toml", "test_bot.py")
    ]
    refused = run(author.new, ["A Bot", "--in", str(tmp_path)])
    assert refused.exit_code == 1
    assert "cannot be called 'A Bot'" in refused.output
    (tmp_path / "file").touch()
    assert "cannot be made: Not a directory" in run(author.new, ["x", "--in", str(tmp_path / "file" / "y")]).output


def test_test_says_what_is_missing(tmp_path, monkeypatch):
    run = CliRunner().invoke
    assert "There is no folder" in run(author.test, [str(tmp_path / "absent")]).output
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    missing = run(author.test, [str(tmp_path)])
    assert missing.exit_code == 1
    assert (
        "Error: The tests need pytest, which is not installed here. Get it with: python -m pip install pytest" in missing.output
    )


def test_test_says_when_there_are_no_tests(tmp_path):
    nothing = botstead("test", tmp_path, cwd=tmp_path)
    assert nothing.returncode == 1
    assert "has no tests" in nothing.stderr


def test_dev_needs_a_bot(tmp_path):
    assert "has no bot.py. `botstead new NAME` writes a first one." in CliRunner().invoke(author.dev, [str(tmp_path)]).output


BOT = """
import os
from botstead import Bot, Button, Chat, Conversation, Message
bot = Bot("counter")

@bot.command("die")
async def die() -> None:
    os._exit(3)

@bot.command("fail")
async def fail(conversation: Conversation) -> None:
    conversation.state["n"] = 99
    raise ValueError("a mistake")

@bot.command("menu")
async def menu(chat: Chat) -> None:
    chat.send("Choose", [["Tea", "Coffee"], [Button("Site", url="https://example.org")]])

@bot.on.button
async def chosen(value: str, message: Message, chat: Chat) -> None:
    chat.notice("noted")
    chat.edit(message.id, f"You chose {value}")

@bot.on.message
async def count(conversation: Conversation) -> str:
    conversation.state["n"] = conversation.state.get("n", 0) + 1
    print("printed by the author")
    return f"VERSION {conversation.state['n']}"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bot.py").write_text(BOT.replace("VERSION", "one"))
    return tmp_path


def test_dev_goes_on_through_every_edit(folder):
    with Terminal(folder) as terminal:
        terminal.wait_for("counter is ready.")
        terminal.type("x")
        assert "printed by the author" in terminal.wait_for("counter: one 1")

        (folder / "bot.py").write_text(BOT.replace("VERSION", "two"))
        terminal.wait_for("counter is reloaded.")
        terminal.type("x")
        terminal.wait_for("counter: two 2")

        (folder / "bot.py").write_text("import nothing_like_that\n")
        terminal.wait_for("bot.py line 1: ModuleNotFoundError: No module named 'nothing_like_that'. The earlier version goes on.")
        terminal.type("x")
        terminal.wait_for("counter: two 3")

        (folder / "bot.py").write_text(BOT.replace("VERSION", "three"))
        terminal.wait_for("counter is reloaded.")
        terminal.type("fail")
        shown = terminal.wait_for("counter: fail() raised ValueError at bot.py line ")
        assert "ValueError: a mistake" in shown
        terminal.type("die")
        terminal.wait_for("The bot's process ended; nothing of this message took effect.")
        terminal.wait_for("counter is ready.")
        terminal.type("x")
        terminal.wait_for("counter: three 4")

        terminal.type("menu")
        terminal.wait_for("  #1 Tea   #2 Coffee")
        terminal.type("#3")
        terminal.wait_for("There is no button #3.")
        terminal.type("#2")
        assert terminal.wait_for("counter: (edited) You chose Coffee")[-2] == "counter: (noted)"

        terminal.type("/quit")
        assert terminal.process.wait(PATIENCE) == 0


def test_dev_starts_with_a_broken_bot_and_waits_for_the_fix(folder):
    (folder / "bot.py").write_text("bot = Bot('x')\n")
    with Terminal(folder) as terminal:
        terminal.wait_for("bot.py line 1: NameError")
        terminal.type("x")
        terminal.wait_for("The bot cannot be loaded yet.")
        (folder / "bot.py").write_text(BOT.replace("VERSION", "fixed"))
        terminal.wait_for("counter is ready.")
        terminal.type("x")
        terminal.wait_for("counter: fixed 1")
        terminal.process.stdin.close()
        assert terminal.process.wait(PATIENCE) == 0


WITH_SECRET = """
import os, sys
from botstead import Bot, Rest
bot = Bot("caller")

@bot.on.message
async def h(crm: Rest):
    seen = [*os.environ.values(), *sys.argv]
    await crm.post("orders", {"seen": any("canary" in text for text in seen)})
    return "called"
"""


def test_dev_gives_a_secret_from_a_file_and_says_which_is_missing(tmp_path):
    async def story():
        async with rest_service() as crm:
            (tmp_path / "bot.py").write_text(WITH_SECRET)
            table = f'[rest.crm]\nbase = "{crm.origin}"\nauth = "bearer"\nsecret = "crm_token"\n'
            (tmp_path / "bot.toml").write_text(table)
            (tmp_path / "token").write_text("canary\n")
            await asyncio.to_thread(_talk)
            assert [(asked.headers["authorization"], asked.body) for asked in crm.asked] == [("Bearer canary", b'{"seen":false}')]

    def _talk():
        with Terminal(tmp_path) as terminal:
            terminal.wait_for("caller is ready.")
            terminal.type("x")
            terminal.wait_for("lacks the secret crm_token.")
        with Terminal(tmp_path, "--secret", f"crm_token={tmp_path / 'token'}") as terminal:
            terminal.wait_for("caller is ready.")
            terminal.type("x")
            terminal.wait_for("caller: called")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOTSTEAD_EGRESS_ALLOW", "127.0.0.1")
        asyncio.run(story())


def test_dev_ends_with_ctrl_c(folder):
    with Terminal(folder) as terminal:
        terminal.wait_for("counter is ready.")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(PATIENCE) == 0


def test_the_watch_sees_files_and_passes_over_what_python_writes(folder):
    before = snapshot(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "bot.pyc").touch()
    (folder / ".bot.py.swp").touch()
    assert snapshot(folder) == before
    (folder / "words").mkdir()
    (folder / "words" / "list.txt").write_text("a")
    assert set(snapshot(folder)) - set(before) == {folder / "words" / "list.txt"}
