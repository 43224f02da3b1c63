"""Traces of a whole installation: a caller's trace goes through the bot and out again, a collector gets one tree, and no secret."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from botstead.telemetry.tracecontext import span_id
from tests.acceptance.roles.test_one_process import ready
from tests.doubles.beside import beside
from tests.doubles.collector import collector
from tests.doubles.webhook_receiver import receiver
from tests.servers import free_port, wait_until

TEXT = "the-canary-text-that-a-person-wrote"
HEADER = "the-canary-key-of-the-collector"
PARENT = "00f067aa0ba902b7"
BOT = '''
from botstead import Bot, Http, Message

bot = Bot("shop")
failed = []

@bot.on.message
async def answer(message: Message, http: Http) -> str:
    """Answer."""
    if "fail" in message.text and not failed:
        failed.append(1)
        raise ValueError(message.text)
    await http.post("http://127.0.0.1:{port}/replies?q=" + message.text, message.text.encode())
    return message.text
'''


class Installation:
    """All roles in one process, with a bot on a webhook channel."""

    def __init__(self, folder, environment, api: int, metrics: int) -> None:
        self.folder, self.environment, self.api, self.metrics = folder, environment, api, metrics
        self.log = folder / "log"
        command = (sys.executable, "-m", "botstead")
        subprocess.run((*command, "migrate"), env=environment, check=True, stdout=subprocess.DEVNULL)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen((*command, "run", "api", "worker", "scheduler"), env=environment, stderr=log)
        wait_until(lambda: self.process.poll() is not None or ready(metrics), seconds=30, what="all roles ready")
        self.key = (folder / "data" / "admin.key").read_text().strip()

    def call(self, method: str, path: str, body=None, **headers: str):
        request = urllib.request.Request(f"http://127.0.0.1:{self.api}{path}", method=method, headers=headers)
        request.data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def ask(self, method: str, path: str, body=None):
        return self.call(method, path, body, authorization=f"Bearer {self.key}")

    def deliver(self, channel: str, secret: str, text: str, **headers: str) -> None:
        name, now = uuid.uuid4().hex, int(time.time())
        body = json.dumps({"conversation": "abc", "id": name, "text": text}).encode()
        signature = Webhook(secret).sign(name, datetime.fromtimestamp(now, UTC), body.decode())
        signed = {"webhook-id": name, "webhook-timestamp": str(now), "webhook-signature": signature}
        self.call("POST", f"/hooks/{channel}", body, **signed, **headers)

    def said(self) -> str:
        """Everything that anybody may see: logs and metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
            return self.log.read_text() + answer.read().decode()


@pytest.fixture
def installation(postgres_dsn, tmp_path):
    """Start one with a collector and a receiver; yields all three, and the channel's id and secret."""
    secret = "whsec_" + "Y2FuYXJ5LXNlY3JldC1vZi10aGUtaG9va3M="
    api, metrics = free_port(), free_port()
    with beside(collector()) as taken, beside(receiver(secret)) as double:
        (tmp_path / "headers").write_text(f"x-key: {HEADER}\n")
        folder = tmp_path / "bots" / "shop"
        folder.mkdir(parents=True)
        port = double.url.rpartition(":")[2].partition("/")[0]
        (folder / "bot.py").write_text(BOT.replace("{port}", port))
        (folder / "bot.toml").write_text(f'egress = ["127.0.0.1:{port}"]\n')
        environment = {
            "PATH": os.defpath,
            "BOTSTEAD_POSTGRES": postgres_dsn,
            "BOTSTEAD_VALKEY": "none",
            "BOTSTEAD_DATA": str(tmp_path / "data"),
            "BOTSTEAD_BOTS": str(tmp_path / "bots"),
            "BOTSTEAD_API_PORT": str(api),
            "BOTSTEAD_METRICS_PORT": str(metrics),
            "BOTSTEAD_DRAIN_SECONDS": "0",
            "BOTSTEAD_EGRESS_ALLOW": "127.0.0.1",
            "BOTSTEAD_OTLP_ENDPOINT": taken.url,
            "BOTSTEAD_OTLP_HEADERS_FILE": str(tmp_path / "headers"),
            "BOTSTEAD_TRACE_RATIO": "0",
        }
        (tmp_path / "data").mkdir()
        running = Installation(tmp_path, environment, api, metrics)
        try:
            made = {"kind": "webhook", "settings": {"url": double.url}, "secrets": {"hook_secret": secret}}
            channel = running.ask("POST", "/v1/bots/shop/channels", made)["id"]
            yield running, taken, double, channel, secret
        finally:
            running.process.kill()
            running.process.wait()


def test_a_trace_goes_through_and_nothing_else_does(installation):
    running, collector, double, channel, secret = installation
    trace = uuid.uuid4().hex
    before = time.time_ns()
    running.deliver(channel, secret, TEXT, traceparent=f"00-{trace}-{PARENT}-01")
    wait_until(lambda: len(collector.trace(trace)) >= 6, seconds=10, what="the tree")
    _is_one_tree(collector.trace(trace), before)
    (reply,) = double.received
    send = next(span for span in collector.spans if span.name == "send")
    assert reply.headers["traceparent"] == f"00-{trace}-{send.id}-01"
    _is_found_by_its_trace(running, trace, collector)

    running.deliver(channel, secret, f"please fail {TEXT}")  # nobody's trace, but a failure
    wait_until(lambda: any(span.problem == "ValueError" for span in collector.spans), seconds=10, what="the failure")
    failed = next(span for span in collector.spans if span.problem == "ValueError")
    tree = collector.trace(failed.trace)
    assert [span.failed for span in tree if span.name == "handle"] == [True, False]
    assert {"ack", "queue", "retry"} <= {span.name for span in tree}

    _no_canary(running, collector, secret)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0, running.log.read_text()[-2000:]


def _is_one_tree(spans, before: int) -> None:
    """One root below the caller's span, every other below one of these, in its time, by what was done when."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    (root,) = (span for span in spans if span.parent not in by_id)
    assert (root.parent, root.name, root.kind) == (PARENT, "message", 2)
    assert before - 1e9 < root.began < root.ended < time.time_ns() + 1e9
    for span in spans:
        assert root.began <= span.began <= span.ended <= root.ended
    found = {span.name: span for span in spans}
    assert set(found) == {"message", "queue", "handle", "call http", "commit", "send"}
    handle, call = found["handle"], found["call http"]
    assert call.parent == handle.id
    assert handle.began <= call.began <= call.ended <= handle.ended
    assert found["queue"].ended == handle.began
    assert handle.ended == found["commit"].began <= found["commit"].ended <= found["send"].began
    assert call.attributes["http.response.status_code"] == 401  # the receiver takes nothing that is not signed
    assert (call.failed, root.failed) == (True, False)
    assert root.resource["service.name"] == "botstead"


def _is_found_by_its_trace(running, trace: str, collector) -> None:
    """From a trace to its message and back, by the same ids."""
    rows = running.ask("GET", f"/v1/messages?trace={trace}")["items"]
    message = next(row["id"] for row in rows if row["direction"] == "in")
    tale = running.ask("GET", f"/v1/messages/{message}")
    assert (tale["trace"], tale["where"]) == (trace, "Answered, and the provider has it.")
    assert next(stage for stage in tale["stages"] if stage["name"] == "call")["status"] == 401
    rebuilt = running.ask("GET", f"/v1/traces/{trace}")
    assert {span["id"] for span in rebuilt["spans"]} == {span.id for span in collector.trace(trace)}
    assert span_id(uuid.UUID(hex=trace), message) in {span["id"] for span in rebuilt["spans"]}


def _no_canary(running, collector, secret: str) -> None:
    assert all(request["x-key"] == HEADER for request in collector.requests)  # it did go where it belongs
    told = b"".join(collector.raw).decode("latin-1") + running.said()
    for canary in (TEXT, HEADER, secret, secret.removeprefix("whsec_"), running.key):
        assert canary not in told, canary
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    (failure,) = (line for line in lines if line["event"] == "handler_failed")
    assert len(failure["trace"]) == 32
    assert failure["message_id"]
