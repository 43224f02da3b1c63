"""Calls to one declared service: who asks, how often, what is kept of the answers."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from botstead.core import bodies
from botstead.core.clock import Clock, SystemClock
from botstead.core.declared import Auth, RestDeclared, needed
from botstead.core.errors import BotsteadError, EgressResting
from botstead.core.messages import Call, Response
from botstead.core.ports import BotSecrets
from botstead.core.secret import Secret, repeats
from botstead.integrations.rest.auth import Proof, proof
from botstead.integrations.rest.errors import RestInvalid
from botstead.integrations.rest.models import Held
from botstead.integrations.rest.tokens import Tokens
from botstead.runtime.outside import Keeping, Outside, Policy, Service

UNCHANGED_KEPT: Final = 86_400.0
"""Seconds that an answer with an ETag is kept, to ask whether it has changed."""
_LARGEST: Final = 180_000
"""Bytes of a body that is kept."""
_UNAUTHORIZED: Final = 401
_NOT_MODIFIED: Final = 304
_TOO_MANY: Final = 429


class _Failed(BotsteadError):
    """An answer that says that the service failed, on its way around the cache."""

    expected = True

    def __init__(self, response: Response) -> None:
        super().__init__("The service failed.")
        self.response = response


class RestService:
    """One declared service of one bot."""

    def __init__(self, declared: RestDeclared, *, secrets: BotSecrets, outside: Outside, clock: Clock | None = None) -> None:
        """Build it; `processes/` does.

        Args:
            declared: `[rest.NAME]` of `bot.toml`.
            secrets: has what it asks for.
            outside: calls services.
            clock: says when a token ends.
        """
        self.declared = declared
        self._secrets = secrets
        self._outside = outside
        self._host = urlsplit(declared.base).netloc
        self._tokens = Tokens(declared, clock or SystemClock())
        self._policy = Policy(tries=declared.tries, longest_try=declared.timeout)

    async def call(self, bot: str, call: Call, *, seconds: float, repeatable: bool | None) -> Response:
        """Make a call as the bot.

        Args:
            bot: the bot's name.
            call: without anything that says who asks.
            seconds: all of it.
            repeatable: see `Service.ask`.

        Raises:
            SecretMissing: the secret is not set.
            RestInvalid: a header is not for callers to set.
            EgressError: no answer came.
        """
        return (await self._asked(bot, call, seconds=seconds, repeatable=repeatable))[0]

    async def _asked(
        self, bot: str, call: Call, *, seconds: float, repeatable: bool | None
    ) -> tuple[Response, Collection[Secret]]:
        """Make a call; returns the secrets that it was made with, too."""
        self._check(call.headers)
        service, over = self._service(bot), time.monotonic() + seconds
        for last in (False, True):
            known, token = await self._proof(bot, service, call.body or b"", over)
            url = call.url + (f"{'&' if '?' in call.url else '?'}{known.query}" if known.query else "")
            made = msgspec.structs.replace(call, url=url, headers={**call.headers, **known.headers})
            left = over - time.monotonic()
            response = await service.ask(made, known.secrets, seconds=left, repeatable=repeatable, at=self._host)
            if last or token is None or response.status != _UNAUTHORIZED:
                break
            self._tokens.drop(token)  # it was refused before anything was done, so this can be repeated
        return response, known.secrets.values()

    async def kept(self, bot: str, call: Call, *, fresh: float, seconds: float) -> Response:
        """Make a GET as the bot, or tell what the service said a while ago.

        Args:
            bot: the bot's name.
            call: as for `call`.
            fresh: seconds that an answer is told without asking.
            seconds: all of it.

        Raises:
            EgressError: no answer came, and nothing is kept.
        """
        over, service, key = time.monotonic() + seconds, self._service(bot), f"{bot} {call.url}"
        keeping = Keeping(fresh=fresh, meanwhile=self.declared.stale)
        unkept: list[Response] = []
        try:
            found = await service.cached(
                key, lambda: self._fetched(bot, call, key, unkept), kind=Held, keeping=keeping, private=True, seconds=seconds
            )
        except _Failed as failed:
            return failed.response
        if found.value is not None:
            return found.value.response()
        if unkept:
            return unkept[0]
        return await self.call(bot, call, seconds=over - time.monotonic(), repeatable=True)  # somebody else's question got it

    async def _fetched(self, bot: str, call: Call, key: str, unkept: list[Response]) -> Held | None:
        """Ask, with the name of the version that is known; what has not changed is not sent again (RFC 9110, 13.1.2).

        Returns None for an answer that is not kept, such as 404, which is no fault of the service; it is in `unkept` then.
        """
        name = f"rest:{self.declared.name}:{key}"
        held = bodies.read(await self._outside.cache.get(name) or b"", Held)
        headers = {**call.headers, **({"if-none-match": held.etag} if held is not None else {})}
        asked = msgspec.structs.replace(call, headers=headers)
        response, secrets = await self._asked(bot, asked, seconds=self.declared.timeout, repeatable=True)
        if response.status == _NOT_MODIFIED and held is not None:
            return held
        if response.status >= 500:
            raise _Failed(response)
        if response.status == _TOO_MANY:
            raise _Failed(response) from EgressResting()
        if not _is_kept(response) or self._is_repeated(bot, response, secrets):
            unkept.append(response)
            return None
        fresh = Held(etag=response.headers.get("etag", ""), headers=response.headers, body=response.body)
        if fresh.etag:
            await self._outside.cache.set(name, msgspec.json.encode(fresh), UNCHANGED_KEPT)
        return fresh

    def _is_repeated(self, bot: str, response: Response, secrets: Collection[Secret]) -> bool:
        """Whether an answer tells the secret that it was asked with: then it must not lie in the cache."""
        own = [self._secret(bot)] if self.declared.auth is not Auth.NONE else []
        return repeats("\n".join(response.headers.values()).encode() + response.body, [*own, *secrets])

    async def _proof(self, bot: str, service: Service, body: bytes, over: float) -> tuple[Proof, Secret | None]:
        declared = self.declared
        if declared.auth is Auth.NONE:
            return Proof(), None
        if declared.auth is not Auth.OAUTH2:
            return proof(declared, self._secret(bot), body), None
        token = await self._tokens.get(service, lambda: self._secret(bot), seconds=over - time.monotonic())
        return proof(declared, token, body), token

    def _secret(self, bot: str) -> Secret:
        return needed(self._secrets.of(bot), self.declared.secret, bot=bot)

    def _service(self, bot: str) -> Service:
        """Return the service; bots that declare the same name in other words have one each."""
        service = self._outside.service(f"rest-{self.declared.name}", self._policy)
        if service.policy == self._policy:
            return service
        return self._outside.service(f"rest-{self.declared.name}-{bot}", self._policy)

    def _check(self, headers: Mapping[str, str]) -> None:
        ours = {"authorization", self.declared.header.lower()} if self.declared.auth is not Auth.NONE else set()
        for name, value in headers.items():
            if name.lower() in ours:
                raise RestInvalid(f"The header {name} says who asks; it is set by auth in [rest.{self.declared.name}].")
            if "{secret:" in value:
                raise RestInvalid(f"The header {name} holds a placeholder. Name the secret in [rest.{self.declared.name}].")


def _is_kept(response: Response) -> bool:
    """Whether an answer may be told again."""
    free = "no-store" not in response.headers.get("cache-control", "").lower()
    return response.status == 200 and free and len(response.body) <= _LARGEST
