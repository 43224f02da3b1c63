"""Buying a mug: a bot, its web chat, the test page, and the ledger, in processes as they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
import uuid

import pytest

from tests.acceptance.roles.test_one_process import ready
from tests.servers import free_port, wait_until

BOT = '''
from botstead import Bot, Chat, Payment

bot = Bot("mugs")


@bot.command("mug")
async def mug(chat: Chat) -> None:
    """Sells a mug."""
    chat.pay("12.50", "EUR", "A mug", reference="mug")


@bot.on.payment("paid")
async def paid(payment: Payment) -> str:
    return f"Thank you for {payment.reference}: {payment.id}"


@bot.on.payment("refunded")
async def back(payment: Payment) -> str:
    return "It went back."
'''


@pytest.fixture
def base(postgres_dsn, valkey_url, tmp_path):
    """All roles in one process, with the bot; yields where its API answers."""
    api, metrics = free_port(), free_port()
    folder = tmp_path / "bots" / "mugs"
    folder.mkdir(parents=True)
    (folder / "bot.py").write_text(BOT)
    environment = {
        "PATH": os.defpath,
        "BOTSTEAD_POSTGRES": postgres_dsn,
        "BOTSTEAD_VALKEY": valkey_url,
        "BOTSTEAD_DATA": str(tmp_path),
        "BOTSTEAD_API_PORT": str(api),
        "BOTSTEAD_METRICS_PORT": str(metrics),
        "BOTSTEAD_DRAIN_SECONDS": "0",
        "BOTSTEAD_PUBLIC_URL": f"http://127.0.0.1:{api}",
    }
    command = (sys.executable, "-m", "botstead")
    subprocess.run((*command, "migrate"), env=environment, check=True, stdout=subprocess.DEVNULL)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen((*command, "run", "api", "worker", "scheduler"), env=environment, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or ready(metrics), seconds=30, what="all roles ready")
        yield f"http://127.0.0.1:{api}"
    finally:
        process.terminate()
        process.wait(20)


def test_a_mug_is_bought_and_given_back(base, tmp_path):
    visitor = {"X-Visitor": str(uuid.uuid4())}
    key = {"Authorization": f"Bearer {(tmp_path / 'admin.key').read_text().strip()}"}

    def call(path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{base}{path}", data=data, headers={"Content-Type": "application/json", **key, **headers})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return json.load(answer)

    call("/chat/mugs/messages", {"text": "mug"}, **visitor)
    with urllib.request.urlopen(urllib.request.Request(f"{base}/chat/mugs/events", headers=visitor), timeout=20) as stream:
        shown = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
        said = (one for one in shown if one["direction"] == "out" and one["id"])
        asked = next(said)
        ((button,),) = asked["buttons"]
        assert asked["text"] == "A mug: 12.50 EUR\n\nThis is a test payment: no money moves."
        assert button["label"] == "Pay 12.50 EUR"
        assert button["url"].startswith(f"{base}/pay/pay_")
        with urllib.request.urlopen(button["url"], data=urllib.parse.urlencode({"choice": "pay"}).encode(), timeout=5) as page:
            assert "Paid" in page.read().decode()
            assert page.headers["content-type"] == "text/html; charset=utf-8"
        payment = button["url"].rpartition("/")[2]
        assert next(said)["text"] == f"Thank you for mug: {payment}"
        path = f"/v1/payments/{payment}"
        wait_until(lambda: call(path)["payment"]["state"] == "fulfilled", seconds=15, what="it is fulfilled")
        call(f"{path}/refund", {})
        assert next(said)["text"] == "It went back."
    assert call(path)["payment"]["state"] == "refunded"
    assert [one["kind"] for one in call(path)["attempts"]] == ["open", "refund"]
    (channel,) = [one for one in call("/v1/bots/mugs/channels")["items"] if one["kind"] == "testpay"]
    assert call(f"/v1/channels/{channel['id']}/health")["status"] == "ok"
    assert {talk["channel"] for talk in call("/v1/conversations?bot=mugs")["items"]} != {channel["id"]}
