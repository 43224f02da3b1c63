"""Secrets put into every feature that takes one, and into what strangers send; then all of it is used, and goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from botstead.processes.prove import betrayals, traders
from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import JSON, TELEGRAM_SECRET, Signed, event, message, telegram, webhook
from botstead.processes.prove.installation import Hook
from botstead.processes.prove.places import VISITOR, said
from botstead.processes.prove.rawhttp import Headers, request
from botstead.runtime.keyring import KEY_BYTES, KeyRing

if TYPE_CHECKING:
    from botstead.processes.prove.canaries import Canaries
    from botstead.processes.prove.echo import Echo
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.places import Places

SPOKEN = ("table message", "api /v1/messages", "api /v1/conversations", "cli messages", "chat events", "database ")
"""Where people's words may stand: history, what shows it, and the database's own files."""
RAISED = ("table dead_letter", "table inbox", "api /v1/dead-letters", "api /v1/messages/", "cli dead-letters", "database ")
"""Where the words of what a handler raised may stand: the dead letter, and the message while it waits for a next try."""
LOADED = ("api /v1/bots", "answer GET /v1/bots", "table bot", "cli bots list", "cli doctor", "database ")
"""Where the words of what a bot raised while it was loaded may stand: its problem, told to who may read bots."""
HOOK = "address of a Slack webhook"
SHARED, OWN, REMOTE = "shared", "own", "remote"
"""Bots: in the worker, in a process of its own, behind HTTP."""
FAULTS = ("401", "400", "429", "500", "redirect", "garbage", "reset", "200")
"""What a provider does with each reply."""
QUICK = ("401", "400", "500", "garbage")


class Seeds:
    """Secrets that are there before anything runs."""

    def __init__(self, canaries: Canaries, folder: Path, base: str) -> None:
        """Write bots and files.

        Args:
            canaries: makes them.
            folder: of the experiment.
            base: of the service that goes wrong.
        """
        self._canaries = canaries
        self.bots = folder / "betrayals"
        self.headers = folder / "otlp.headers"
        self.headers.write_text(f"Authorization: Bearer {canaries.make('header for the collector of traces')}\n")
        words = {key: canaries.make(what) for key, what in betrayals.SECRETS.items()}
        words |= {key: canaries.make(what, may=RAISED) for key, what in betrayals.WORDS.items()}
        betrayals.write(self.bots, SHARED, words, base=base)
        betrayals.write(self.bots, OWN, words, base=base, more=betrayals.OWN)
        traders.write(self.bots, base=base)
        for name, more in (("broken", ""), ("broken-own", betrayals.OWN)):
            betrayals.write_broken(self.bots, name, canaries.make(f"words of the bot {name} at its start", may=LOADED), more=more)

    def servers(self, data: Path) -> None:
        """Write the passwords of the servers, and the key ring.

        Args:
            data: the data folder.
        """
        for name in ("postgres", "valkey"):
            may = (f"file {name}.password", *(("file valkey/valkey.conf",) if name == "valkey" else ()))
            _private(data / f"{name}.password", self._canaries.make(f"password of {name}", may=may).encode())
        keys = {name: self._canaries.make(f"encryption key {name}", may=("file keys.json",)).encode() for name in ("k1", "k2")}
        pepper = self._canaries.make("pepper of API keys", may=("file keys.json",)).encode()
        assert {len(key) for key in (*keys.values(), pepper)} == {KEY_BYTES}
        _private(data / "keys.json", msgspec.json.encode(KeyRing(current="k1", keys=keys, pepper=pepper)))


def _private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


class Planting:
    """Secrets in an installation that runs."""

    def __init__(self, running: Installation, canaries: Canaries, places: Places, service: Echo) -> None:
        """Prepare.

        Args:
            running: where.
            canaries: makes the secrets.
            places: takes every answer.
            service: the provider that goes wrong.
        """
        self.running, self._canaries, self._places, self._service = running, canaries, places, service
        self._client = Client()
        self._number = 0
        self._hooks = {hook.bot: hook for hook in running.hooks}
        self._full = running.stage.full
        self.refused: list[str] = []
        """What was not answered as it should be."""

    async def keys(self) -> None:
        """Make API keys, revoke one, and come with a wrong one."""
        admin = (self.running.folder / "data" / "admin.key").read_text().strip()
        self._canaries.add("the administrator's key", admin.rpartition("_")[2], may=("file admin.key",))
        for name in ("made", "revoked"):
            _, made = await self.running.api("POST", "/v1/keys", {"name": name, "scopes": ["bots:read"]})
            self._canaries.add(f"API key {name}", made["key"].rpartition("_")[2])
            if name == "revoked":
                await self.running.api("DELETE", f"/v1/keys/{made['id']}")
            await self._ask("GET", "/v1/bots", bearer=made["key"], wanted={200} if name == "made" else {401})
        for shape in ("bsk_abcdef_{}", "{}", "bsk_{}"):
            await self._ask("GET", "/v1/bots", bearer=self._canaries.make("wrong API key", shape), wanted={401})

    async def channels(self) -> None:
        """Give the bot channels whose provider goes wrong in each way, and write to it there; then replace their secrets."""
        for fault in FAULTS if self._full else QUICK:
            await self._telegram(fault)
        for fault in ("500", "redirect") if self._full else ("500",):
            await self._webhook(fault)
        await self._program()
        for shape in ("{} x", "whsec_{}!", "whpk_{}"):
            given = {"kind": "webhook", "secrets": {"hook_secret": self._canaries.make("malformed secret of a channel", shape)}}
            await self._ask("POST", f"/v1/bots/{SHARED}/channels", given, wanted={422, 400})

    async def _telegram(self, fault: str) -> None:
        token = self._canaries.make(f"Telegram token, provider {fault}", "123456:{}Aa-")
        secret = self._canaries.make(f"Telegram hook secret, provider {fault}")
        given = {
            "kind": "telegram",
            "settings": {"api_base": f"{self._service.url}/{fault}"},
            "secrets": {"token": token, "hook_secret": secret},
        }
        made = await self._ask("POST", f"/v1/bots/{SHARED}/channels", given, wanted={201})
        hook = Hook(SHARED, f"/hooks/{made['id']}", secret, token)
        await self._deliver(message(hook, self._next(), self._number, self._said("well")))
        wrong = Hook(SHARED, hook.path, self._canaries.make("wrong secret of a delivery"), token)
        await self._deliver(message(wrong, self._next(), self._number, self._said("well")), wanted={401})
        new = self._canaries.make(f"second Telegram token, provider {fault}", "123456:{}Aa-")
        await self._ask("PATCH", f"/v1/channels/{made['id']}", {"secrets": {"token": new}}, wanted={200})
        await self._deliver(message(hook, self._next(), self._number, self._said("well")))
        await self._ask("GET", f"/v1/channels/{made['id']}/health", wanted={200})

    async def _webhook(self, fault: str) -> None:
        names = ("hook_secret", "send_secret")
        secrets = {name: self._canaries.make(f"webhook {name}, receiver {fault}", "whsec_{}") for name in names}
        given = {"kind": "webhook", "settings": {"url": f"{self._service.url}/{fault}/replies"}, "secrets": secrets}
        made = await self._ask("POST", f"/v1/bots/{SHARED}/channels", given, wanted={201})
        channel = Signed(made["id"], f"/hooks/{made['id']}", secrets["hook_secret"])
        await self._deliver(webhook(channel, event("c", self._said("well")), id=str(self._next())))
        signed = {
            "webhook-id": "1",
            "webhook-timestamp": "1",
            "webhook-signature": self._canaries.make("wrong signature", "v1,{}"),
        }
        await self._deliver(request("POST", channel.path, headers=[JSON, *signed.items()], body=b"{}"), wanted={401})

    async def _program(self) -> None:
        """Let bots be programs that answer wrongly."""
        for fault in FAULTS if self._full else ("500",):
            name = f"{REMOTE}-{fault}"
            secret = self._canaries.make(f"secret of an HTTP bot, program {fault}", "whsec_{}")
            await self._ask(
                "POST", "/v1/bots", {"name": name, "url": f"{self._service.url}/{fault}/", "secret": secret}, wanted={201}
            )
            made = await self._ask("POST", f"/v1/bots/{name}/channels", {"kind": "webhook"}, wanted={201}, shown=True)
            hook_secret = self._canaries.add(f"made secret of a webhook of {name}", made["hook_secret"])
            channel = Signed(made["id"], f"/hooks/{made['id']}", hook_secret)
            await self._deliver(webhook(channel, event("c", self._said("well")), id=str(self._next())))

    async def channels_again(self) -> None:
        """Use them once more, after everything was struck."""
        await self._telegram("400")
        await self._webhook("500")
        address = f"{self._service.url}/services/T0/B0/{self._canaries.make(HOOK)}"
        await self._ask("PUT", f"/v1/bots/{traders.BOT}/secrets/slack", {"value": address}, wanted={200})
        await self.handlers(traders.BOT, ("slack",))

    async def bot_secrets(self) -> None:
        """Set secrets of bots, good ones and malformed ones."""
        for name, (what, shape) in traders.SECRETS.items():
            path = f"/v1/bots/{traders.BOT}/secrets/{name}"
            await self._ask("PUT", path, {"value": self._canaries.make(what, shape)}, wanted={200})
        self._service.token = self._canaries.make("token that a token server gave")
        path = f"/v1/bots/{SHARED}/secrets/third"
        await self._ask("PUT", path, {"value": self._canaries.make("malformed secret of a bot", "{}\r\n")}, wanted={400, 422})
        await self._ask("PUT", path, {"valeu": self._canaries.make("misplaced secret of a bot")}, wanted={400, 422})
        await self._ask("PUT", path, {"value": [self._canaries.make("secret of a bot in a list")]}, wanted={400, 422})

    async def accounts(self) -> None:
        """Give the bot that asks for money accounts at providers that go wrong."""
        for kind, (fault, wanted) in traders.ACCOUNTS.items():
            secrets = {name: self._canaries.make(*what) for name, what in wanted.items()}
            given = {"kind": kind, "settings": {"api_base": f"{self._service.url}/{fault}"}, "secrets": secrets}
            made = await self._ask("POST", f"/v1/bots/{traders.BOT}/channels", given, wanted={201})
            await self._ask("GET", f"/v1/channels/{made['id']}/health", wanted={200})
            wrong = [JSON, (traders.SIGNATURES[kind], self._canaries.make(f"wrong signature of {kind}", "t=1,v1={}"))]
            await self._deliver(request("POST", f"/hooks/{made['id']}", headers=wrong, body=b"{}"), wanted={401, 503})

    async def wrong_passwords(self) -> None:
        """Start processes with passwords that the servers do not take, and with addresses that are none."""
        user, _, rest = self.running.postgres.dsn.partition("//")[2].partition(":")
        server, cache = rest.partition("@")[2], self.running.valkey.url.partition("@")[2]
        shapes = {
            "password that Postgres does not take": ("migrate", {"postgres": f"postgres://{user}:{{}}@{server}"}),
            "password in a DSN that is none": ("migrate", {"postgres": f"postgres://{user}:{{}}@[{server}"}),
            "password that Valkey does not take": ("doctor", {"valkey": f"valkey://:{{}}@{cache}"}),
            "password in a URL that is none": ("doctor", {"valkey": "valkey://:{}@[::1/0"}),
        }
        chosen = list(shapes.items())[: None if self._full else 1]
        await asyncio.gather(*(self._wrong(what, command, settings) for what, (command, settings) in chosen))

    async def _wrong(self, what: str, command: str, settings: Mapping[str, str]) -> None:
        given = {name: self._canaries.make(what, shape) for name, shape in settings.items()}
        out, err = await said(command, environment=self.running.environment(**given))
        self._places.add(f"cli {what}", out + err)
        if not out + err:
            self.refused.append(f"{command} says nothing of a {what}")

    async def strangers(self) -> None:
        """Send what no provider sends."""
        hook = self._hooks[SHARED]
        body = self._canaries.make("malformed delivery", '{"update_id": 1, "message": {"text": "{}')
        await self._deliver(telegram(hook, body.encode()), wanted={400, 422})
        odd = self._canaries.make("delivery with odd fields", '{"update_id": "{}", "message": ["{}"]}')
        await self._deliver(telegram(hook, odd.encode()), wanted={400, 422, 200})
        nobody = self._canaries.make("delivery to nobody")
        await self._deliver(
            request("POST", f"/hooks/{nobody}", headers=[JSON, (TELEGRAM_SECRET, nobody)], body=nobody.encode()), {401}
        )
        broken = self._canaries.make("secret in a body that is no JSON", '{"secrets": {"token": "{}"')
        await self._ask("POST", f"/v1/bots/{SHARED}/channels", broken.encode(), wanted={400, 422})
        kind = {"kind": "telegram", "secrets": {"token": self._canaries.make("Telegram token that is none", "12 {}")}}
        await self._ask("POST", f"/v1/bots/{SHARED}/channels", kind, wanted={400, 422})
        headers = [("Cookie", self._canaries.make("cookie", "session={}")), ("X-Visitor", self._canaries.make("visitor"))]
        await self._ask("POST", f"/chat/{SHARED}/messages", {"text": "well"}, headers=headers, wanted={400, 401, 422})
        posted = {"text": self._said("well")}
        await self._ask("POST", f"/chat/{SHARED}/messages", posted, headers=[("X-Visitor", VISITOR)], wanted={202})
        query = self._canaries.make("query of the API", "/v1/bots?token={}")
        await self._ask("GET", query, wanted={200, 400, 422})

    async def handlers(self, bot: str, verbs: tuple[str, ...]) -> None:
        """Let a bot use its secrets.

        Args:
            bot: its name.
            verbs: what its handler does.
        """
        for verb in verbs:
            await self._deliver(message(self._hooks[bot], self._next(), self._number, self._said(verb)))

    def _said(self, verb: str) -> str:
        return f"{verb} {self._canaries.make('what somebody wrote', may=SPOKEN)}"

    def _next(self) -> int:
        self._number += 1
        return 1_000 + self._number

    async def _deliver(self, asked: bytes, wanted: Collection[int] = (200,)) -> None:
        status, body = await self._client.ask(self.running.ports()[0], asked)
        self._note("delivery", status, body, wanted)

    async def _ask(  # noqa: PLR0913  # each has a name at the call
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        wanted: Collection[int],
        bearer: str = "",
        headers: Headers = (),
        shown: bool = False,
    ) -> Any:
        key = bearer or (self.running.folder / "data" / "admin.key").read_text().strip()
        content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        asked = request(method, path, headers=[JSON, ("Authorization", f"Bearer {key}"), *headers], body=content)
        status, found = await self._client.ask(self.running.ports()[0], asked, seconds=20.0)
        self._note(f"{method} {path.partition('?')[0]}", status, b"" if shown else found, wanted)
        return json.loads(found) if found else None

    def _note(self, what: str, status: int, body: bytes, wanted: Collection[int]) -> None:
        self._places.add(f"answer {what} {status}", body)
        if status not in wanted:
            self.refused.append(f"{what}: {status} {body[:200]!r}")

    def close(self) -> None:
        """Hang up."""
        self._client.close()
