"""A small platform for tests of the web chat: the real routes on a real Postgres, and a bot that lives in this process.

Run as a program it serves until SIGTERM: `python -m tests.doubles.chat_app <dsn> <port>`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from contextlib import asynccontextmanager, contextmanager

import msgspec
import uvicorn
from litestar import Litestar, Response

from botstead.bots.bot import Bot
from botstead.bots.runner import PythonBot
from botstead.core.errors import BotsteadError, HandlerFailed
from botstead.core.messages import Button, Delete, Edit, Event, Kind, Send
from botstead.core.ports import Account, Incoming
from botstead.pipeline.drafts import Drafts
from botstead.store.postgres import Postgres
from botstead.store.valkey import MemoryWake
from botstead.web.chat.deps import ChatDeps
from botstead.web.chat.routes import chat_routes

ACCOUNT = Account(
    id=7,
    public_id="p",
    kind="webchat",
    bot=3,
    bot_name="weather",
    settings={
        "title": "Weather",
        "about": "Tells the weather of any place, today and tomorrow.",
        "suggestions": ("weather Oslo", "weather Lisbon", "help"),
    },
)
KEEP = """INSERT INTO seen (channel, key, id) VALUES ($1, $2, nextval('message_id')) ON CONFLICT DO NOTHING RETURNING id"""
HEAR = "INSERT INTO message (id, direction, bot, channel, conversation, body, payload) VALUES ($1, 0, 3, 7, $2, $3, $4)"
SAY = """INSERT INTO message (id, direction, bot, channel, conversation, body, payload, reply_to)
    VALUES (nextval('message_id'), $1, 3, 7, $2, $3, $4, $5) RETURNING id"""
STORY = (
    "**Why is the sea blue?**\n\n",
    "Water swallows the *red* of sunlight ",
    "and lets the blue pass:\n\n",
    "- near the beach it looks green,\n",
    "- far out it is `deep blue`.\n\n",
    "At night it is black.",
)
"""What the bot writes, piece by piece; in the middle it waits for «go on»."""
FORECAST = """**Oslo**, today: *light rain*, 4 to 9 °C.

- Morning: `4 °C`, dry
- Afternoon: `9 °C`, light rain
- Wind: 5 m/s from the south-west

More at https://www.yr.no/en."""
CHOICES = Send(
    buttons=((Button("Tomorrow", "tomorrow"), Button("This week", "week")), (Button("Map", url="https://www.yr.no/en/map"),))
)


def payload(value) -> str:
    """A struct as the road keeps it: without what has columns of its own."""
    if isinstance(value, Event):
        value = msgspec.structs.replace(value, text="", key="", conversation="")
    return msgspec.json.encode(value).decode()


class Platform:
    """Accepts, and answers as a small weather bot would."""

    def __init__(self, postgres: Postgres, port: int) -> None:
        self.postgres = postgres
        self.port = port
        self.wake = MemoryWake()
        self.draining = asyncio.Event()
        self.tasks: set[asyncio.Task] = set()
        self.go_on = asyncio.Event()
        self.storyteller = self._storyteller()

    def _storyteller(self) -> PythonBot:
        bot = Bot("weather")

        @bot.on.message
        async def tell(incoming: Incoming):
            for number, piece in enumerate(STORY):
                if number == 4:
                    await self.go_on.wait()
                    self.go_on.clear()
                    if incoming.event.text == "write badly" and incoming.attempt == 1:
                        raise ValueError(piece)
                yield piece

        teller = PythonBot(bot)
        teller.drafts = Drafts(self.wake, ["webchat"])
        return teller

    async def tell(self, conversation: str, message: int, event: Event) -> None:
        """Answer as the road does: a handler that fails runs again, and what it says is committed when it has returned."""
        made = Incoming(id=message, bot="weather", channel="webchat", account=ACCOUNT.id, conversation=conversation, event=event)
        for attempt in (1, 2):
            try:
                effects = await self.storyteller.handle(msgspec.structs.replace(made, attempt=attempt))
            except HandlerFailed:
                continue
            for action in effects.actions:
                await self.say(conversation, action.text, msgspec.structs.replace(action, text=""), reply_to=message)
            return

    @property
    def deps(self) -> ChatDeps:
        return ChatDeps(self.find, self.accept_one, self.postgres, self.wake, self.draining)

    async def find(self, bot: str) -> Account | None:
        return {"weather": ACCOUNT, "closed": msgspec.structs.replace(ACCOUNT, enabled=False)}.get(bot)

    async def accept_one(self, account: Account, event: Event) -> int:
        conversation = f"{account.id}.{event.conversation}"
        async with self.postgres.unit() as connection:
            message = await connection.fetchval(KEEP, account.id, event.key)
            if message is None:
                known = "SELECT id FROM seen WHERE channel = $1 AND key = $2"
                return await connection.fetchval(known, account.id, event.key)
            await connection.execute(HEAR, message, conversation, event.text, payload(event))
        task = asyncio.create_task(self.answer(conversation, event, message))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return message

    async def say(self, conversation: str, body: str, action, *, reply_to: int | None = None) -> int:
        async with self.postgres.unit() as connection:
            message = await connection.fetchval(SAY, 1, conversation, body, payload(action), reply_to)
        self.wake.publish("chat", conversation)
        return message

    async def answer(self, conversation: str, event: Event, message: int) -> None:
        if event.text.startswith("write"):
            await self.tell(conversation, message, event)
        elif event.text == "go on":
            self.go_on.set()
        elif event.kind is Kind.BUTTON:
            await self.say(conversation, f"You chose {event.button}.", Send())
        elif event.text.startswith("weather"):
            await self.say(conversation, FORECAST, CHOICES)
        elif event.text == "edit":
            first = await self.say(conversation, "first", Send())
            await self.say(conversation, "second", Edit(target=str(first)))
        elif event.text == "delete":
            first = await self.say(conversation, "gone soon", Send())
            await self.say(conversation, "", Delete(target=str(first)))
        elif event.text != "quiet":
            await self.say(conversation, f"echo: {event.text}", Send())


def problem(_request, error: BotsteadError) -> Response:
    """What web/app.py answers for our errors, in short."""
    headers = {"retry-after": str(error.after)} if error.after else {}
    return Response({"detail": error.message, "code": error.code}, status_code=error.status, headers=headers)


class Server(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    @contextmanager
    def capture_signals(self):
        yield


def add_headers(response: Response) -> Response:
    """What web/app.py puts on every answer that does not say otherwise."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@asynccontextmanager
async def serving(dsn: str, port: int):
    """A server on this loop; yields the platform."""
    platform = Platform(await Postgres.open(dsn, most=5), port)
    app = Litestar(
        chat_routes(platform.deps), exception_handlers={BotsteadError: problem}, after_request=add_headers, logging_config=None
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=port, http="httptools", ws="none", log_level="error", lifespan="off")
    server = Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started and not task.done():  # noqa: ASYNC110  # uvicorn offers nothing to wait on
        await asyncio.sleep(0.01)
    try:
        yield platform
        platform.draining.set()
        server.should_exit = True
        await task
    finally:
        await platform.postgres.close()


async def main() -> None:
    """Serve until SIGTERM."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("dsn")
    arguments.add_argument("port", type=int)
    given = arguments.parse_args()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serving(given.dsn, given.port):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
