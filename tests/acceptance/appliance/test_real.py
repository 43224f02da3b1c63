"""The appliance with nothing stood in for: a message goes in, an answer comes out, also after everything was killed."""

from __future__ import annotations

import json
import urllib.request
import uuid

from tests.acceptance.appliance.conftest import is_gone
from tests.servers import wait_until


def say(port: int, text: str) -> list[str]:
    """Say something to the echo bot as a new visitor and return what both said, up to the answer."""
    visitor = {"X-Visitor": str(uuid.uuid4())}
    chat = f"http://127.0.0.1:{port}/chat/echo"
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(f"{chat}/messages", data=body, headers={**visitor, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as accepted:
        assert accepted.status == 202
    said = []
    with urllib.request.urlopen(urllib.request.Request(f"{chat}/events", headers=visitor), timeout=20) as events:
        for line in events:
            if line.startswith(b"data: "):
                event = json.loads(line.removeprefix(b"data: "))
                if event["direction"] in ("in", "out"):
                    said.append(f"{event['direction']} {event['text']}")
                if event["direction"] == "out":
                    break
    return said


def test_echoes_before_and_after_everything_was_killed(up):
    first = up(stand_ins=False)
    first.wait_ready()
    key = (first.data / "admin.key").read_text().strip()
    assert key.startswith("bsk_")
    assert key not in first.said
    assert say(first.port, "hello") == ["in hello", "out hello"]
    pids = first.pids()
    first.process.kill()
    for pid in pids.values():
        wait_until(lambda pid=pid: is_gone(pid), seconds=5, what=f"end of {pid}")

    second = up(stand_ins=False)
    second.wait_ready()
    assert (second.data / "admin.key").read_text().strip() == key
    assert say(second.port, "again") == ["in again", "out again"]
    assert second.end() == 0
    assert "SIGKILL" not in second.said
