"""What the doubles of payment providers share: a server on loopback, keys with stored answers, faults, webhooks, and a log.

`/_control/…` scripts one from outside, all of it JSON:

    GET  state      how many requests, faults, webhooks; broken rules
    GET  taken      every charge and refund that was really made, in order: what a judge counts
    POST faults     a list of `ProviderFault`
    POST chaos      a `Chaos`
    POST hook       {"url": …, "secret": …} where events are sent to
    POST reset      forget faults and chaos

`POST /pay/{session}` lets a person pay, with `{"outcome": "paid"}` by default; see each double for others.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
from aiohttp import web

from tests.doubles.provider_faults import Chaos, ProviderFault, Trouble, suffer
from tests.doubles.provider_hooks import Hooks


class Refusal(Exception):
    """An error answer. Before anything was done, so no key stores it."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


class Taken(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Money that moved: a charge or a refund that was really made."""

    what: str
    order: str
    id: str
    amount: int | str
    currency: str
    at: float
    of: str = ""


class _Kept(msgspec.Struct):
    fingerprint: str
    at: float
    status: int = 0
    body: bytes = b""


class Keys:
    """Idempotency keys and the answers stored under them."""

    def __init__(self, *, seconds: float) -> None:
        self.kept: dict[str, _Kept] = {}
        self.seconds = seconds
        self.shift = 0.0

    def now(self) -> float:
        """The time that keys grow old by; tests move it on with `shift`."""
        return time.time() + self.shift

    def find(self, key: str, fingerprint: str) -> _Kept | None:
        """What is stored under a key; ValueError when it was used for something else."""
        found = self.kept.get(key)
        if found is None or self.now() - found.at > self.seconds:
            return None
        if found.fingerprint != fingerprint:
            raise ValueError(key)
        return found


class ProviderDouble:
    """A payment provider. Subclasses say what it can do."""

    key_header: ClassVar[str]
    keys_kept: ClassVar[float]

    def __init__(self, *, port: int = 0, log: Path | None = None, retry_unit: float = 0.02, strict: bool = True) -> None:
        """Build it.

        Args:
            port: where it listens on loopback; 0 picks a free one.
            log: file of the money that moved, one JSON object a line.
            retry_unit: seconds before a webhook's first retry.
            strict: leaving the block fails when a request broke the rules.
        """
        self.trouble = Trouble()
        self.hooks = Hooks(trouble=self.trouble, retry_unit=retry_unit)
        self.keys = Keys(seconds=self.keys_kept)
        self.taken: list[Taken] = []
        self.requests: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self._port = port
        self._strict = strict
        self._log = log.open("ab", buffering=0) if log else None
        self._runner: web.AppRunner | None = None
        self._number = 0

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self._port}"

    def fault(self, *faults: ProviderFault) -> None:
        """Let the next requests go wrong."""
        self.trouble.faults.extend(faults)

    def made(self, what: str, order: str) -> list[Taken]:
        """Return the charges or refunds of an order."""
        return [one for one in self.taken if (one.what, one.order) == (what, order)]

    def calls(self, what: str) -> int:
        """How many requests began so: `POST /v1/refunds`."""
        return sum(f"{method} {path}".startswith(what) for method, path in self.requests)

    def new_id(self, prefix: str) -> str:
        """Make an id of the provider's."""
        self._number += 1
        digest = hashlib.sha256(f"{prefix}{self._number}{id(self)}".encode()).hexdigest()
        return f"{prefix}{self._number}{digest[:18]}"

    def move(self, what: str, **fields: Any) -> None:
        """Note money that moved, in memory and in the file, before anybody is told."""
        one = Taken(what=what, at=time.time(), **fields)
        self.taken.append(one)
        if self._log:
            self._log.write(msgspec.json.encode(one) + b"\n")

    def routes(self) -> list[web.RouteDef]:
        """What it answers."""
        raise NotImplementedError

    def problem(self, status: int) -> bytes:
        """The body of a failure of its own."""
        raise NotImplementedError

    def hook(self, url: str, secret: str = "") -> None:
        """Send events there, signed with that secret."""
        raise NotImplementedError

    async def pay(self, session: str, outcome: str = "paid") -> None:
        """Let a person pay."""
        raise NotImplementedError

    def key_reused(self) -> Refusal:
        """What it says to a key that was used for something else."""
        raise NotImplementedError

    def key_in_use(self) -> Refusal:
        """What it says to a key whose first request is not finished."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1_048_576)
        app.router.add_routes(self.routes())
        app.router.add_post("/pay/{session}", self._pay)
        app.router.add_route("*", "/_control/{what}", self._control)
        app.router.add_route("*", "/{rest:.*}", self._unknown)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.hooks.close()
        assert self._runner
        await self._runner.cleanup()
        if self._log:
            self._log.close()
        if kind is None and self._strict:
            assert not self.violations, self.violations

    def api(
        self, answer: Callable[[web.Request, bytes], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Make a handler of what answers a request: faults, keys and refusals around it."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self.requests.append((request.method, request.path))
            body = await request.read()
            fault = self.trouble.next(request, known=request.headers.get(self.key_header) in self.keys.kept)
            try:
                if fault is None:
                    return await self._once(request, body, answer)
                return await suffer(fault, request, self.problem(fault.status), lambda: self._once(request, body, answer))
            except Refusal as error:
                return web.json_response(error.body, status=error.status)
            finally:
                key = request.headers.get(self.key_header)
                if fault and fault.stored and key:
                    failed = _Kept(_fingerprint(request, body), self.keys.now(), fault.status, self.problem(fault.status))
                    self.keys.kept[key] = failed

        return handle

    async def _once(
        self, request: web.Request, body: bytes, answer: Callable[[web.Request, bytes], Awaitable[Any]]
    ) -> web.Response:
        """Do it, or repeat what was answered under its key."""
        key = request.headers.get(self.key_header)
        if key is None or request.method != "POST":
            return _json(200, msgspec.json.encode(await answer(request, body)))
        fingerprint = _fingerprint(request, body)
        try:
            found = self.keys.find(key, fingerprint)
        except ValueError:
            self.violations.append(f"the key {key} was used for two different requests")
            raise self.key_reused() from None
        if found is not None:
            if not found.status:
                raise self.key_in_use()
            return _json(found.status, found.body, replayed=True)
        kept = self.keys.kept[key] = _Kept(fingerprint, self.keys.now())
        try:
            made = msgspec.json.encode(await answer(request, body))
        except BaseException:
            self.keys.kept.pop(key, None)
            raise
        kept.status, kept.body = 200, made
        return _json(200, made)

    async def _unknown(self, request: web.Request) -> web.Response:
        self.violations.append(f"{request.method} {request.path}: there is no such address")
        return web.json_response({}, status=404)

    async def _pay(self, request: web.Request) -> web.Response:
        said = await request.json() if request.can_read_body else {}
        try:
            await self.pay(request.match_info["session"], said.get("outcome", "paid"))
        except Refusal as error:
            return web.json_response(error.body, status=error.status)
        return web.json_response({})

    async def _control(self, request: web.Request) -> web.Response:
        """Script and ask from outside."""
        body = await request.read()
        match request.match_info["what"]:
            case "taken":
                return _json(200, msgspec.json.encode(self.taken))
            case "faults":
                self.fault(*msgspec.json.decode(body, type=list[ProviderFault]))
            case "chaos":
                self.trouble.chaos(msgspec.json.decode(body, type=Chaos))
            case "hook":
                said = msgspec.json.decode(body)
                self.hook(said["url"], said.get("secret", ""))
            case "reset":
                self.trouble.faults.clear()
                self.trouble.chaos(Chaos())
        return _json(200, msgspec.json.encode(self.state()))

    def state(self) -> dict[str, Any]:
        """How it stands, in numbers."""
        return {
            "requests": len(self.requests),
            "faults": len(self.trouble.done),
            "deliveries": self.hooks.deliveries,
            "lost": len(self.hooks.lost),
            "refused": len(self.hooks.refused),
            "charges": sum(one.what == "charge" for one in self.taken),
            "refunds": sum(one.what == "refund" for one in self.taken),
            "violations": self.violations,
        }


def _fingerprint(request: web.Request, body: bytes) -> str:
    return hashlib.sha256(f"{request.method} {request.path_qs}\n".encode() + body).hexdigest()


def _json(status: int, body: bytes, *, replayed: bool = False) -> web.Response:
    return web.Response(
        status=status, body=body, content_type="application/json", headers={"Idempotent-Replayed": "true"} if replayed else {}
    )


async def serve(double: ProviderDouble) -> None:
    """Run until stopped, saying where."""
    async with double:
        print(f"ready {double.url}", flush=True)
        await asyncio.Event().wait()


def run(kind: Callable[..., ProviderDouble], about: str) -> None:
    """Run as a process, for tests that kill what is around it: `python -m tests.doubles.stripe --port 9400 --log taken.jsonl`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    chosen = parser.parse_args()
    try:
        asyncio.run(serve(kind(port=chosen.port, log=chosen.log, retry_unit=0.5, strict=False)))
    except KeyboardInterrupt:
        return
