"""Telegram delivers to a hook made of our `verify` and `parse`: in order per chat, again until it is taken."""

from __future__ import annotations

from contextlib import asynccontextmanager

from aiohttp import web

from botstead.channels.telegram import KIND
from botstead.core.errors import RequestError
from botstead.core.messages import Delivery, Kind
from tests.integration.telegram.stories import told, until


class Hook:
    """Takes deliveries as the web process does, and can be told to refuse."""

    def __init__(self, account):
        self.account = account
        self.events = []
        self.refusals: list[web.Response] = []

    async def take(self, request: web.Request) -> web.Response:
        headers = tuple((name.lower(), value) for name, value in request.raw_headers)
        delivery = Delivery(body=await request.read(), headers=headers)
        if self.refusals:
            return self.refusals.pop(0)
        try:
            KIND.verify(delivery, self.account, 0.0)
            self.events += KIND.parse(delivery, self.account).events
        except RequestError as error:
            return web.Response(status=error.status)
        return web.Response()

    @asynccontextmanager
    async def listening(self):
        app = web.Application()
        app.router.add_post("/hooks/pub", self.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/pub"
        finally:
            await runner.cleanup()


def test_updates_arrive_in_order_within_each_chat():
    async def story(stage):
        hook = Hook(stage.account())
        async with hook.listening() as url:
            await KIND.install(stage.account(), stage.egress, url)
            for number in range(60):
                stage.bot.message(str(number), chat=number % 3 + 1)
            await until(lambda: not stage.bot.pending)
            for chat in ("1", "2", "3"):
                numbers = [int(event.text) for event in hook.events if event.conversation == chat]
                assert numbers == sorted(numbers)
            assert len(hook.events) == 60
            await stage.bot.webhook.remove()

    told(story)


def test_what_is_refused_comes_again_with_the_same_key():
    async def story(stage):
        hook = Hook(stage.account())
        hook.refusals = [web.Response(status=503, headers={"Retry-After": "0"}), web.Response(status=500)]
        async with hook.listening() as url:
            await KIND.install(stage.account(), stage.egress, url)
            first, second = stage.bot.message("a"), stage.bot.message("b")
            await until(lambda: not stage.bot.pending)
            assert [event.key for event in hook.events] == [str(first["update_id"]), str(second["update_id"])]
            assert stage.bot.webhook.retries == 2
            await stage.bot.webhook.remove()

    told(story)


def test_another_secret_gets_nothing_in():
    async def story(stage):
        hook = Hook(stage.account())
        async with hook.listening() as url:
            stage.bot.webhook.set(url, secret="stolen", max_connections=1)
            stage.bot.message("a")
            await until(lambda: stage.bot.webhook.retries > 1)
            assert not hook.events
            assert "401" in stage.bot.webhook.last_error_message
            health = await KIND.health(stage.account(), stage.egress)
            assert (health.status, "401" in health.detail) == ("degraded", True)
            await stage.bot.webhook.remove()

    told(story)


def test_what_waited_is_delivered_once_a_webhook_is_set():
    async def story(stage):
        hook = Hook(stage.account())
        stage.bot.message("early")
        async with hook.listening() as url:
            await KIND.install(stage.account(), stage.egress, url)
            await until(lambda: not stage.bot.pending)
            assert [(event.kind, event.text) for event in hook.events] == [(Kind.MESSAGE, "early")]
            await stage.bot.webhook.remove()

    told(story)
