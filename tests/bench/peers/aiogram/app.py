"""The echo job as one would write it with aiogram: an update is durable before its acknowledgement, the reply has a row too.

`python app.py PORT`, with DSN, TOKEN, SECRET and BOT_API in the environment.
"""

from __future__ import annotations

import os
import sys

import asyncpg
import uvloop
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import Message, Update
from aiogram.webhook.aiohttp_server import SimpleRequestHandler, setup_application
from aiohttp import web

CONNECTIONS = 20
KEEP = """INSERT INTO message (direction, chat, update_id, body, payload) VALUES (0, $1, $2, $3, $4)
          ON CONFLICT DO NOTHING RETURNING id"""
SAY = "INSERT INTO message (direction, chat, body) VALUES (1, $1, $2)"

dispatcher = Dispatcher()


@dispatcher.message()
async def echo(message: Message, event_update: Update, pool: asyncpg.Pool) -> None:
    """Keep what was said, say the same."""
    payload = event_update.model_dump_json(exclude_unset=True)
    if await pool.fetchval(KEEP, message.chat.id, event_update.update_id, message.text, payload) is None:
        return  # it came again
    await pool.execute(SAY, message.chat.id, message.text)
    await message.answer(message.text or "")


async def application() -> web.Application:
    """Return the web application; acknowledges when the handler has ended."""
    pool = await asyncpg.create_pool(os.environ["DSN"], min_size=CONNECTIONS, max_size=CONNECTIONS)
    session = AiohttpSession(api=TelegramAPIServer.from_base(os.environ["BOT_API"]))
    bot = Bot(os.environ["TOKEN"], session=session)
    app = web.Application()
    handler = SimpleRequestHandler(dispatcher, bot, handle_in_background=False, secret_token=os.environ["SECRET"], pool=pool)
    handler.register(app, path="/webhook")
    setup_application(app, dispatcher, bot=bot)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
