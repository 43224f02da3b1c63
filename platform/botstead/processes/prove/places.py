"""Every place that a secret could have come to, as bytes under a name. The first word of a name is the kind of place."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import asyncpg
import msgspec

from botstead.processes.prove.client import Client
from botstead.processes.prove.meanwhile import meanwhile
from botstead.processes.prove.rawhttp import Headers, request, say

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation

SECONDS = 20.0
STREAM_SECONDS = 0.7
PAGE = 200
VISITOR = "0190a5f2-7c1d-7f3e-8a2b-000000000e30"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT 'pg_catalog.pg_stat_activity' UNION ALL SELECT 'pg_catalog.pg_settings'
"""
LETTER, LETTERS = "letter", "/v1/dead-letters/{message}"
TRACE = r'"trace":"([0-9a-f]{32})"'
IDS: Mapping[str, tuple[str, str]] = {
    "bot": ("/v1/bots", "name"),
    "channel": ("/v1/channels", "id"),
    "conversation": ("/v1/conversations", "id"),
    "message": ("/v1/messages", "id"),
    "objective": ("/v1/objectives", "name"),
    LETTER: ("/v1/dead-letters", "id"),
    "payment": ("/v1/payments", "id"),
    "key": ("/v1/keys", "id"),
}
"""Where the values of a parameter in a path are found: the list, and the field of its items."""
STREAM = "/events"
COMMANDS = (
    ("doctor",),
    ("dead-letters", "list"),
    ("channels", "list"),
    ("bots", "list"),
    ("messages", "search"),
    ("conversations", "list"),
    ("keys", "list"),
    ("objectives",),
)
FEW = 2
SOME = 12
"""Commands, and values of a parameter, that a small experiment asks for."""


class Places:
    """What was gathered."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kept: defaultdict[str, list[bytes]] = defaultdict(list)
        self.unasked: list[str] = []
        """Routes and commands that could not be asked."""

    def add(self, name: str, content: bytes) -> None:
        """Add a place, or more of it.

        Args:
            name: its kind and which it is.
            content: all of it.
        """
        self._kept[name].append(content)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Give each name with its whole content."""
        for name, parts in self._kept.items():
            yield name, b"".join(parts)

    def __len__(self) -> int:
        """How many places there are."""
        return len(self._kept)

    def bytes(self) -> Counter[str]:
        """Return how many bytes there are of each kind."""
        found: Counter[str] = Counter()
        for name, parts in self._kept.items():
            found[name.partition(" ")[0]] += sum(map(len, parts))
        return found


class Gatherer:
    """Goes from place to place."""

    def __init__(self, running: Installation, places: Places) -> None:
        """Prepare.

        Args:
            running: where.
            places: takes what is found.
        """
        self._running, self._places = running, places
        self._client = Client()
        self._key = (running.folder / "data" / "admin.key").read_text().strip()

    async def all(self, *, chats: Sequence[str]) -> None:
        """Gather everything.

        Args:
            chats: bots whose chat page is asked.
        """
        await asyncio.gather(self.metrics(), self.api(), self.chat(chats), self.commands(), self.tables())
        self.processes()
        self.files()
        self.logs()
        self._client.close()

    async def get(self, name: str, port: int, path: str, headers: Headers = ()) -> bytes:
        """Fetch something, and keep it.

        Args:
            name: of the place.
            port: loopback port.
            path: and query.
            headers: of the question.
        """
        status, body = await self._client.ask(port, request("GET", path, headers=headers), seconds=SECONDS)
        self._places.add(name, body)
        if status >= 400:
            self._places.unasked.append(f"{name}: {status}")
        return body

    async def metrics(self) -> None:
        """Scrape every process in both formats, and ask its health."""
        for slot in self._running.slots.values():
            for accept in (OPENMETRICS, "text/plain"):
                await self.get(f"metrics {slot.name} {accept[:16]}", slot.metrics_port, "/metrics", [("Accept", accept)])
            self._places.add(
                f"metrics {slot.name} health",
                (await self._client.ask(slot.metrics_port, request("GET", "/health/ready"), seconds=SECONDS))[1],
            )

    async def api(self) -> None:
        """Ask every GET route that there is, with the admin's key, for everything that there is."""
        paths: dict[str, Any] = msgspec.json.decode(await self._ask("/openapi.json"))["paths"]
        await self._ask("/docs")
        routes = sorted(
            (path for path, verbs in paths.items() if "get" in verbs and STREAM not in path),
            key=lambda path: ("trace" in path, path),
        )
        known: defaultdict[str, set[str]] = defaultdict(set)
        for name, (path, field) in IDS.items():
            if path in paths:
                found = msgspec.json.decode(await self._ask(f"{path}?limit={PAGE}" if path != "/v1/objectives" else path))
                known[name] |= {str(item[field]) for item in found["items"] if item.get(field)}
        for route in routes:
            if not [path async for path in self._asked(route, known)]:
                self._places.unasked.append(f"GET {route}")

    async def _asked(self, route: str, known: dict[str, set[str]]) -> AsyncIterator[str]:
        names = re.findall(r"\{(\w+)\}", route)
        kinds = {name: LETTER if route == LETTERS else name for name in names}
        if len(names) > 1 or any(kind not in known for kind in kinds.values()):
            return
        chosen = sorted(known[kinds[names[0]]], reverse=True) if names else [""]
        for value in chosen if self._running.stage.full else chosen[:SOME]:
            path = re.sub(r"\{\w+\}", quote(value, safe=""), route)
            body = await self._ask(path)
            if path.startswith("/v1/messages/"):
                known["trace"].update(re.findall(TRACE, body.decode()))
            yield path

    async def _ask(self, path: str) -> bytes:
        port = self._running.ports()[0]
        return await self.get(f"api {path}", port, path, [("Authorization", f"Bearer {self._key}"), ("X-Visitor", VISITOR)])

    async def chat(self, bots: Sequence[str]) -> None:
        """Open the chat page and listen to its stream."""
        port = self._running.ports()[0]
        for bot in bots:
            await self.get(f"chat page {bot}", port, f"/chat/{bot}")
            asked = request("GET", f"/chat/{bot}/events", headers=[("X-Visitor", VISITOR)])
            heard = await say(port, asked, seconds=STREAM_SECONDS)
            self._places.add(f"chat events {bot}", b"".join([*(answer.body for answer in heard.answers), heard.rest]))

    async def commands(self) -> None:
        """Let the command line tell what it knows, in JSON."""
        chosen = COMMANDS if self._running.stage.full else COMMANDS[:FEW]
        await asyncio.gather(*map(self._command, chosen))

    async def _command(self, words: Sequence[str]) -> None:
        running = self._running
        found = [] if words == ("doctor",) else ["--url", f"http://127.0.0.1:{running.ports()[0]}"]
        found += [] if words == ("doctor",) else ["--key-file", str(running.folder / "data" / "admin.key")]
        out, err = await said(*words, *found, "--json", environment=running.environment())
        self._places.add(f"cli {' '.join(words)}", out + err)
        if not out.strip():
            self._places.unasked.append(f"botstead {' '.join(words)}: {err.decode(errors='replace')[-200:]}")

    async def tables(self) -> None:
        """Copy every table as text, and what the server says of itself and of who is connected."""
        connection = await asyncpg.connect(self._running.postgres.dsn, timeout=SECONDS)
        try:
            for (table,) in await connection.fetch(TABLES):
                content = BytesIO()
                await connection.copy_from_query(f"SELECT * FROM {table}", output=content)  # noqa: S608  # names from the catalogue
                self._places.add(f"table {table.partition('.')[2]}", content.getvalue())
        finally:
            await connection.close(timeout=SECONDS)

    def processes(self) -> None:
        """Read the command line of every process of ours, and the environment of those that run bots."""
        for slot in self._running.everything():
            for pid in slot.family():
                with suppress(OSError):
                    self._places.add(f"cmdline {slot.name}", Path(f"/proc/{pid}/cmdline").read_bytes())
        for slot in self._running.of("worker"):
            for pid in slot.family()[1:]:
                with suppress(OSError):
                    self._places.add(f"environment bots of {slot.name}", Path(f"/proc/{pid}/environ").read_bytes())

    def files(self) -> None:
        """Read every file that the installation has made."""
        for folder, _, names in os.walk(self._running.folder / "data"):
            for name in names:
                path = Path(folder, name)
                kind = "database" if "postgres" in path.relative_to(self._running.folder / "data").parts else "file"
                with suppress(OSError):
                    self._places.add(f"{kind} {path.relative_to(self._running.folder / 'data')}", path.read_bytes())

    def logs(self) -> None:
        """Read what every process has printed, over all its runs."""
        for slot in self._running.everything():
            if slot is not self._running.provider_slot:
                with suppress(OSError):
                    self._places.add(f"log {slot.name}", slot.log.read_bytes())


async def said(*words: str, environment: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Run a command of ours, and return what it wrote to its outputs.

    Args:
        words: behind `botstead`.
        environment: all of it.

    Raises:
        TimeoutError: it did not end in time.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "botstead", *words),
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        return await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()


@asynccontextmanager
async def listening(url: str, places: Places) -> AsyncIterator[None]:
    """Hear every command that Valkey gets, over its restarts: no value or hint is missed, however short its life.

    Args:
        url: of the server.
        places: takes what is heard.
    """
    heard = asyncio.Event()
    async with meanwhile(_listen(url, places, heard)):
        await asyncio.wait_for(heard.wait(), SECONDS)
        yield


async def _listen(url: str, places: Places, heard: asyncio.Event) -> None:
    parts = urlsplit(url)
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(f"AUTH {parts.password}\r\nMONITOR\r\n".encode())
                while more := await reader.read(65_536):
                    heard.set()
                    places.add("valkey commands", more)
            finally:
                writer.close()
        await asyncio.sleep(0.05)
