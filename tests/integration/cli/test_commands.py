"""The commands of people, against the API over real HTTP."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner

from botstead.processes.cli import client
from botstead.processes.cli.main import main
from tests.integration.api.served import Api, served
from tests.servers import free_port, wait_until


@dataclass
class Running:
    """An API that runs, and its data folder."""

    api: Api
    data: Path
    url: str
    loop: asyncio.AbstractEventLoop

    def run(self, *arguments, typed=None, code=0):
        """Run a command; returns what it wrote."""
        result = CliRunner().invoke(main, [*arguments, "--data", str(self.data)], input=typed)
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    def json(self, *arguments, **more):
        """Run a command for programs."""
        return json.loads(self.run(*arguments, "--json", **more))

    def do(self, coroutine):
        """Run something on the API's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)


@pytest.fixture
def running(postgres_dsn, tmp_path):
    """An API on a port, found through `appliance.json` like the real one."""
    box, ready, port = {}, threading.Event(), free_port()

    async def serve():
        async with served(postgres_dsn) as api:
            config = uvicorn.Config(api.app, host="127.0.0.1", port=port, lifespan="off", log_config=None, access_log=False)
            box.update(api=api, server=uvicorn.Server(config), loop=asyncio.get_running_loop())
            ready.set()
            await box["server"].serve()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    wait_until(lambda: box["server"].started, what="API")
    key_file = tmp_path / "admin.key"
    key_file.write_text(box["api"].client.headers["authorization"].removeprefix("Bearer ") + "\n")
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "appliance.json").write_text(json.dumps({"url": url, "admin_key_file": str(key_file)}))
    yield Running(box["api"], tmp_path, url, box["loop"])
    box["server"].should_exit = True
    thread.join(20)


def test_bots(running):
    assert "no bot yet" in running.run("bots", "list")
    output = running.data / "secret.txt"
    assert "whsec_" not in running.run("bots", "add", "shop", "https://x.example.org/e", "--output", str(output))
    assert output.read_text().startswith("whsec_")
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert "shop" in running.run("bots", "list")
    assert running.json("bots", "show", "shop")["url"] == "https://x.example.org/e"
    assert running.json("bots", "list")[0]["name"] == "shop"
    assert "already" in running.run("bots", "add", "shop", "https://x.example.org", "--show", code=1)
    running.run("bots", "add", "other", "https://x.example.org", code=2)
    running.run("bots", "remove", "shop", typed="n\n", code=1)
    running.run("bots", "remove", "shop", "--yes")
    assert "botstead bots list" in running.run("bots", "show", "shop", code=1)


def test_a_secret_has_its_place_before_it_is_made(running):
    taken = running.data / "taken"
    taken.write_text("mine")
    running.run("bots", "add", "shop", "https://x.example.org", "--output", str(taken), code=1)
    assert taken.read_text() == "mine"
    assert running.json("bots", "list") == []
    fresh = running.data / "fresh"
    running.run("bots", "add", "Bad Name", "https://x.example.org", "--output", str(fresh), code=1)
    assert not fresh.exists()


def test_channels(running):
    running.do(running.api.deps.registry.ensure_bot("shop", "python"))
    made = running.json("channels", "add", "shop", "webhook", "--name", "Orders", "--show")
    assert made["hook_secret"]
    assert "rotate" in running.run("channels", "add", "shop", "webhook")
    assert running.json("channels", "show", made["id"])["name"] == "Orders"
    rotated = running.data / "rotated"
    running.run("channels", "rotate", made["id"], "hook_secret", "--output", str(rotated))
    account = running.do(running.api.deps.registry.account(made["id"]))
    assert account.secrets["hook_secret"].reveal() == rotated.read_text().strip()
    assert account.secrets["hook_secret_previous"].reveal() == made["hook_secret"]
    given = running.data / "given"
    given.write_text("whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=")
    running.run("channels", "rotate", made["id"], "hook_secret", "--from-file", str(given))
    assert len(running.json("channels", "list", "--bot", "shop")) == 2
    assert running.json("channels", "health", made["id"])["status"]
    running.run("channels", "remove", made["id"], "--yes")
    assert len(running.json("channels", "list")) == 1
    running.run("channels", "add", "shop", "webhook", "--setting", "nonsense", code=2)


def test_objectives(running):
    from uuid import uuid4

    from botstead.store.ledger import Counted, LedgerRows, Series

    assert "idle" in running.run("objectives")
    counted = [
        Counted(Series("delivery"), 0, 30, 100),
        Counted(Series("delivery"), 20 * 86_400, 0, 100_000),
        Counted(Series("delivery_bot", (("bot", "shop"),)), 0, 30, 100),
        Counted(Series("delivery_bot", (("bot", "other"),)), 0, 0, 100),
    ]
    running.do(LedgerRows(running.api.postgres).add(uuid4(), 1, counted))
    running.do(running.api.deps.registry.ensure_bot("shop", "python"))
    shown = running.run("objectives")
    assert "burning" in shown
    assert "shop (worst of 2)" in shown
    assert "470 of 500 (94%)" in shown
    assert "delivery: 30 of 100 went wrong in the last hour, 60 times the 0.5 % that may." in shown
    one = running.run("objectives", "delivery_bot")
    assert "Each bot answers" in one
    assert "creep" in one
    assert "other: 1 of 1 failure left for 30 days." in one
    assert running.json("objectives", "delivery")["worst"]["firing"] == "fast"
    assert len(running.json("objectives")) > 10
    assert "no such objective" in running.run("objectives", "nonsense", code=1)
    report = running.run("bots", "report", "shop", "--hours", "2")
    assert "70 % (70 of 100)" in report
    assert running.json("bots", "report", "shop")["delivery"] == {"count": 70, "of": 100, "ratio": 0.7}
    running.run("bots", "report", "shop", "--hours", "0", code=2)


def test_messages(running):
    async def talk():
        await running.api.deps.registry.ensure_bot("shop", "python")
        account = await running.api.deps.registry.ensure_webchat("shop")
        return account, await running.api.said(account, "anna/1", "Good morning", "evil \x1b[31m[red]text[/red]")

    account, ids = running.do(talk())
    conversation = f"{account.id}.anna%2F1"
    assert running.json("conversations", "list")[0]["id"] == conversation
    shown = running.run("conversations", "show", conversation)
    assert "\x1b" not in shown
    assert "[red]text[/red]" in shown
    assert shown.index("Good morning") < shown.index("evil")
    assert [row["id"] for row in running.json("messages", "search", "morning", "good")] == [ids[0]]
    sent = running.json("send", conversation, "Hello", "--once", "k")
    assert running.json("send", conversation, "Hello", "--once", "k") == sent
    assert "waiting in" not in running.run("messages", "show", str(ids[0]))
    assert "It waits for its turn" in running.run("messages", "show", str(ids[0]))
    assert running.json("messages", "show", str(sent["id"]))["timeline"][0]["what"] == "asked"


def test_dead_letters(running):
    async def fail():
        await running.api.deps.registry.ensure_bot("shop", "python")
        account = await running.api.deps.registry.ensure_webchat("shop")
        ids = await running.api.said(account, "anna", "one", "two")
        await running.api.sql(
            "WITH gone AS (DELETE FROM inbox RETURNING id) INSERT INTO dead_letter (id, direction, bot, channel, conversation, reason)"
            " SELECT m.id, 0, m.bot, m.channel, m.conversation, 'failed' FROM message m JOIN gone USING (id)"
        )
        return ids

    ids = running.do(fail())
    assert [row["id"] for row in running.json("dead-letters", "list", "--waiting")] == ids[::-1]
    assert running.json("dead-letters", "show", str(ids[0]))["reason"] == "failed"
    assert running.run("dead-letters", "replay", "--dry-run") == "2 would be replayed.\n"
    running.run("dead-letters", "replay", str(ids[0]))
    assert "already" in running.run("dead-letters", "replay", str(ids[0]), code=1)
    running.run("dead-letters", "replay", code=2)
    running.run("dead-letters", "replay", str(ids[0]), "--all", code=2)
    assert running.json("dead-letters", "replay", "--reason", "failed") == {"replayed": 1, "left": 0, "dry_run": False}
    assert running.json("dead-letters", "list", "--waiting") == []


def test_keys(running):
    output = running.data / "new.key"
    made = running.json("keys", "create", "ci", "--scope", "bots:read", "--output", str(output))
    assert "key" not in made
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    key = ("--url", running.url, "--key-file", str(output))
    assert running.json("bots", "list", *key) == []
    assert "keys:read" in running.run("keys", "list", *key, code=1)
    assert running.json("keys", "create", "x", "--scope", "bots:read", "--forever", "--show")["key"].startswith("bsk_")
    running.run("keys", "create", "x", "--scope", "bots:read", code=2)
    running.run("keys", "revoke", made["id"])
    assert "not a valid API key" in running.run("bots", "list", *key, code=1)
    assert [row["name"] for row in running.json("keys", "list")].count("ci") == 1


def test_lists_follow_their_pages(running):
    async def many():
        for number in range(7):
            await running.api.deps.registry.ensure_bot(f"bot{number}", "python")

    running.do(many())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "PAGE", 2)
        assert [row["name"] for row in running.json("bots", "list", "--limit", "5")] == ["bot6", "bot5", "bot4", "bot3", "bot2"]


MACHINE = ("memory", "disk", "clock")
"""Checks of the machine that the tests run on."""


def test_doctor_sees_the_running_appliance(running, postgres_dsn):
    environment = {"BOTSTEAD_POSTGRES": postgres_dsn.replace("postgres@", "postgres:hush@"), "BOTSTEAD_SAMPLES": "no"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        written = running.run("doctor")
        report = running.json("doctor")
    assert "hush" not in written
    assert {check["check"]: check["status"] for check in report["checks"] if check["check"] not in MACHINE} == {
        "data folder": "ok",
        "key ring": "missing",
        "database": "ok",
        "appliance": "ok",
        "bots": "ok",
        "road": "missing",
        "alerts": "missing",
    }
    assert "•••" in report["settings"]["postgres"]
    assert report["settings"]["samples"] is False


def test_doctor_names_the_bot_that_lacks_something(running, postgres_dsn, monkeypatch):
    lacks = "It lacks the secret crm_token. Set it: botstead bots secrets set shop crm_token --file FILE"
    running.do(running.api.deps.registry.ensure_bot("shop", "python"))
    running.do(running.api.deps.registry.set_problem("shop", lacks))
    monkeypatch.setenv("BOTSTEAD_POSTGRES", postgres_dsn)
    found = {check["check"]: check for check in running.json("doctor", code=1)["checks"]}
    assert (found["bots"]["status"], found["bots"]["detail"]) == ("wrong", f"shop: {lacks}")
    assert running.json("bots", "list")[0]["problem"] == lacks


def test_whatever_is_wrong_is_one_sentence(tmp_path):
    def fails(*arguments):
        result = CliRunner().invoke(main, list(arguments))
        assert result.exit_code != 0
        assert result.output.count("\n") == 1, result.output
        return result.output

    assert "botstead up" in fails("bots", "list", "--data", str(tmp_path))
    key = tmp_path / "key"
    assert "cannot be read" in fails("bots", "list", "--url", "http://127.0.0.1:9", "--key-file", str(key))
    key.write_text("")
    assert "no API key" in fails("bots", "list", "--url", "http://127.0.0.1:9", "--key-file", str(key))
    key.write_text("bsk_x")
    assert "botstead up" in fails("bots", "list", "--url", f"http://127.0.0.1:{free_port()}", "--key-file", str(key))
    assert "no address" in fails("bots", "list", "--url", "bots.example.org", "--key-file", str(key))
    (tmp_path / "appliance.json").write_text("{")
    assert "cannot be read" in fails("bots", "list", "--data", str(tmp_path))


def test_doctor_says_what_is_wrong(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOTSTEAD_POSTGRES", f"postgres://nobody:hush@127.0.0.1:{free_port()}/x")
        result = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path / "none"), "--json"])
        assert result.exit_code == 1
        assert "hush" not in result.output
        statuses = {check["check"]: check["status"] for check in json.loads(result.output)["checks"]}
        assert all(statuses.pop(name) in {"ok", "warning", "missing"} for name in MACHINE), result.output
        absent = dict.fromkeys(("data folder", "key ring", "appliance", "bots", "road", "alerts"), "missing")
        assert statuses == {**absent, "database": "wrong"}
        patch.setenv("BOTSTEAD_POSTGRSE", "x")
        wrong = CliRunner().invoke(main, ["doctor"])
    assert wrong.exit_code == 1
    assert "Did you mean postgres" in wrong.output


def test_as_a_program(running):
    command = [sys.executable, "-W", "error", "-m", "botstead", "bots", "list", "--json", "--data", str(running.data)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert (json.loads(ended.stdout), ended.stderr) == ([], "")
