"""An installation to be hurt: Postgres, Valkey, processes of each role, perhaps an edge, and a provider that remembers.

Everything is a child of this process and ends with it; everything is in the experiment's folder. What ends without having been
asked to is started again under its name, as a supervisor does.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from botstead.processes.embedded import edge as embedded_edge
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import free_ports
from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import JSON
from botstead.processes.prove.judge import CHAIN, unanswered
from botstead.processes.prove.meanwhile import meanwhile
from botstead.processes.prove.rawhttp import request
from botstead.processes.prove.replies import Provider
from botstead.processes.prove.servers import PostgresServer, ValkeyServer
from botstead.processes.prove.slot import Slot

if TYPE_CHECKING:
    from botstead.processes.prove.load import Load
    from botstead.processes.prove.stage import Stage

LEASE = 3.0
"""Seconds that a process may be silent before others take its work, in an experiment that says nothing else."""
DEFAULTS = {"samples": "no", "lease_seconds": f"{LEASE:g}", "drain_seconds": "0.5"}
TEND_SECONDS = 0.05
POLL_SECONDS = 0.03
BODY_LIMIT = 1_048_576


class Hook(msgspec.Struct, frozen=True):
    """Where the provider delivers for one bot.

    Args:
        bot: its name.
        path: of the hook.
        secret: that each delivery carries.
        token: of the bot at the provider.
    """

    bot: str
    path: str
    secret: str
    token: str


class Installation:
    """One that runs. Use `installation()`."""

    def __init__(self, stage: Stage, *, settings: Mapping[str, str], wrap: Mapping[str, Sequence[str]]) -> None:
        """Prepare; nothing runs yet.

        Args:
            stage: where it is played.
            settings: name, without prefix, to text.
            wrap: command words by name or role.
        """
        self.stage = stage
        self.note = stage.note
        self.folder = stage.folder
        self.wrap = wrap
        self.slots: dict[str, Slot] = {}
        self.edge: Slot | None = None
        self.hooks: list[Hook] = []
        self.postgres: PostgresServer
        self.valkey: ValkeyServer
        self._given = settings
        self._client = Client()
        for name in ("data", "bots", "logs"):
            (self.folder / name).mkdir()
        port = free_ports(1)[0]
        self.provider = Provider(port, self.folder / "logs" / "provider.jsonl")
        command = (sys.executable, "-m", "botstead.processes.prove.provider", str(port), str(self.provider.log))
        self.provider_slot = self.held("provider", "provider", command, said="provider_ready", port=port)

    def held(self, role: str, name: str, command: tuple[str, ...], **more: Any) -> Slot:
        """Return a slot for a program of ours; it is not started.

        Args:
            role: api, worker, …
            name: stable name.
            command: the program and its arguments.
            more: for `Slot`, and `environment`.
        """
        environment = more.pop("environment", {"PATH": os.defpath})
        program = Program(role=role, instance=name, command=command, environment=environment, folder=self.folder)
        return Slot(program, log=self.log(name), wrap=self.wrapped(name, role), **more)

    def log(self, name: str) -> Path:
        """Return the file for a process's output.

        Args:
            name: of the process.
        """
        return self.folder / "logs" / f"{name}.log"

    def wrapped(self, name: str, role: str) -> Sequence[str]:
        """Return the command words put in front of a process.

        Args:
            name: of the process.
            role: of the process.
        """
        return self.wrap.get(name) or self.wrap.get(role) or ()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of our processes.

        Args:
            more: settings, name without prefix to text. The provider is listed besides what `egress_allow` says.
        """
        settings = {
            **DEFAULTS,
            "data": str(self.folder / "data"),
            "postgres": self.postgres.dsn,
            "valkey": self.valkey.url,
            "bots": str(self.folder / "bots"),
            **self._given,
            **more,
        }
        given = settings.get("egress_allow")
        settings["egress_allow"] = ",".join([f"127.0.0.1:{self.provider.port}", *([given] if given else [])])
        return {"PATH": os.defpath, **{f"BOTSTEAD_{name.upper()}": text for name, text in settings.items()}}

    def add(self, role: str, name: str, **settings: str) -> Slot:
        """Return a new process of a role, not started; it is tended from then on.

        Args:
            role: api, worker or scheduler.
            name: stable name.
            settings: of this process only.
        """
        port, metrics = free_ports(2)
        environment = self.environment(api_port=str(port), metrics_port=str(metrics), **settings)
        command = (sys.executable, "-m", "botstead", "run", role, "--instance", name)
        self.slots[name] = self.held(
            role, name, command, environment=environment, port=port, metrics_port=metrics, said='"process_ready"'
        )
        return self.slots[name]

    def of(self, role: str) -> list[Slot]:
        """Return the processes of a role, by name.

        Args:
            role: api, worker or scheduler.
        """
        return [slot for slot in self.slots.values() if slot.role == role]

    def ports(self) -> list[int]:
        """Return the ports of the API processes."""
        return [slot.port for slot in self.of("api")]

    @property
    def edge_port(self) -> int:
        """Port of the edge."""
        assert self.edge is not None, "this installation has no edge"
        return self.edge.port

    def everything(self) -> list[Slot]:
        """Return every process, those that others stand on last."""
        edge = [self.edge] if self.edge else []
        servers = [each for name in ("valkey", "postgres") if (each := getattr(self, name, None))]
        return [*edge, *self.slots.values(), self.provider_slot, *servers]

    async def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask the API as an administrator, straight at the first living API process.

        Args:
            method: of HTTP.
            path: such as "/v1/bots".
            body: sent as JSON, unless None.

        Returns:
            Status and decoded body.

        Raises:
            OSError: it cannot be reached.
            TimeoutError: no answer within 20 seconds.
        """
        key = (self.folder / "data" / "admin.key").read_text().strip()
        content = b"" if body is None else msgspec.json.encode(body)
        port = next(slot.port for slot in self.of("api") if slot.alive)
        asked = request(method, path, headers=[JSON, ("Authorization", f"Bearer {key}")], body=content)
        status, found = await self._client.ask(port, asked, seconds=20.0)
        return status, msgspec.json.decode(found) if found else None

    async def until(self, condition: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
        """Wait until a cheap condition holds.

        Args:
            condition: asked each 30 ms.
            what: in words, for the error.
            seconds: how long at most.

        Raises:
            TimeoutError: it did not hold in time.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                story = "\n".join(f"{moment.at:7.2f} s  {moment.what}" for moment in self.stage.moments)
                raise TimeoutError(f"{what}: not within {seconds:g} s\n{story}")
            await asyncio.sleep(POLL_SECONDS)

    async def settle(self, load: Load, *, seconds: float = 30.0) -> None:
        """Wait until everything acknowledged is answered at the provider, or too long; the judge says what is missing.

        Args:
            load: that was delivered.
            seconds: how long at most.
        """
        deadline = time.monotonic() + seconds
        while (missing := unanswered(load.acked, self.provider.sent())) and time.monotonic() < deadline:  # other processes
            self.stage.sample(acknowledged=load.count, replied=self.provider.count)
            await asyncio.sleep(0.2)
        self.stage.sample(acknowledged=load.count, replied=self.provider.count)
        self.note(f"{missing} of {load.count} unanswered" if missing else f"all {load.count} answered")

    async def tend(self) -> None:
        """Start again what ended without being asked to, until cancelled."""
        while True:
            for slot in [*self.slots.values(), *([self.edge] if self.edge else [])]:
                if slot.wanted and not slot.alive:
                    self.note(f"start {slot.name} again (it ended with {slot.status})", kind="recovery")
                    slot.start()
            await asyncio.sleep(TEND_SECONDS)

    async def connect(self, bot: str) -> None:
        """Give a bot a channel at the provider.

        Args:
            bot: its name.

        Raises:
            RuntimeError: the API refuses.
        """
        number = len(self.hooks) + 1_000_001
        token, secret = f"{number}:{secrets.token_hex(18)[:35]}", secrets.token_hex(20)
        channel = {
            "kind": "telegram",
            "settings": {"api_base": self.provider.base_url},
            "secrets": {"token": token, "hook_secret": secret},
        }
        status, made = await self.api("POST", f"/v1/bots/{bot}/channels", channel)
        if status != 201:
            raise RuntimeError(f"no channel for {bot}: {status} {made}")
        self.hooks.append(Hook(bot, f"/hooks/{made['id']}", secret, token))

    async def migrate(self) -> None:
        """Bring the database to our schema.

        Raises:
            RuntimeError: it cannot be.
        """
        slot = self.held("migrate", "migrate", (sys.executable, "-m", "botstead", "migrate"), environment=self.environment())
        slot.start()
        await self.until(lambda: not slot.alive, "migrated", seconds=60)
        if slot.status:
            raise RuntimeError(f"migrate ended with {slot.status}: {slot.output()[-500:].decode(errors='replace')}")

    def end(self) -> None:
        """End every process that is ours."""
        for slot in self.everything():
            slot.wanted = False
            slot.kill()
        self._client.close()


@asynccontextmanager
async def installation(  # noqa: PLR0913  # each has a default, and a name at the call
    stage: Stage,
    *,
    api: int = 1,
    worker: int = 1,
    scheduler: int = 0,
    edge: bool = False,
    settings: Mapping[str, str] | None = None,
    bots: Mapping[str, str] | None = None,
    postgres: Sequence[str] = (),
    postgres_folder: Path | None = None,
    wrap: Mapping[str, Sequence[str]] | None = None,
    declared: Mapping[str, str] | None = None,
    prepare: Callable[[Path], None] = lambda _: None,
) -> AsyncIterator[Installation]:
    """Run an installation in the experiment's folder; every process of it is gone afterwards.

    Args:
        stage: where it is played.
        api: how many API processes: api-a, api-b, …
        worker: how many workers.
        scheduler: how many schedulers.
        edge: whether Caddy stands in front.
        settings: of our processes; name without prefix to text.
        bots: name to source of its bot.py; by default one that keeps a chain.
        postgres: more settings of Postgres, each as "name=value".
        postgres_folder: folder for the data of Postgres, such as a small file system; by default the experiment's.
        wrap: command words put in front of a process, by its name or role; they have to become the program (exec).
        declared: what `bot.toml` of a bot says, by its name.
        prepare: puts files into the data folder before anything runs.

    Raises:
        TimeoutError: it did not come up.
        ConfigurationError: a server is not installed or does not run here.
    """
    built = Installation(stage, settings=settings or {}, wrap=wrap or {})
    try:
        prepare(built.folder / "data")
        for name, source in (bots or {"chain": CHAIN}).items():
            (built.folder / "bots" / name).mkdir()
            (built.folder / "bots" / name / "bot.py").write_text(source)
            (built.folder / "bots" / name / "bot.toml").write_text((declared or {}).get(name, ""))
        await _serve(built, postgres, postgres_folder or built.folder / "data")
        for role, count in (("api", api), ("worker", worker), ("scheduler", scheduler)):
            for letter in "abcdefgh"[:count]:
                built.add(role, f"{role}-{letter}").start()
        if edge:
            _put_edge(built)
        for slot in [*built.slots.values(), *([built.edge] if built.edge else [])]:
            await slot.becomes_ready()
        for name in bots or {"chain": CHAIN}:
            await built.connect(name)
        built.note("the installation is up")
        async with meanwhile(built.tend()):
            yield built
    finally:
        built.end()


async def _serve(built: Installation, options: Sequence[str], folder: Path) -> None:
    """Start the servers and bring the database to our schema."""
    built.provider_slot.start()
    built.valkey = ValkeyServer(built.folder / "data", log=built.log("valkey"), wrap=built.wrapped("valkey", "valkey"))
    built.valkey.start()
    built.postgres = PostgresServer(
        folder, log=built.log("postgres"), options=options, wrap=built.wrapped("postgres", "postgres")
    )
    built.postgres.start()
    for server in (built.provider_slot, built.valkey, built.postgres):
        await server.becomes_ready()
    await built.migrate()


def _put_edge(built: Installation) -> None:
    port, metrics = free_ports(2)
    site = embedded_edge.Site(
        host="127.0.0.1", port=port, metrics_port=metrics, api_ports=tuple(built.ports()), body_limit=BODY_LIMIT
    )
    program = embedded_edge.prepare(built.folder / "data", site)
    built.edge = Slot(program, log=built.log("edge"), wrap=built.wrapped("edge", "edge"), port=port, metrics_port=metrics)
    built.edge.start()
