"""A browser, and a chat server in a process of its own that can be stopped and started again."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import asyncpg
import pytest

from botstead.store import migrate
from tests.servers import answers, free_port, wait_until

ROOT = Path(__file__).parents[3]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class ChatServer:
    """`tests.doubles.chat_app` as a program."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/chat/weather"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.doubles.chat_app", self.dsn, str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        wait_until(lambda: answers(self.port), what="the chat server")

    def stop(self) -> None:
        """Ask it to stop, as an update would; its open streams must not keep it."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(5) == 0
            self.process = None


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="module")
def database(postgres_server):
    """One database for all tests here: visitors do not meet. (The browser's loop runs between tests, so none may be started.)"""
    name = f"chat_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(postgres_server.dsn, f"CREATE DATABASE {name}"))
    asyncio.run(migrate.migrate(postgres_server.database(name)))
    yield postgres_server.database(name)
    asyncio.run(_execute(postgres_server.dsn, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def _server(database):
    server = ChatServer(database)
    yield server
    server.stop()


@pytest.fixture
def server(_server):
    """A running chat server, whatever the test before did to it."""
    if _server.process is None:
        _server.start()
    return _server


@pytest.fixture(scope="module")
def browser(_server):
    """One browser for all tests here."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints():
    """What browsers reported to the console; at the end there must be nothing. A test may clear what it meant to provoke."""
    complaints: list[str] = []
    yield complaints
    # A server that is away shows up as failed requests; whatever else is there is ours.
    assert [text for text in complaints if "ERR_" not in text] == []


@pytest.fixture
def open_page(browser, server, complaints):
    """Opens the chat as a new visitor."""
    contexts = []

    def open_page(**options):
        options = {"viewport": {"width": 1180, "height": 820}, "locale": "en-GB", **options}
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8_000)
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(server.url)
        page.wait_for_selector("#log[aria-busy=false]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
