"""`/v1/bots/{bot}/channels` and `/v1/channels`: where bots talk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from botstead.channels.registry import manifests
from botstead.core.errors import EgressError, Invalid
from botstead.core.messages import Health
from botstead.core.ports import Account, ChannelKind
from botstead.operate.channels import PATIENCE
from botstead.store.records import PREVIOUS, Change, ChannelRecord
from botstead.web.auth import needs
from botstead.web.deps import AppDeps, Deps
from botstead.web.paging import USUAL, Before, Internal, Limit, Line, Page, checked, page

TAGS = ["Channels"]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\Z")]
SecretText = Annotated[str, msgspec.Meta(min_length=1, max_length=4_000, pattern=r"^[^\x00]*\Z")]
AnyRequest = Request[Any, Any, Any]


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """A channel. Secrets are write-only. `health` is what it last said of itself."""

    id: str
    bot: str
    kind: str
    name: str
    enabled: bool
    settings: Mapping[str, Any]
    hook_url: str
    health: Mapping[str, Any] | None
    health_at: datetime | None
    created_at: datetime


class ChannelMade(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A channel just created or changed. Generated secrets are shown here and never again.

    Args:
        hook_secret: the secret that deliveries are signed with, when it was generated just now.
        shown_once: every secret that was generated just now, by name.
        install: what the provider said when it was told where to deliver.
    """

    id: str
    channel: ChannelView
    hook_url: str
    install: Health
    hook_secret: str | None = None
    shown_once: Mapping[str, str] = {}


class ChannelCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel to create: its kind says which settings and secrets it needs."""

    kind: Name
    name: Line = ""
    settings: dict[Name, Any] = {}
    secrets: dict[Name, SecretText] = {}


class ChannelChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change. Settings and secrets are merged, null removes one; a removed secret that the kind can generate is.

    A replaced secret is still accepted until it is replaced again.
    """

    name: Line | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    settings: dict[Name, Any] = {}
    secrets: dict[Name, SecretText | None] = {}


def kind_of(deps: AppDeps, kind: str) -> ChannelKind:
    """Return a channel kind.

    Raises:
        Invalid: this version has none by that name.
    """
    if kind not in deps.kinds:
        raise Invalid(f"There is no channel kind {kind}. Known: {', '.join(sorted(deps.kinds))}.")
    return deps.kinds[kind]


def hook_url(deps: AppDeps, request: AnyRequest, public_id: str) -> str:
    """Return where deliveries go: at the public address, or where this request came in when there is none."""
    base = deps.public_url or str(request.base_url)
    return f"{base.rstrip('/')}/hooks/{public_id}"


def view(deps: AppDeps, request: AnyRequest, record: ChannelRecord) -> ChannelView:
    """Build what a caller sees of a channel."""
    return ChannelView(
        id=record.public_id,
        bot=record.bot,
        kind=record.kind,
        name=record.name,
        enabled=record.enabled,
        settings=record.settings,
        hook_url=hook_url(deps, request, record.public_id),
        health=record.health,
        health_at=record.health_at,
        created_at=record.created_at,
    )


async def install(deps: AppDeps, kind: ChannelKind, account: Account) -> Health:
    """Tell the provider where to deliver. Best effort: the channel exists whatever it says."""
    address = f"{deps.public_url.rstrip('/')}/hooks/{account.public_id}" if deps.public_url else ""
    try:
        async with asyncio.timeout(PATIENCE):
            return await kind.install(account, deps.egress, address)
    except (EgressError, TimeoutError) as error:
        return Health(status="failing", detail=str(error) or "The provider did not answer in time. Check its health later.")


async def _made(deps: AppDeps, request: AnyRequest, account: Account, shown_once: Mapping[str, str]) -> ChannelMade:
    installed = await install(deps, kind_of(deps, account.kind), account)
    await deps.registry.set_health(account.public_id, installed)
    deps.wake.publish("directory")
    record = await deps.registry.channel(account.public_id)
    return ChannelMade(
        id=account.public_id,
        channel=view(deps, request, record),
        hook_url=hook_url(deps, request, account.public_id),
        install=installed,
        hook_secret=shown_once.get("hook_secret"),
        shown_once=shown_once,
    )


def _no_previous(names: Mapping[str, Any]) -> None:
    if any(name.endswith(PREVIOUS) for name in names):
        raise Invalid(f"Names that end in {PREVIOUS} are kept by rotation and cannot be given.")


@get("/v1/channels", operation_id="listAllChannels", opt=needs("bots:read"), tags=TAGS, summary="List every channel")
async def list_all(
    deps: Deps, request: AnyRequest, limit: Limit = USUAL, before: Before = None, internal: Internal = False
) -> Page[ChannelView]:
    """Newest first, of all bots."""
    found = await deps.registry.channels(limit=limit + 1, before=before, internal=internal)
    cut = page(found, limit=limit, key=lambda record: record.number)
    return Page(items=[view(deps, request, record) for record in cut.items], next=cut.next)


@get(
    "/v1/bots/{bot:str}/channels", operation_id="listChannels", opt=needs("bots:read"), tags=TAGS, summary="List a bot's channels"
)
async def list_channels(
    deps: Deps, request: AnyRequest, bot: FromPath[str], limit: Limit = USUAL, before: Before = None
) -> Page[ChannelView]:
    """Newest first."""
    record = await deps.registry.bot(checked("bot", bot))
    found = await deps.registry.channels(bot=record.name, limit=limit + 1, before=before)
    cut = page(found, limit=limit, key=lambda channel: channel.number)
    return Page(items=[view(deps, request, channel) for channel in cut.items], next=cut.next)


@post(
    "/v1/bots/{bot:str}/channels",
    operation_id="createChannel",
    opt=needs("bots:write"),
    tags=TAGS,
    summary="Install a bot on a channel",
)
async def create_channel(deps: Deps, request: AnyRequest, bot: FromPath[str], data: JSONBody[ChannelCreate]) -> ChannelMade:
    """Checks what was given, keeps it, and tells the provider where to deliver."""
    record = await deps.registry.bot(checked("bot", bot))
    _no_previous(data.secrets)
    prepared = kind_of(deps, data.kind).prepare(_reachable(deps, data), data.secrets)
    account = await deps.registry.create_channel(record.name, kind=data.kind, name=data.name, prepared=prepared)
    return await _made(deps, request, account, prepared.shown_once)


def _reachable(deps: AppDeps, data: ChannelCreate) -> dict[str, Any]:
    """Return the settings; where no provider can reach this machine, a network that can be polled is polled."""
    manifest = manifests().get(data.kind)
    fetched = {} if deps.public_url or manifest is None or "mode" not in manifest.settings else {"mode": "poll"}
    return {**fetched, **data.settings}


@get("/v1/channels/{channel:str}", operation_id="getChannel", opt=needs("bots:read"), tags=TAGS, summary="Show a channel")
async def get_channel(deps: Deps, request: AnyRequest, channel: FromPath[str]) -> ChannelView:
    """One channel by its id."""
    return view(deps, request, await deps.registry.channel(checked("channel", channel)))


@patch("/v1/channels/{channel:str}", operation_id="changeChannel", opt=needs("bots:write"), tags=TAGS, summary="Change a channel")
async def change_channel(deps: Deps, request: AnyRequest, channel: FromPath[str], data: JSONBody[ChannelChange]) -> ChannelMade:
    """Rename, disable, change settings, rotate secrets; then the provider is told again where to deliver."""
    record = await deps.registry.channel(checked("channel", channel))
    _no_previous(data.secrets)
    change = Change(
        name=None if data.name is UNSET else data.name,
        enabled=None if data.enabled is UNSET else data.enabled,
        settings=data.settings,
        secrets=data.secrets,
    )
    check = kind_of(deps, record.kind).prepare
    account, shown_once = await deps.registry.change_channel(record.public_id, change, check=check)
    return await _made(deps, request, account, shown_once)


@delete(
    "/v1/channels/{channel:str}", operation_id="deleteChannel", opt=needs("bots:write"), tags=TAGS, summary="Delete a channel"
)
async def delete_channel(deps: Deps, channel: FromPath[str]) -> None:
    """Deliveries are refused from now on and the secrets are gone; history keeps naming it."""
    await deps.registry.delete_channel(checked("channel", channel))
    deps.wake.publish("directory")


@get(
    "/v1/channels/{channel:str}/health",
    operation_id="channelHealth",
    opt=needs("bots:read"),
    tags=TAGS,
    summary="Ask the provider how a channel is",
)
async def channel_health(deps: Deps, channel: FromPath[str]) -> Health:
    """Asks now, and keeps the answer for lists."""
    account = await deps.registry.account(checked("channel", channel))
    try:
        async with asyncio.timeout(PATIENCE):
            found = await kind_of(deps, account.kind).health(account, deps.egress)
    except (EgressError, TimeoutError) as error:
        found = Health(status="failing", detail=str(error) or "The provider did not answer in time.")
    await deps.registry.set_health(account.public_id, found)
    return found


ROUTES = (list_all, list_channels, create_channel, get_channel, change_channel, delete_channel, channel_health)
