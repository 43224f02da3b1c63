"""Is the double right? Two clients that others wrote use it as they use Telegram; and it is strict, durable and fast."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import aiogram
import aiohttp
import pytest
import telegram
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramRetryAfter,
)
from telegram.error import BadRequest, RetryAfter

from tests.doubles.telegram import Fault, TelegramDouble
from tests.doubles.telegram_rules import Rules, Unparsable, refusal, without_tags
from tests.integration.telegram.stories import TOKEN, told, until

ROOT = Path(__file__).resolve().parents[3]


def test_aiogram_speaks_with_it():
    async def story(stage):
        session = AiohttpSession(api=TelegramAPIServer.from_base(stage.server.url))
        async with aiogram.Bot(TOKEN, session=session) as bot:
            assert (await bot.get_me()).username == "double_bot"
            sent = await bot.send_message(7, "<b>hi</b>", parse_mode="HTML")
            assert (await bot.edit_message_text("new", chat_id=7, message_id=sent.message_id)).message_id == sent.message_id
            assert await bot.delete_message(7, sent.message_id)
            assert await bot.set_webhook("https://bots.example.org/hooks/pub", secret_token="s", allowed_updates=["message"])
            assert (await bot.get_webhook_info()).url == "https://bots.example.org/hooks/pub"
            with pytest.raises(TelegramConflictError):
                await bot.get_updates()
            await bot.delete_webhook()
            stage.bot.message("hello")
            (update,) = await bot.get_updates(timeout=1)
            assert (update.message.text, update.message.from_user.first_name) == ("hello", "Ann")
            assert await bot.get_updates(offset=update.update_id + 1) == []

    told(story)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=429, retry_after=3, description="Too Many Requests: retry after 3"), TelegramRetryAfter),
        (Fault(status=403, description="Forbidden: bot was blocked by the user"), TelegramForbiddenError),
        (Fault(status=400, description="Bad Request: chat not found"), TelegramBadRequest),
        (Fault(status=400, description="Bad Request: upgraded", migrate_to=-100123), TelegramMigrateToChat),
    ],
)
def test_aiogram_knows_its_faults(fault, error):
    async def story(stage):
        stage.bot.fault(fault)
        session = AiohttpSession(api=TelegramAPIServer.from_base(stage.server.url))
        async with aiogram.Bot(TOKEN, session=session) as bot:
            with pytest.raises(error) as raised:
                await bot.send_message(7, "hi")
            if error is TelegramRetryAfter:
                assert raised.value.retry_after == 3

    told(story)


def test_python_telegram_bot_speaks_with_it(monkeypatch):
    monkeypatch.setenv("PTB_TIMEDELTA", "1")  # else it warns of its own future

    async def story(stage):
        async with telegram.Bot(TOKEN, base_url=f"{stage.server.url}/bot") as bot:
            keyboard = telegram.InlineKeyboardMarkup([[telegram.InlineKeyboardButton("OK", callback_data="ok")]])
            sent = await bot.send_message(7, "hi", reply_markup=keyboard)
            assert (sent.text, sent.chat.id) == ("hi", 7)
            assert (await bot.send_document(7, b"upload", filename="a.txt")).message_id > sent.message_id
            with pytest.raises(BadRequest, match="not modified"):
                await bot.edit_message_text("hi", 7, sent.message_id, reply_markup=keyboard)
            stage.bot.fault(Fault(status=429, retry_after=2, description="Flood control exceeded"))
            with pytest.raises(RetryAfter):
                await bot.send_message(7, "again")
            stage.bot.message("hello", chat=-100)
            (update,) = await bot.get_updates(timeout=1)
            assert (update.message.text, update.message.chat.type) == ("hello", "supergroup")

    told(story)


@pytest.mark.skipif(not Rules().has_schema, reason="../shared/specs/telegram-bot-api.json is not here")
@pytest.mark.parametrize(
    ("method", "fields", "complaint"),
    [
        ("sendMessage", {"chat_id": 7}, "text is missing"),
        ("sendMessage", {"chat_id": 7.5, "text": "x"}, "float is no Integer"),
        ("sendMessage", {"chat_id": 7, "text": 5}, "int is no String"),
        ("sendMessage", {"chat_id": 7, "text": "x", "reply_to": 5}, "no such field"),
        ("sendMessage", {"chat_id": 7, "text": "x", "reply_parameters": {"message_id": "5"}}, "str is no Integer"),
        ("sendMessage", {"chat_id": 7, "text": "x", "reply_markup": {"inline_keyboard": [{"text": "x"}]}}, "is no list"),
        ("sendMessage", {"chat_id": 7, "text": "x", "disable_notification": 1}, "int is no Boolean"),
        ("sendMail", {}, "no such method"),
        ("deleteMessage", {"chat_id": 7, "message_id": True}, "bool is no Integer"),
    ],
)
def test_it_sees_what_breaks_the_schema(method, fields, complaint):
    found = Rules().violations(method, fields)
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"text": ""}, "empty"),
        ({"text": "a" * 4097}, "too long"),
        ({"text": "😀" * 2049}, "too long"),
        ({"text": "<b>" + "a" * 4096 + "</b>", "parse_mode": "HTML"}, None),
        ({"text": "<b>a", "parse_mode": "HTML"}, "end tag"),
        ({"text": "a < b", "parse_mode": "HTML"}, "start tag"),
        ({"caption": "a" * 1025}, "caption"),
        ({"text": "a", "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "é" * 33}]]}}, "BUTTON_DATA_INVALID"),
        ({"text": "a", "reply_markup": {"inline_keyboard": [[{"text": "a"}]]}}, "text buttons"),
    ],
)
def test_it_sees_what_breaks_the_limits(fields, why):
    found = refusal("sendMessage", fields)
    assert found is None if why is None else why in (found or "")


def test_it_reads_html_as_telegram_does():
    assert without_tags('<b>a &lt; <a href="x">b</a></b> &amp;&#33;') == "a < b &!"
    for wrong in ("<b><i>a</b></i>", "</b>", "<h1>a</h1>", "<"):
        with pytest.raises(Unparsable):
            without_tags(wrong)


def test_leaving_it_fails_when_a_rule_was_broken():
    async def story(stage):
        await call(stage.server.url, "sendMessage", {"chat_id": 7, "text": ""})

    with pytest.raises(AssertionError, match="text is empty"):
        told(story)


async def call(url: str, method: str, fields: object) -> dict[str, object]:
    async with aiohttp.ClientSession() as client, client.post(f"{url}/bot{TOKEN}/{method}", json=fields) as answer:
        return await answer.json()


def test_a_second_poller_ends_the_first():
    async def story(stage):
        first = asyncio.create_task(call(stage.server.url, "getUpdates", {"timeout": 10}))
        await until(lambda: bool(stage.bot.requests))
        assert (await call(stage.server.url, "getUpdates", {"timeout": 0}))["ok"]
        assert "terminated by other" in str(await first)

    told(story)


def test_a_process_of_its_own_remembers_what_was_sent(tmp_path):
    log = tmp_path / "sends.jsonl"
    command = [sys.executable, str(ROOT / "tests" / "doubles" / "telegram.py"), "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().split()[1]
            asyncio.run(use_from_outside(url))
        finally:
            process.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["method"], line["fields"]["text"], line.get("answered", "ok")) for line in lines] == [
        ("sendMessage", "a", "ok"),
        ("sendMessage", "b", "close"),
    ]


async def use_from_outside(url: str) -> None:
    async with aiohttp.ClientSession() as client:
        control = f"{url}/_control/{{}}?token={TOKEN}"
        assert (await call(url, "sendMessage", {"chat_id": 7, "text": "a"}))["ok"]
        await client.post(control.format("faults"), json=[{"kind": "close"}])
        with pytest.raises(aiohttp.ClientError):
            await call(url, "sendMessage", {"chat_id": 7, "text": "b"})
        message = {"message_id": 1, "date": 1, "chat": {"id": 7, "type": "private"}, "text": "hello"}
        async with client.post(control.format("updates"), json=[{"message": message}]) as answer:
            assert await answer.json() == [1]
        async with client.get(control.format("state")) as answer:
            assert await answer.json() == {"sent": 2, "pending": 1, "webhook": "", "violations": []}
        async with client.get(control.format("sent") + "&since=1") as answer:
            assert [sent["fields"]["text"] for sent in await answer.json()] == ["b"]
        await client.post(control.format("reset"))


def test_it_is_fast_enough_to_measure_others(tmp_path):
    """1,000 durable sends; the floor is low because machines that run tests are busy."""

    async def story() -> float:
        async with TelegramDouble(log=tmp_path / "log") as server, aiohttp.ClientSession() as client:
            url = f"{server.url}/bot{TOKEN}/sendMessage"

            async def send(chat: int) -> None:
                for number in range(25):
                    async with client.post(url, json={"chat_id": chat, "text": str(number)}) as answer:
                        assert answer.status == 200

            began = time.perf_counter()
            await asyncio.gather(*(send(chat) for chat in range(1, 41)))
            assert len(server.bot(TOKEN).sent) == 1000
            return 1000 / (time.perf_counter() - began)

    assert asyncio.run(story()) > 200
    assert len((tmp_path / "log").read_bytes().splitlines()) == 1000
