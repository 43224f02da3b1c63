"""The appliance as a whole: what is started in which order, with which settings, and stopped in which order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from botstead.core import settings as settings_of
from botstead.core.settings import Settings
from botstead.operate.alerting.rules import Links
from botstead.processes.embedded import alerting, description, edge, folder, postgres, probes, valkey
from botstead.processes.embedded.child import Child, Program
from botstead.processes.embedded.description import Description
from botstead.processes.embedded.logs import Echo
from botstead.processes.embedded.prometheus import Target
from botstead.processes.embedded.supervisor import ApplianceFailed, Supervisor
from botstead.processes.environment import given
from botstead.processes.foundation import ADMIN_KEY

ROLES = ("api", "worker", "scheduler")
"""Our own processes, one of each."""
STOP_ORDER = (
    ("migrate",),
    ("prometheus",),
    ("alertmanager",),
    ("api",),
    ("edge",),
    ("worker", "scheduler"),
    ("valkey",),
    ("postgres",),
)
"""What would take the end for a fault stops first, then new messages; the edge goes dark when the API has answered what it had;
the database goes last."""
STOP_MARGIN = 5.0
"""Seconds that a process of ours may take beyond its own deadlines before it is killed."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Report = Callable[[str, float], None]
"""Given a part and the seconds it took, tell the operator that it is ready."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Loopback ports of this run; a restarted process keeps its own."""

    postgres: int
    valkey: int
    edge_metrics: int
    api: int
    prometheus: int
    alertmanager: int
    metrics: Mapping[str, int]

    @classmethod
    def choose(cls) -> Ports:
        """Choose free ones."""
        names = ("postgres", "valkey", "edge_metrics", "api", "prometheus", "alertmanager")
        chosen = folder.free_ports(len(names) + len(ROLES))
        rest = chosen[len(names) :]
        return cls(**dict(zip(names, chosen, strict=False)), metrics=dict(zip(ROLES, rest, strict=True)))


class Appliance:
    """One appliance on one data folder."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], *, report: Report, echo: Echo) -> None:
        """Prepare; nothing is started yet.

        Args:
            settings: the effective settings; `data` is absolute and usable.
            environment: variables that our processes get besides the settings; those of ours are not looked at.
            report: called when a part is ready.
            echo: called with each line that a process prints.
        """
        self._settings = settings
        self._environment = {name: value for name, value in environment.items() if not name.startswith(settings_of.PREFIX)}
        self._report = report
        self._data = settings.data
        self._ports = Ports.choose()
        self._supervisor = Supervisor(self._data / folder.LOGS, echo=echo, changed=self._describe)
        self._dsn = settings.postgres
        self._valkey = settings.valkey
        self._is_up = False
        self._alerting = alerting.Alerting()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the operator should know, in sentences."""
        return self._alerting.notes

    @property
    def prometheus(self) -> str | None:
        """Where Prometheus answers, if there is one."""
        return self._alerting.prometheus

    @property
    def url(self) -> str:
        """Where the edge answers."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._settings.host, self._settings.host)  # noqa: S104  # a comparison, nothing is bound
        return f"http://{host}:{self._settings.port}"

    @property
    def admin_key_file(self) -> Path:
        """Where the first API key stands; the first migration writes it."""
        return self._data / ADMIN_KEY

    async def run(self, ready: Callable[[], None]) -> None:
        """Start everything, keep it running, and stop it in order on SIGTERM, SIGINT or SIGHUP. A second one stops at once.

        Args:
            ready: called when everything is up.

        Raises:
            BotsteadError: something cannot be started or kept running; everything else was stopped.
        """
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._asked_to_stop, asked)
        try:
            await _first(self._start(), asked.wait())
            if not asked.is_set():
                self._is_up = True
                self._describe()
                ready()
                await _first(self._supervisor.failure(), asked.wait())
        finally:
            self._is_up = False
            asked.set()
            await self._stop()
            description.remove(self._data)

    def _asked_to_stop(self, asked: asyncio.Event) -> None:
        if asked.is_set():
            self._supervisor.kill()
        asked.set()

    async def _start(self) -> None:
        await _together(self._start_postgres(), self._start_valkey())
        await self._timed("migrate", self._supervisor.run_once(self._ours("migrate", "migrate", ("migrate",))))
        await _together(*(self._timed(role, self._supervisor.start(self._role(role))) for role in ROLES))
        await _together(self._timed("edge", self._supervisor.start(self._edge())), self._start_alerting())

    async def _timed(self, part: str, work: Awaitable[None]) -> None:
        began = time.monotonic()
        await work
        self._report(part, time.monotonic() - began)

    async def _start_postgres(self) -> None:
        if not self._settings.postgres:
            await self._timed("postgres", self._start_embedded_postgres())

    async def _start_embedded_postgres(self) -> None:
        cluster = await asyncio.to_thread(postgres.prepare, self._data, port=self._ports.postgres)
        self._dsn = cluster.dsn
        await self._supervisor.start(cluster.program())

    async def _start_valkey(self) -> None:
        if not self._settings.valkey:
            program, self._valkey = valkey.prepare(self._data, port=self._ports.valkey)
            await self._timed("valkey", self._supervisor.start(program))

    async def _start_alerting(self) -> None:
        """Start what tells of faults, where it is installed. The appliance is whole without it."""
        if self._settings.prometheus == alerting.NONE:
            return
        targets = [Target(job=role, instance=f"{role}-a", port=port) for role, port in self._ports.metrics.items()]
        targets.append(Target(job="edge", instance="edge", port=self._ports.edge_metrics))
        self._alerting = await asyncio.to_thread(
            alerting.prepare,
            self._data,
            targets,
            prometheus_port=self._ports.prometheus,
            alertmanager_port=self._ports.alertmanager,
            links=Links(runbooks=f"{(self._settings.public_url or self.url).rstrip('/')}/runbooks/"),
            scrape_seconds=self._settings.scrape_seconds,
        )
        if self._alerting.programs:
            await _together(*(self._start_besides(program) for program in self._alerting.programs))

    async def _start_besides(self, program: Program) -> None:
        try:
            await self._timed(program.role, self._supervisor.start(program))
        except ApplianceFailed as error:
            note = f"{program.role} does not start, and is tried again: {error.message.splitlines()[0]}"
            self._alerting = msgspec.structs.replace(self._alerting, notes=(*self._alerting.notes, note))

    def _edge(self) -> Program:
        site = edge.Site(
            host=self._settings.host,
            port=self._settings.port,
            metrics_port=self._ports.edge_metrics,
            api_ports=(self._ports.api,),
            body_limit=self._settings.body_limit,
        )
        return edge.prepare(self._data, site)

    def _role(self, role: str) -> Program:
        instance = f"{role}-a"
        port = self._ports.metrics[role]
        program = self._ours(role, instance, ("run", role, "--instance", instance), metrics_port=port)
        return msgspec.structs.replace(
            program, ready=probes.http(port, "/health/ready"), metrics=f"http://127.0.0.1:{port}/metrics"
        )

    def _ours(self, role: str, instance: str, arguments: tuple[str, ...], *, metrics_port: int = 0) -> Program:
        decided = {
            "canary_url": self.url,
            **given(self._settings),
            "postgres": self._dsn,
            "valkey": self._valkey,
            "instance": instance,
            "api_port": str(self._ports.api),
            "metrics_port": str(metrics_port),
            # There is one API process: saying «not ready» while it still serves would only turn clients away.
            "drain_seconds": "0",
        }
        return Program(
            role=role,
            instance=instance,
            command=(sys.executable, "-m", "botstead", *arguments),
            environment={
                **self._environment,
                **{f"{settings_of.PREFIX}{name.upper()}": value for name, value in decided.items()},
            },
            folder=Path.cwd(),
            stop_seconds=self._settings.stop_seconds + STOP_MARGIN,
        )

    def _describe(self) -> None:
        """Tell `appliance.json` who runs now."""
        if not self._is_up:
            return
        children = self._supervisor.running()
        Description(
            url=self.url,
            admin_key_file=str(self.admin_key_file),
            postgres=self._dsn,
            valkey=self._valkey,
            processes=[{**_who(child), "metrics": child.program.metrics} for child in children if child.program.metrics],
            servers=[_who(child) for child in children if not child.program.metrics],
            pid=os.getpid(),
            prometheus=self._alerting.prometheus,
            alertmanager=self._alerting.alertmanager,
        ).write(self._data)

    async def _stop(self) -> None:
        for roles in STOP_ORDER:
            await self._supervisor.stop(*roles)


def _who(child: Child) -> dict[str, str | int]:
    return {"role": child.program.role, "instance": child.program.instance, "pid": child.pid}


async def _together(*works: Awaitable[None]) -> None:
    """Wait for all; when one fails, cancel the others and raise what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _first(*awaitables: Awaitable[object]) -> None:
    """Wait for the first to end, cancel the others, and raise what the first raised."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    for task in done:
        task.result()
