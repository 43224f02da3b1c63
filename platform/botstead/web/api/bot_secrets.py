"""`/v1/bots/{bot}/secrets`: what a bot calls services with. Values go in and never come out."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from litestar import delete, get, put
from litestar.params import FromPath, JSONBody

from botstead.core.errors import Invalid
from botstead.store.bot_secrets import SecretRecord
from botstead.web.auth import needs
from botstead.web.deps import Deps
from botstead.web.paging import checked

TAGS = ["Bots"]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
Value = Annotated[str, msgspec.Meta(min_length=1, max_length=8_000, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class SecretGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secret itself: one line without control characters, since it goes into headers."""

    value: Value


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Names of a bot's secrets, and when each was set."""

    items: tuple[SecretRecord, ...]


def _named(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise Invalid("A secret's name has small letters, digits and underscores, and begins with a letter.")
    return name


@get("/v1/bots/{bot:str}/secrets", operation_id="listSecrets", opt=needs("bots:read"), tags=TAGS, summary="List a bot's secrets")
async def list_secrets(deps: Deps, bot: FromPath[str]) -> Secrets:
    """Names and times only."""
    return Secrets(items=await deps.secrets.list(checked("bot", bot)))


@put(
    "/v1/bots/{bot:str}/secrets/{name:str}", operation_id="setSecret", opt=needs("bots:write"), tags=TAGS, summary="Set a secret"
)
async def set_secret(deps: Deps, bot: FromPath[str], name: FromPath[str], data: JSONBody[SecretGiven]) -> SecretRecord:
    """New, or instead of the one before; the next call of the bot uses it."""
    record = await deps.secrets.set(checked("bot", bot), _named(name), data.value)
    deps.wake.publish("directory")
    return record


@delete(
    "/v1/bots/{bot:str}/secrets/{name:str}",
    operation_id="deleteSecret",
    opt=needs("bots:write"),
    tags=TAGS,
    summary="Delete a secret",
)
async def delete_secret(deps: Deps, bot: FromPath[str], name: FromPath[str]) -> None:
    """What the bot calls with it fails from now on."""
    await deps.secrets.delete(checked("bot", bot), _named(name))
    deps.wake.publish("directory")


ROUTES = (list_secrets, set_secret, delete_secret)
