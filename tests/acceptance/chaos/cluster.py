"""A small installation to hurt: Postgres, Valkey, API and worker processes, and a provider that remembers what reached it.

Every process is ours, a child of this one, and is killed by its own id only. `tend` plays the supervisor: whatever ends without
having been asked to is started again under the same name.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp

from tests import servers

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "1000001:" + "c" * 35
HOOK_SECRET = "h" * 40
LEASE = 3
BOT = '''
from hashlib import sha256

from botstead import Bot, Conversation, Message

bot = Bot("chain")


@bot.on.message
async def link(message: Message, conversation: Conversation) -> str:
    """Add a link to the chain of this conversation, and show it."""
    state = conversation.state
    state["seq"] = state.get("seq", 0) + 1
    reply = f"{state['seq']} {state.get('chain', '')} {message.text}"
    state["chain"] = sha256(reply.encode()).hexdigest()[:16]
    return f"{state['seq']} {state['chain']} {message.text}"
'''


class Slot:
    """One process of ours under a stable name."""

    def __init__(self, name: str, role: str, environment: dict[str, str], logs: Path) -> None:
        self.name, self.role = name, role
        self.port = servers.free_port()
        self.log = logs / f"{name}.log"
        self.process: subprocess.Popen | None = None
        self.wanted = False
        self._began = 0
        self._environment = environment | {
            "BOTSTEAD_API_PORT": str(self.port),
            "BOTSTEAD_METRICS_PORT": str(servers.free_port()),
        }

    def start(self) -> None:
        """Start it, and expect it to run from now on."""
        self.wanted = True
        self._began = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "botstead", "run", self.role, "--instance", self.name]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether the running process has said that it works."""
        return self.alive and b'"process_ready"' in self._said()

    def _said(self) -> bytes:
        with self.log.open("rb") as log:
            log.seek(self._began)
            return log.read()

    def kill(self) -> None:
        """Pull its plug."""
        assert self.process
        self.process.kill()
        self.process.wait(10)


class Cluster:
    """The installation. Use `cluster()`."""

    def __init__(self, folder: Path, postgres: servers.PostgresServer, valkey: servers.ValkeyServer) -> None:
        self.folder, self.postgres, self.valkey = folder, postgres, valkey
        self.sends = folder / "sends.jsonl"
        self.provider_port = servers.free_port()
        self.slots: dict[str, Slot] = {}
        self.timeline: list[str] = []
        self.hook = ""
        self._provider: subprocess.Popen | None = None
        self.began = time.time()
        bot = folder / "bots" / "chain"
        bot.mkdir(parents=True)
        (bot / "bot.py").write_text(BOT)
        self._environment = {
            "PATH": os.defpath,
            "BOTSTEAD_DATA": str(folder / "data"),
            "BOTSTEAD_POSTGRES": postgres.dsn,
            "BOTSTEAD_VALKEY": valkey.url,
            "BOTSTEAD_BOTS": str(folder / "bots"),
            "BOTSTEAD_SAMPLES": "no",
            "BOTSTEAD_EGRESS_ALLOW": f"127.0.0.1:{self.provider_port}",
            "BOTSTEAD_LEASE_SECONDS": str(LEASE),
            "BOTSTEAD_DRAIN_SECONDS": "0.5",
        }

    def note(self, what: str) -> None:
        """Add a line to the timeline."""
        self.timeline.append(f"{time.time() - self.began:7.2f} s  {what}")

    @property
    def apis(self) -> list[Slot]:
        """The API processes."""
        return [slot for slot in self.slots.values() if slot.role == "api"]

    def urls(self) -> list[str]:
        """Where updates may be delivered."""
        return [f"http://127.0.0.1:{slot.port}/hooks/{self.hook}" for slot in self.apis]

    async def start(self, **roles: int) -> None:
        """Bring it up: migrate, provider, processes, and the channel.

        Args:
            roles: how many processes of each role.
        """
        (self.folder / "data").mkdir()
        migrate = [sys.executable, "-m", "botstead", "migrate"]
        await asyncio.to_thread(subprocess.run, migrate, env=self._environment, check=True, stdout=subprocess.DEVNULL)
        self._start_provider()
        for role, count in roles.items():
            for letter in "abcd"[:count]:
                name = f"{role}-{letter}"
                self.slots[name] = Slot(name, role, self._environment, self.folder)
                self.slots[name].start()
        await self.until(lambda: all(slot.ready for slot in self.slots.values()), "all processes ready")
        await self._install()

    def _start_provider(self) -> None:
        double = [sys.executable, ROOT / "tests/doubles/telegram.py", "--port", str(self.provider_port), "--log", self.sends]
        self._provider = subprocess.Popen(double, stdout=subprocess.DEVNULL)

    async def _install(self) -> None:
        key = (self.folder / "data" / "admin.key").read_text().strip()
        channel = {
            "kind": "telegram",
            "settings": {"api_base": f"http://127.0.0.1:{self.provider_port}"},
            "secrets": {"token": TOKEN, "hook_secret": HOOK_SECRET},
        }
        url = f"http://127.0.0.1:{self.apis[0].port}/v1/bots/chain/channels"
        async with (
            aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as client,
            client.post(url, json=channel) as answer,
        ):
            body = await answer.json()
            assert answer.status == 201, body
            self.hook = body["id"]

    async def until(self, condition, what: str, *, seconds: float = 30.0) -> None:
        """Wait until a cheap condition holds.

        Raises:
            TimeoutError: it did not in time.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds} s\n" + "\n".join(self.timeline))
            await asyncio.sleep(0.03)

    async def tend(self) -> None:
        """Start again what ended without being asked to, until cancelled."""
        while True:
            for slot in self.slots.values():
                if slot.wanted and not slot.alive:
                    assert slot.process
                    self.note(f"start {slot.name} again (it ended with {slot.process.returncode})")
                    slot.start()
            await asyncio.sleep(0.05)

    async def restart_postgres(self) -> None:
        """Pull the plug of Postgres and start it on the same data."""
        await asyncio.to_thread(self.postgres.kill)
        self.note("Postgres is dead")
        await asyncio.to_thread(self.postgres.start)
        self.note("Postgres is back")

    async def stop(self, name: str) -> tuple[int, float]:
        """Ask a process to end; returns its exit status and how long it took."""
        slot = self.slots[name]
        assert slot.process
        slot.wanted = False
        began = time.monotonic()
        slot.process.send_signal(signal.SIGTERM)
        self.note(f"SIGTERM {name}")
        status = await asyncio.to_thread(slot.process.wait, 60)
        self.note(f"{name} ended with {status}")
        return status, time.monotonic() - began

    def end(self) -> None:
        """End every process that is ours."""
        for slot in self.slots.values():
            slot.wanted = False
            if slot.alive:
                slot.kill()
        if self._provider:
            self._provider.kill()
            self._provider.wait(10)

    def sent(self) -> list[dict]:
        """What reached the provider, in order."""
        written = self.sends.read_bytes() if self.sends.exists() else b""
        whole = written[: written.rfind(b"\n") + 1]
        return [entry for entry in map(json.loads, whole.splitlines()) if entry["method"] == "sendMessage"]


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that is kept when something goes wrong, for whoever has to find out what did."""
    folder = Path(tempfile.mkdtemp(prefix="botstead-chaos-", dir="/var/tmp"))
    try:
        yield folder
    except BaseException:
        print(f"kept for inspection: {folder}")
        raise
    shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def cluster(**roles: int) -> AsyncIterator[Cluster]:
    """A running installation, tended, gone afterwards.

    Args:
        roles: how many processes of each role, such as `api=2, worker=2`.
    """
    with _folder() as folder, servers.postgres_server() as postgres, servers.valkey_server() as valkey:
        built = Cluster(folder, postgres, valkey)
        try:
            await built.start(**roles)
            tending = asyncio.create_task(built.tend())
            try:
                yield built
            finally:
                tending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await tending
        finally:
            built.end()
