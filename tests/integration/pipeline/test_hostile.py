"""Hostile deliveries through the real channels into a real inbox: a client's fault is 4xx, whatever the bytes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time

import pytest
from litestar import Litestar

from botstead.channels.registry import kinds
from botstead.core.ports import Effects, Prepared
from botstead.web.hooks import HookDeps, Hooks
from tests.integration.pipeline.road import on_road

SECRET = b"k" * 32
TELEGRAM = {"token": "123:abc", "hook_secret": "telegram-secret"}
WEBHOOK = {"hook_secret": "whsec_" + base64.b64encode(SECRET).decode()}


def telegram(body: bytes, _: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-telegram-bot-api-secret-token", b"telegram-secret")]


def webhook(body: bytes, key: str) -> list[tuple[bytes, bytes]]:
    at = str(int(time.time()))
    signature = base64.b64encode(hmac.digest(SECRET, f"{key}.{at}.".encode() + body, hashlib.sha256)).decode()
    return [
        (b"webhook-id", key.encode()),
        (b"webhook-timestamp", at.encode()),
        (b"webhook-signature", f"v1,{signature}".encode()),
    ]


def update(text: str, *, number: str = "1", chat: str = "5") -> bytes:
    return (
        f'{{"update_id":{number},"message":{{"message_id":1,"date":1,"chat":{{"id":{chat},"type":"private"}},"text":{text}}}}}'
    ).encode()


HOSTILE = {
    "empty": b"",
    "not UTF-8": b'{"update_id":1,"x":"\xff\xfe"}',
    "deep": b'{"update_id":1,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deeper, cut": b'{"a":' * 100_000,
    "NUL byte": b'{"update_id":1,"x":"\x00"}',
    "escaped NUL": update('"a\\u0000b"'),
    "surrogate": update('"\\ud800"'),
    "surrogate pair the wrong way": update('"\\udc00\\ud800"'),
    "raw surrogate": update('"x"').replace(b'"x"', b'"\xed\xa0\x80"'),
    "huge update id": update('"x"', number="9" * 5_000),
    "huge chat": update('"x"', chat="9" * 400),
    "float chat": update('"x"', chat="1e308"),
    "negative zero": update('"x"', chat="-0", number="-0"),
    "infinity": update('"x"', number="1e999"),
    "text of a wrong type": update('{"a":[1]}'),
    "long text": update('"' + "x" * 200_000 + '"'),
    "list": b"[]",
    "number": b"1",
    "string": b'"x"',
    "null": b"null",
    "same key twice": b'{"update_id":1,"update_id":2}',
    "conversation of NUL": b'{"conversation":"a\\u0000","text":"x"}',
    "conversation of emoji": b'{"conversation":"' + "🦀".encode() * 200 + b'","text":"x"}',
    "huge conversation": b'{"conversation":' + b"9" * 4_400 + b',"text":"x"}',
    "many events": b'{"events":[' + b",".join([b'{"conversation":"c","text":"x"}'] * 101) + b"]}",
    "events of all kinds": b'{"events":[1,null,"x",[],{},{"conversation":"c","text":"x"}]}',
}


async def post(app: Litestar, path: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    sent = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"]


@pytest.mark.parametrize(("kind", "secrets", "sign"), [("telegram", TELEGRAM, telegram), ("webhook", WEBHOOK, webhook)])
def test_no_bytes_are_our_fault_and_what_is_taken_can_be_handled(postgres_dsn, kind, secrets, sign):
    async def story(road):
        number = (await road.bot("echo")).bot
        account = await road.registry.create_channel("echo", kind=kind, name="", prepared=Prepared(settings={}, secrets=secrets))
        await road.directory.refresh()

        async def unmoved(account, event):
            """No conversation moves here."""

        deps = HookDeps(find=road.directory.find, kinds=kinds(), accept=road.inbox.accept, moved=unmoved, body_limit=1_048_576)
        app = Hooks(deps, otherwise=Litestar(openapi_config=None))
        path, statuses = f"/hooks/{account.public_id}", {}
        for index, (name, body) in enumerate(HOSTILE.items()):
            statuses[name] = await post(app, path, body, sign(body, f"m{index}"))
            assert await post(app, path, body, []) == 401, name
        bad = {name: status for name, status in statuses.items() if status != 200 and not 400 <= status < 500}
        assert bad == {}
        good = update('"hello"', number="77") if kind == "telegram" else b'{"conversation":"c","text":"hello"}'
        assert await post(app, path, good, sign(good, "good")) == 200
        assert await road.count("inbox") > 0
        road.handlers[number]._function = quiet
        await road.worker()
        await road.settled()
        assert await road.count("dead_letter") == 0

    on_road(postgres_dsn, story)


async def quiet(incoming):
    """Say nothing."""
    await asyncio.sleep(0)
    return Effects()
