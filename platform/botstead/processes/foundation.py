"""What every process of ours stands on: settings, database, key ring, cache, hints, directory, the way out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from botstead.channels.registry import kinds
from botstead.core.errors import ConfigurationError
from botstead.core.ports import Cache
from botstead.core.settings import Settings
from botstead.pipeline.directory import Directory
from botstead.processes import environment
from botstead.runtime import keyring
from botstead.runtime.egress import EgressClient, RecordedEgress
from botstead.runtime.keyring import KeyRing
from botstead.runtime.outside import Outside
from botstead.runtime.sealing import Sealer
from botstead.runtime.tasks import Tasks
from botstead.store import migrate
from botstead.store.bot_secrets import SecretRows
from botstead.store.keys import Keys
from botstead.store.postgres import Postgres
from botstead.store.registry import Registry
from botstead.store.valkey import MemoryCache, MemoryWake, ValkeyBuckets, ValkeyCache, ValkeyWake
from botstead.telemetry.catalog import METRICS

NO_VALKEY = "none"
ADMIN_KEY = "admin.key"
KEY_RING = "keys.json"
SAMPLES = Path(__file__).parent.parent / "samples"
"""The folder of the bots that are shipped."""


def read_settings(*, instance: str = "") -> Settings:
    """Read this process's settings: `botstead.toml`, then its environment, then the command line.

    Args:
        instance: from the command line; wins when it is not empty.

    Raises:
        ConfigurationError: a setting is wrong; the message names it.
    """
    return environment.effective(environment.variables(), instance=instance or None)


def key_ring_path(settings: Settings) -> Path:
    """Return where the key ring is."""
    return settings.key_ring or settings.data / KEY_RING


def bot_folders(settings: Settings) -> list[Path]:
    """Return the folders that bots are looked for in: the shipped samples, then the operator's."""
    own = settings.bots or (settings.data / "bots",)
    return [*([SAMPLES] if settings.samples else []), *own]


def required_postgres(settings: Settings) -> str:
    """Return the DSN.

    Raises:
        ConfigurationError: there is none.
    """
    if not settings.postgres:
        raise ConfigurationError("There is no database: set BOTSTEAD_POSTGRES, or start everything with `botstead up`.")
    return settings.postgres


class Foundation:
    """Opens everything in order and closes it in reverse. Use as an asynchronous context manager."""

    postgres: Postgres
    ring: KeyRing
    registry: Registry
    secrets: SecretRows
    keys: Keys
    cache: Cache
    wake: MemoryWake
    buckets: ValkeyBuckets | None
    directory: Directory
    egress: EgressClient
    outside: Outside

    def __init__(self, settings: Settings, tasks: Tasks) -> None:
        """Prepare.

        Args:
            settings: of this process.
            tasks: owner of the loops that keep things fresh.
        """
        self.settings = settings
        self.tasks = tasks
        self._stack = AsyncExitStack()
        self.workers: Callable[[], int] = lambda: 1
        """How many share the rates of services while nobody counts for all of them; a worker process says it."""

    async def __aenter__(self) -> Self:
        """Open everything.

        Raises:
            ConfigurationError: something is wrong that a restart does not mend.
            Unavailable: the database is away.
        """
        settings = self.settings
        dsn = required_postgres(settings)
        self.ring = keyring.load(key_ring_path(settings))
        self.postgres = await Postgres.open(dsn, application=settings.instance)
        self._stack.push_async_callback(self.postgres.close)
        async with self.postgres.connection() as connection:
            await migrate.check(connection)
        sealer = Sealer(self.ring)
        self.registry = Registry(self.postgres, sealer)
        self.secrets = SecretRows(self.postgres, sealer)
        self.keys = Keys(self.postgres, self.ring.pepper)
        self._open_valkey()
        for kind in kinds():
            METRICS.register("channel", kind)
        self.directory = Directory(self.registry, self.wake)
        await self.directory.refresh()
        self.tasks.start("directory", self.directory.run())
        self.egress = EgressClient(allow=settings.egress_allow)
        self._stack.push_async_callback(self.egress.close)
        self.outside = Outside(
            RecordedEgress(self.egress),
            self.cache,
            reserve=self.buckets.reserve if self.buckets is not None else None,
            workers=lambda: self.workers(),  # noqa: PLW0108  asked each time: a worker names its own later
        )
        self._stack.push_async_callback(self.outside.close)
        return self

    def _open_valkey(self) -> None:
        url = self.settings.valkey
        if not url or url == NO_VALKEY:
            self.cache, self.wake, self.buckets = MemoryCache(), MemoryWake(), None
            return
        cache, wake = ValkeyCache(url), ValkeyWake(url)
        self._stack.push_async_callback(cache.close)
        self._stack.push_async_callback(wake.close)
        self.tasks.start("wake", wake.run())
        self.cache, self.wake, self.buckets = cache, wake, ValkeyBuckets(url)
        self._stack.push_async_callback(self.buckets.close)

    async def __aexit__(self, *_: object) -> None:
        """Close everything in reverse."""
        await self._stack.aclose()
