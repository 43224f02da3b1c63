"""All roles in one process, as on the smallest machines: a message in, a reply out, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import uuid

from tests.servers import free_port, wait_until


def test_one_process_answers_and_drains(postgres_dsn, valkey_url, tmp_path):
    api, metrics = free_port(), free_port()
    environment = {
        "PATH": os.defpath,
        "BOTSTEAD_POSTGRES": postgres_dsn,
        "BOTSTEAD_VALKEY": valkey_url,
        "BOTSTEAD_DATA": str(tmp_path),
        "BOTSTEAD_API_PORT": str(api),
        "BOTSTEAD_METRICS_PORT": str(metrics),
        "BOTSTEAD_DRAIN_SECONDS": "0",
    }
    command = (sys.executable, "-m", "botstead")
    subprocess.run((*command, "migrate"), env=environment, check=True, stdout=subprocess.DEVNULL)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen((*command, "run", "api", "worker", "scheduler"), env=environment, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or ready(metrics), seconds=30, what="all roles ready")
        visitor = {"X-Visitor": str(uuid.uuid4())}
        said = urllib.request.Request(
            f"http://127.0.0.1:{api}/chat/echo/messages",
            data=json.dumps({"text": "good morning"}).encode(),
            headers={"Content-Type": "application/json", **visitor},
        )
        with urllib.request.urlopen(said, timeout=5) as answer:
            assert answer.status == 202
        events = urllib.request.Request(f"http://127.0.0.1:{api}/chat/echo/events", headers=visitor)
        with urllib.request.urlopen(events, timeout=10) as stream:
            replies = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
            assert next(reply for reply in replies if reply["direction"] == "out")["text"] == "good morning"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (tmp_path / "log").read_text()[-2000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def ready(port: int) -> bool:
    """Whether the internal listener says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False
