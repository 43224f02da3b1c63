"""Every feature of an installation that is given an address, and what it does with one that was not listed."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

from botstead.processes.prove.ask import ask
from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import Signed, event, message, webhook
from botstead.processes.prove.installation import Hook, installation
from botstead.processes.prove.lures import INTERNAL, LISTED, sent_on, written

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.stage import Stage
    from botstead.processes.prove.traps import Traps

FEW = ("127.0.0.1", "[::1]", "localhost", "169.254.169.254", "10.0.0.1", "[::ffff:10.0.0.1]")
ALL = tuple(written(address) for address in INTERNAL if "%" not in address)
FOLLOWS = ("/deleteWebhook", "/getUpdates", "/sendMessage", "/webhook", "/program", "/get", "/post", "/found")
"""How the path ends with which each feature comes to the listed address."""
SECONDS = 30.0
ASKER = '''
from pathlib import Path

from botstead import Bot, Http, Message, Weather

bot = Bot(Path(__file__).parent.name)


@bot.on.message
async def ask(message: Message, http: Http, weather: Weather) -> str:
    """Ask what the message says, and tell how it went."""
    verb, number, url = message.text.split(" ", 2)
    if verb == "nothing":
        return "nothing"
    try:
        if verb == "get":
            await http.get(url)
        elif verb == "post":
            await http.post(url, b"{}")
        else:
            await weather.today(url)
    except Exception as error:
        return f"{verb} {number} {type(error).__name__} {type(error.__cause__).__name__}"
    return f"{verb} {number} arrived"
'''
REFUSED = "SELECT count(*) FROM dead_letter WHERE direction = 1 AND error LIKE '%not allowed%'"
"""Sends that were given up because our guard refused the address."""


async def featured(stage: Stage, traps: Traps) -> None:
    """Give each feature addresses that were not listed, and one that is and redirects to one that is not.

    Args:
        stage: where.
        traps: that should stay empty.
    """
    folder = stage.folder / "asking"
    (folder / "asker").mkdir(parents=True)
    (folder / "asker" / "bot.py").write_text(ASKER)
    (folder / "asker" / "bot.toml").write_text('egress = ["*"]\n')
    settings = {
        "bots": str(folder),
        "egress_allow": f"{LISTED}:{traps.door}",
        "weather_geocoding_base": f"http://{LISTED}:{traps.door}/found",
        "weather_base": f"http://127.0.0.2:{traps.trap}",
    }
    async with installation(stage, scheduler=1, settings=settings, bots={"asker": ""}) as running:
        features = _Features(running, traps)
        for number, host in enumerate(ALL if stage.full else FEW, start=1):
            await features.lure(number, f"http://{host}:{traps.trap}/latest")
        await features.send_on(sent_on(307, f"http://127.0.0.2:{traps.trap}/", traps.door))
        await features.say("weather 0 Oslo")
        await features.check()


class _Features:
    """The features, and what became of what they were given."""

    def __init__(self, running: Installation, traps: Traps) -> None:
        self._running, self._traps = running, traps
        self._client = Client()
        self._said = 0
        self._sends = 0
        self._programs: set[str] = set()
        self._answers = {"weather 0 WeatherUnavailable EgressRefused"}

    async def lure(self, number: int, url: str) -> None:
        """Give an address that was not listed to each of them."""
        name = f"lured-{number}"
        self._sends += await self._telegram(url) + await self._webhook(url)
        if await self._program(name, url):
            self._programs.add(name)
        for verb in ("get", "post"):
            await self.say(f"{verb} {number} {url}")
            self._answers.add(f"{verb} {number} EgressRefused NoneType")

    async def send_on(self, url: str) -> None:
        """Give the listed address, which redirects, to each of them."""
        assert await self._telegram(url)
        assert await self._webhook(f"{url}/webhook")
        assert await self._program("sent-on", f"{url}/program")
        for verb in ("get", "post"):
            await self.say(f"{verb} 0 {url}/{verb}")

    async def say(self, text: str) -> None:
        """Write to the bot that asks."""
        self._said += 1
        await self._take(message(self._running.hooks[0], self._said, self._said, text))

    async def check(self) -> None:
        """Wait until all of it was tried, and record what came of it."""
        stage, deadline = self._running.stage, time.monotonic() + SECONDS
        while (missing := await self._missing()) and time.monotonic() < deadline:  # noqa: ASYNC110  # other processes
            await asyncio.sleep(0.1)
        self._client.close()
        tried = self._sends + len(self._programs) + len(self._answers)
        stage.at_least("P18", "addresses that features took and tried", tried, 1)
        stage.none("P18", "features that did not refuse, or did not reach what is listed", missing)
        stage.none("P18", "connections to internal addresses, by features", self._traps.caught)

    async def _missing(self) -> list[str]:
        """Say what is still to come."""
        replies = {entry.text for entry in self._running.provider.sent()}
        refused = (await ask(self._running, REFUSED))[0][0]
        log = self._running.of("worker")[0].output().decode(errors="replace").splitlines()
        failed = {name for line in log if '"handler_failed"' in line for name in self._programs if f'"{name}"' in line}
        return [
            *["a send was not refused"] * max(0, self._sends - refused),
            *(f"program of {name} was not refused" for name in sorted(self._programs - failed)),
            *(f"no reply {reply}" for reply in sorted(self._answers - replies)),
            *(
                f"{word} did not follow what is listed"
                for word in FOLLOWS
                if not any(word in path for path in self._traps.arrived)
            ),
        ]

    async def _telegram(self, url: str) -> bool:
        """Give a bot a channel whose API is there, and make it reply; says whether the channel was taken."""
        token, secret = f"1:{secrets.token_hex(18)}", secrets.token_hex(20)
        given = {"kind": "telegram", "settings": {"api_base": url}, "secrets": {"token": token, "hook_secret": secret}}
        status, made = await self._running.api("POST", "/v1/bots/asker/channels", given)
        if status == 201:
            await self._take(message(Hook("asker", f"/hooks/{made['id']}", secret, token), 1, 1, "nothing 0 -"))
        return bool(status == 201)

    async def _webhook(self, url: str, bot: str = "asker") -> bool:
        """Give a bot a channel whose replies go there, if anywhere, and make it reply."""
        status, made = await self._running.api("POST", f"/v1/bots/{bot}/channels", {"kind": "webhook", "settings": {"url": url}})
        if status == 201:
            channel = Signed(made["id"], f"/hooks/{made['id']}", made["shown_once"]["hook_secret"])
            await self._take(webhook(channel, event("c", "nothing 0 -"), id="1"))
        return bool(status == 201)

    async def _program(self, name: str, url: str) -> bool:
        """Let a bot be a program that is there, and write to it."""
        status, _ = await self._running.api("POST", "/v1/bots", {"name": name, "url": url})
        return bool(status == 201) and await self._webhook("", name)

    async def _take(self, asked: bytes) -> None:
        status, said = await self._client.ask(self._running.ports()[0], asked)
        if status not in (200, 202):
            raise ConnectionError(f"a delivery was not taken: {status} {said[:200]!r}")
