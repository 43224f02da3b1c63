"""A bot with a language model in processes as they run: its reply is seen while it grows, counted, and stopped by the day's budget."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.roles.test_one_process import ready
from tests.doubles.llm import KEY, WORDS
from tests.servers import free_port, wait_until

ROOT = Path(__file__).parents[3]
BOT = """
from botstead import Bot, Llm

bot = Bot("{name}")


@bot.on.message
async def tell(text: str, llm: Llm):
    async for piece in llm.stream(text):
        yield piece
"""
TOML = """
own_process = {own}
[llm]
budget = "0.00066"
price_in = "1.00"
price_out = "2.00"
share = 100
max_tokens = 300
"""


@contextmanager
def running(command, environment, log, **more):
    process = subprocess.Popen(command, env=environment, stderr=log, **more)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {0, -signal.SIGTERM}, log.name
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


class Place:
    """An API process, a worker, and a model server; they meet in Postgres and Valkey only."""

    def __init__(self, postgres: str, valkey: str, data: Path, base: str) -> None:
        self.api, self.metrics, self.others = free_port(), free_port(), free_port()
        self.log = data / "log"
        (data / "key").write_text(KEY)
        self.environment = {
            "PATH": os.defpath,
            "BOTSTEAD_POSTGRES": postgres,
            "BOTSTEAD_VALKEY": valkey,
            "BOTSTEAD_DATA": str(data),
            "BOTSTEAD_SAMPLES": "false",
            "BOTSTEAD_DRAIN_SECONDS": "0",
            "BOTSTEAD_EGRESS_ALLOW": "127.0.0.1",
            "BOTSTEAD_LLM_BASE": base,
            "BOTSTEAD_LLM_MODEL": "slow",
            "BOTSTEAD_LLM_KEY_FILE": str(data / "key"),
        }
        for name, own in (("poet", "false"), ("hermit", "true")):
            folder = data / "bots" / name
            folder.mkdir(parents=True)
            (folder / "bot.py").write_text(BOT.format(name=name))
            (folder / "bot.toml").write_text(TOML.format(own=own))

    def start(self, stack: ExitStack) -> None:
        log = stack.enter_context(self.log.open("wb"))
        command = (sys.executable, "-m", "botstead")
        subprocess.run((*command, "migrate"), env=self.environment, check=True, stdout=subprocess.DEVNULL)
        api = {**self.environment, "BOTSTEAD_API_PORT": str(self.api), "BOTSTEAD_METRICS_PORT": str(self.others)}
        worker = {**self.environment, "BOTSTEAD_METRICS_PORT": str(self.metrics)}
        for role, environment, port in (("worker", worker, self.metrics), ("api", api, self.others)):
            process = stack.enter_context(running((*command, "run", role), environment, log))
            wait_until(lambda process=process, port=port: process.poll() is not None or ready(port), seconds=30, what=role)

    def ask(self, bot: str) -> list[tuple[str, dict]]:
        """Say something; return all events up to the reply."""
        visitor = {"X-Visitor": str(uuid.uuid4())}
        url = f"http://127.0.0.1:{self.api}/chat/{bot}"
        events = urllib.request.Request(f"{url}/events", headers=visitor)
        with urllib.request.urlopen(events, timeout=15) as stream:
            seen, name = [], "message"
            for line in stream:
                if line.startswith(b"event: "):
                    name = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    data = json.loads(line[6:])
                    seen.append((name, data))
                    if name == "ready":
                        self._post(url, visitor)
                    if data["direction"] == "out":
                        return seen
                    name = "message"
        raise AssertionError(seen)

    def _post(self, url: str, visitor: dict[str, str]) -> None:
        headers = {"Content-Type": "application/json", **visitor}
        said = urllib.request.Request(f"{url}/messages", data=b'{"text": "how is the sea"}', headers=headers)
        with urllib.request.urlopen(said, timeout=5) as answer:
            assert answer.status == 202

    def figures(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
            return answer.read().decode()


@pytest.fixture
def place(postgres_dsn, valkey_url, tmp_path):
    with ExitStack() as stack:
        model = subprocess.Popen((sys.executable, "-m", "tests.doubles.llm"), cwd=ROOT, stdout=subprocess.PIPE, text=True)
        stack.callback(model.wait)
        stack.callback(model.terminate)
        assert model.stdout is not None
        stack.callback(model.stdout.close)
        found = Place(postgres_dsn, valkey_url, tmp_path, model.stdout.readline().strip())
        found.start(stack)
        yield found


def test_a_models_reply_grows_is_counted_and_stops(place):
    for bot in ("poet", "hermit"):
        seen = place.ask(bot)
        texts = [data["text"] for name, data in seen if name == "draft"]
        assert len(texts) > 1, bot
        assert all("".join(WORDS).startswith(text) for text in texts)
        assert seen[-1][1]["text"] == "".join(WORDS)
        replies = [place.ask(bot)[-1][1]["text"] for _ in range(3)]
        assert "tomorrow" in replies[-1], bot
        assert all(text == "".join(WORDS) or "tomorrow" in text for text in replies)
    figures = place.figures()
    assert 'bot_llm_tokens_total{bot="poet",model="slow",direction="in"}' in figures
    assert 'bot_llm_refusals_total{bot="poet",model="slow"} 0' not in figures
    log = place.log.read_text()
    assert KEY not in log
    assert "blue" not in log
