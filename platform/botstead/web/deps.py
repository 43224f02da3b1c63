"""What the API is built from, joined in `processes/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.types import ControllerRouterHandler, Middleware

from botstead.core.messages import Event
from botstead.core.ports import Account, ChannelKind, Egress, Wake
from botstead.operate.objectives.standing import Standings
from botstead.operate.report import Reports
from botstead.store.bot_secrets import SecretRows
from botstead.store.history import History
from botstead.store.keys import Keys
from botstead.store.letters import Letters
from botstead.store.payments import Ledger
from botstead.store.registry import Registry
from botstead.web.health import Probes

AcceptOne = Callable[[Account, Event], Awaitable[int]]
"""Keeps one event durably and returns its message id, that of the first one when its key was kept before."""


@dataclass(frozen=True, kw_only=True)
class AppDeps:
    """Everything that the routes use.

    Args:
        registry: bots and channels.
        secrets: what bots call services with.
        keys: API keys.
        history: what was said.
        letters: what failed.
        ledger: payments.
        standings: how promises stand.
        reports: how bots do.
        kinds: channel kinds by name.
        egress: the way out, to ask providers how a channel is.
        probes: health.
        wake: hints to other processes; topics `directory` and `inbox` here.
        accept_one: the door to the inbox.
        public_url: the address that providers reach, without a slash at its end, or "".
        body_limit: the largest request body, in bytes.
        public: route handlers for strangers (the chat page).
        extra: route handlers that declare their scope themselves.
        middleware: around every request, outermost first.
    """

    registry: Registry
    secrets: SecretRows
    keys: Keys
    history: History
    letters: Letters
    ledger: Ledger
    standings: Standings
    reports: Reports
    kinds: Mapping[str, ChannelKind]
    egress: Egress
    probes: Probes
    wake: Wake
    accept_one: AcceptOne
    public_url: str = ""
    body_limit: int = 1_048_576
    public: Sequence[ControllerRouterHandler] = ()
    extra: Sequence[ControllerRouterHandler] = ()
    middleware: Sequence[Middleware] = ()


Deps: TypeAlias = NamedDependency[SkipValidation[AppDeps]]
"""How a route asks for them: a parameter `deps: Deps`."""
