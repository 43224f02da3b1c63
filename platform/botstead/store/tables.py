"""Piccolo's view of the tables that people administer. The schema itself is in `migrations/`; a test compares both.

Use these inside `Postgres.unit()` or `Postgres.connection()` only: the engine has no connection of its own.
"""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Bytea, ForeignKey, Integer, SmallInt, Text, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.table import Table

from botstead.store.engine import ENGINE


class Bot(Table, tablename="bot", db=ENGINE):
    """A bot: a Python folder found at start, or a program that speaks HTTP."""

    id = Integer(primary_key=True, required=True, default=None)
    name = Text(unique=True, required=True)
    kind = Text(required=True)
    settings = JSONB(default="{}")
    secrets = Bytea(null=True, default=None, secret=True)
    enabled = Boolean(default=True)
    problem = Text(null=True, default=None)
    internal = Boolean(default=False)
    deleted_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz()


class Channel(Table, tablename="channel", db=ENGINE):
    """A bot's installation on one chat network."""

    id = Integer(primary_key=True, required=True, default=None)
    public_id = Text(unique=True, required=True)
    bot = ForeignKey(Bot, null=False, on_delete=OnDelete.no_action, on_update=OnUpdate.no_action)
    kind = Text(required=True)
    name = Text(default="")
    settings = JSONB(default="{}")
    secrets = Bytea(null=True, default=None, secret=True)
    enabled = Boolean(default=True)
    deleted_at = Timestamptz(null=True, default=None)
    health = JSONB(null=True, default=None)
    health_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz()


class ApiKey(Table, tablename="api_key", db=ENGINE):
    """A key for programs and for the command line; only a digest of its secret is kept."""

    id = Text(primary_key=True, required=True, default=None)
    name = Text(default="")
    digest = Bytea(required=True, secret=True)
    scopes = Array(base_column=Text())
    created_at = Timestamptz()
    expires_at = Timestamptz(null=True, default=None)
    last_used_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)


class DeadLetter(Table, tablename="dead_letter", db=ENGINE):
    """A message that could not be handled or sent, kept until it is replayed."""

    id = BigInt(primary_key=True, required=True, default=None)
    direction = SmallInt(required=True)
    bot = Integer(required=True)
    channel = Integer(required=True)
    conversation = Text(required=True)
    reason = Text(required=True)
    error = Text(null=True, default=None)
    attempts = SmallInt(default=0)
    trace = UUID(null=True, default=None)
    at = Timestamptz()
    replayed_at = Timestamptz(null=True, default=None)


TABLES: tuple[type[Table], ...] = (Bot, Channel, ApiKey, DeadLetter)
"""Every table that Piccolo knows."""
