"""`/v1/bots`: Python bots are found at start; bots that speak HTTP are created here."""

from __future__ import annotations

import base64
import secrets as randomness
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from botstead.core.errors import Invalid
from botstead.core.ports import Prepared
from botstead.operate.report import BotReport
from botstead.store.records import BotRecord, Change
from botstead.web.auth import needs
from botstead.web.deps import Deps
from botstead.web.paging import USUAL, Before, BotName, Internal, Limit, Page, checked, page

HTTP: Literal["http"] = "http"
SECRET = "secret"  # noqa: S105  # the name of a secret, not one
URL_LIMIT = 2_000
Url = Annotated[str, msgspec.Meta(max_length=URL_LIMIT, pattern=r"^https?://[^\s\x00-\x1f]+\Z")]
SigningSecret = Annotated[str, msgspec.Meta(min_length=16, max_length=200, pattern=r"^[!-~]+\Z")]
Hours = Annotated[int, QueryParameter(ge=1, le=720, description="How far back, in hours.")]
TAGS = ["Bots"]


class BotView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bot. `problem` says why it cannot run, or what it lacks; `secret` is there once only, when it was generated just now."""

    name: str
    kind: str
    enabled: bool
    problem: str | None
    url: str | None
    created_at: datetime
    secret: str | None = None


class BotCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bot that speaks HTTP. Events are POSTed to `url`, signed with `secret` (Standard Webhooks); generated when absent."""

    name: BotName
    url: Url
    kind: Literal["http"] = HTTP
    secret: SigningSecret | None = None


class BotChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change. A new `secret` replaces the old one, which still signs too; null generates one."""

    enabled: bool | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    secret: SigningSecret | UnsetType | None = UNSET


def new_secret() -> str:
    """Generate a signing secret as Standard Webhooks writes them (https://www.standardwebhooks.com/, `whsec_` and base64)."""
    return "whsec_" + base64.b64encode(randomness.token_bytes(32)).decode()


def view(bot: BotRecord, secret: str | None = None) -> BotView:
    """Build what a caller sees of a bot."""
    return BotView(
        name=bot.name,
        kind=bot.kind,
        enabled=bot.enabled,
        problem=bot.problem,
        url=bot.settings.get("url"),
        created_at=bot.created_at,
        secret=secret,
    )


def prepare(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
    """Check an HTTP bot and generate the secret that it lacks.

    Raises:
        Invalid: the URL names no host, or carries a password.
    """
    try:
        parts = urlsplit(str(settings.get("url", "")))
        usable = bool(parts.hostname) and parts.username is None and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise Invalid("The url must name a host and carry no user or password: https://bot.example.org/events.")
    if SECRET in secrets:
        return Prepared(settings=settings, secrets=secrets)
    made = {SECRET: new_secret()}
    return Prepared(settings=settings, secrets={**secrets, **made}, shown_once=made)


@get("/v1/bots", operation_id="listBots", opt=needs("bots:read"), tags=TAGS, summary="List bots")
async def list_bots(deps: Deps, limit: Limit = USUAL, before: Before = None, internal: Internal = False) -> Page[BotView]:
    """Newest first, with the reason where one cannot run."""
    bots = await deps.registry.bots(limit=limit + 1, before=before, internal=internal)
    cut = page(bots, limit=limit, key=lambda bot: bot.id)
    return Page(items=[view(bot) for bot in cut.items], next=cut.next)


@post("/v1/bots", operation_id="createBot", opt=needs("bots:write"), tags=TAGS, summary="Create a bot that speaks HTTP")
async def create_bot(deps: Deps, data: JSONBody[BotCreate]) -> BotView:
    """It gets a web chat at once. Under the name of a deleted bot, that one comes back with its history."""
    given = {} if data.secret is None else {SECRET: data.secret}
    prepared = prepare({"url": data.url}, given)
    bot = await deps.registry.create_bot(data.name, kind=data.kind, settings=prepared.settings, secrets=prepared.secrets)
    await deps.registry.ensure_webchat(bot.name)
    deps.wake.publish("directory")
    return view(bot, prepared.shown_once.get(SECRET))


@get("/v1/bots/{bot:str}", operation_id="getBot", opt=needs("bots:read"), tags=TAGS, summary="Show a bot")
async def get_bot(deps: Deps, bot: FromPath[str]) -> BotView:
    """One bot by its name."""
    return view(await deps.registry.bot(checked("bot", bot)))


@patch("/v1/bots/{bot:str}", operation_id="changeBot", opt=needs("bots:write"), tags=TAGS, summary="Change a bot")
async def change_bot(deps: Deps, bot: FromPath[str], data: JSONBody[BotChange]) -> BotView:
    """Any bot can be disabled and enabled; url and secret belong to bots that speak HTTP."""
    record = await deps.registry.bot(checked("bot", bot))
    if record.kind != HTTP and (data.url is not UNSET or data.secret is not UNSET):
        raise Invalid("Only a bot that speaks HTTP has a url and a secret. Edit this bot's folder instead.")
    change = Change(
        enabled=None if data.enabled is UNSET else data.enabled,
        settings={} if data.url is UNSET else {"url": data.url},
        secrets={} if data.secret is UNSET else {SECRET: data.secret},
    )
    changed, shown = await deps.registry.change_bot(bot, change, check=prepare if record.kind == HTTP else None)
    deps.wake.publish("directory")
    return view(changed, shown.get(SECRET))


@delete("/v1/bots/{bot:str}", operation_id="deleteBot", opt=needs("bots:write"), tags=TAGS, summary="Delete a bot")
async def delete_bot(deps: Deps, bot: FromPath[str]) -> None:
    """Its channels go too; history keeps naming it. A Python bot comes back at the next start while its folder is there."""
    await deps.registry.delete_bot(checked("bot", bot))
    deps.wake.publish("directory")


@get("/v1/bots/{bot:str}/report", operation_id="reportBot", opt=needs("objectives:read"), tags=TAGS, summary="How a bot does")
async def report_bot(deps: Deps, bot: FromPath[str], hours: Hours = 24) -> BotReport:
    """How fast it answers and where the time goes, what was late, failed or not understood, and what is left of its budget."""
    return await deps.reports.of(await deps.registry.bot(checked("bot", bot)), hours=hours)


ROUTES = (list_bots, create_bot, get_bot, change_bot, delete_bot, report_bot)
