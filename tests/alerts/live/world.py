"""A real appliance, as `botstead up` starts it, with rules and routes that run sixty times faster, and people who write to it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from botstead.operate.alerting.faults import load_faults
from botstead.operate.alerting.rules import Time
from botstead.processes.embedded import alerting, tether
from botstead.processes.embedded.folder import free_ports
from botstead.processes.embedded.prometheus import Target
from botstead.processes.prove import smalldisk
from botstead.processes.prove.deliveries import TELEGRAM_SECRET, update
from botstead.processes.prove.fault import Fault as ProviderFault
from botstead.processes.prove.replies import Provider
from botstead.processes.prove.smalldisk import Disk
from tests.alerts.live.receiver import Receiver
from tests.doubles.beside import beside
from tests.doubles.open_meteo import open_meteo
from tests.servers import wait_until

DISK_MB = 2_000
"""In memory, and only as much as is written."""
T = TypeVar("T")

BOT = """
import time
import asyncio
from botstead import Bot, Message, Weather

bot = Bot("live")


@bot.on.message
async def answer(message: Message, weather: Weather) -> str:
    word, _, seconds = message.text.partition(" ")
    if word == "weather":
        try:
            return (await weather.today(seconds)).summary
        except Exception as error:
            return type(error).__name__
    if word == "fail":
        raise ValueError("told to fail")
    if word == "block":
        time.sleep(float(seconds))
    if word == "slow":
        await asyncio.sleep(float(seconds))
    return message.text
"""
SETTINGS = {
    "BOTSTEAD_SCRAPE_SECONDS": "1",
    "BOTSTEAD_CANARY_SECONDS": "0.25",
    "BOTSTEAD_LOOK_SECONDS": "1",
    "BOTSTEAD_SAMPLES": "no",
    "BOTSTEAD_STOP_SECONDS": "3",
    "BOTSTEAD_PROMETHEUS": "",
}


class World:
    """The appliance, its provider, its people, and who is paged."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.port, provider_port = free_ports(2)
        self.receiver = Receiver()
        self.provider = Provider(provider_port, folder / "provider.jsonl")
        self._number = 0
        self._quiet = threading.Event()
        self._lock = threading.Lock()
        self._people: threading.Thread | None = None
        self._stack = contextlib.ExitStack()
        self.weather = self._stack.enter_context(beside(open_meteo()))
        self.disk = self._mount()
        self._write()
        command = (sys.executable, "-m", "botstead.processes.prove.provider", str(provider_port), str(self.provider.log))
        self._double = subprocess.Popen(tied(*command), stdout=subprocess.DEVNULL, env=self._environment())
        with (folder / "output").open("wb") as output:
            command = (sys.executable, "-m", "botstead", "up", "--data", str(self.data), "--port", str(self.port))
            self.process = subprocess.Popen(
                tied(*command, "--bots", str(folder / "bots")),
                stdout=output,
                stderr=output,
                env=self._environment(),
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        bases = dict.fromkeys(("BOTSTEAD_WEATHER_BASE", "BOTSTEAD_WEATHER_GEOCODING_BASE"), self.weather.base)
        allowed = f"127.0.0.1:{self.provider.port},{urllib.parse.urlsplit(self.weather.base).netloc}"
        return {**os.environ, **SETTINGS, **bases, "BOTSTEAD_EGRESS_ALLOW": allowed}

    def _mount(self) -> Disk | None:
        """A disk of its own, which may be filled; None where none can be mounted."""
        if smalldisk.missing():
            return None
        try:
            return self._stack.enter_context(smalldisk.disk(self.data, megabytes=DISK_MB))
        except OSError:
            return None

    def _write(self) -> None:
        bot = self.folder / "bots" / "live"
        bot.mkdir(parents=True)
        (bot / "bot.py").write_text(BOT)
        self.data.mkdir(exist_ok=True)
        (self.data / "receivers.yml").write_text(
            f"receivers:\n  - {{kind: webhook, url: {self.receiver.url}/page, gets: [page, ticket]}}\n"
            f"  - {{kind: heartbeat, url: {self.receiver.url}/beat}}\n"
        )

    def start(self) -> None:
        """Wait until it is up, make it fast, and let people write."""
        wait_until(lambda: self.ready or self.process.poll() is not None, seconds=60, what="appliance ready")
        assert self.process.poll() is None, (self.folder / "output").read_text()
        self.make_fast()
        self._connect()
        self._people = threading.Thread(target=self._write_on, daemon=True)
        self._people.start()
        wait_until(lambda: self.query('sum(canary_probes_total{outcome="ok"}) > 2'), seconds=30, what="the canary")
        wait_until(lambda: self.query('sum(bot_messages_total{bot="live",outcome="delivered"}) > 2'), seconds=30, what="people")
        self.settle(60)

    @property
    def ready(self) -> bool:
        return f"ready http://127.0.0.1:{self.port}\n" in (self.folder / "output").read_text()

    @property
    def description(self) -> dict:
        return json.loads((self.data / "appliance.json").read_text())

    def pid(self, role: str) -> int:
        """Of the process of a role that runs now."""
        found = self.description
        return next(entry["pid"] for entry in found["processes"] + found["servers"] if entry["role"] == role)

    def port_of(self, name: str) -> int:
        return urllib.parse.urlsplit(self.description[name]).port

    def targets(self) -> list[Target]:
        own = [entry for entry in self.description["processes"] if entry["metrics"]]
        return [
            Target(job=entry["role"], instance=entry["instance"], port=urllib.parse.urlsplit(entry["metrics"]).port)
            for entry in own
        ]

    def make_fast(self) -> None:
        """Write rules and routes anew at the scale of faults.yml, and let both read them."""
        alerting.prepare(
            self.data,
            self.targets(),
            prometheus_port=self.port_of("prometheus"),
            alertmanager_port=self.port_of("alertmanager"),
            time=Time(load_faults().time),
            scrape_seconds=1.0,
        )
        self.reload("prometheus")
        self.reload("alertmanager")

    def reload(self, role: str) -> None:
        os.kill(self.pid(role), signal.SIGHUP)

    # --- asking

    def query(self, expression: str) -> list[dict]:
        """Ask Prometheus; nothing while it does not answer."""
        url = f"{self.description['prometheus']}/api/v1/query?query={urllib.parse.quote(expression)}"
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]["result"]
        return []

    def value(self, expression: str) -> float | None:
        """The value of the only series that there is; None while there is none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def firing(self, severity: str = ".+") -> set[str]:
        """Names of the alerts that fire now."""
        found = self.query(f'ALERTS{{alertstate="firing",severity=~"{severity}"}}')
        return {series["metric"]["alertname"] for series in found} - {"Watchdog"}

    def settle(self, seconds: float, *, without: str = "") -> set[str]:
        """Wait until no page fires, nor an alert by this name; returns what still does when time is up."""
        deadline = time.monotonic() + seconds
        while (left := self.firing("page") | (self.firing() & {without})) and time.monotonic() < deadline:
            time.sleep(0.5)
        return left

    def api(self, method: str, path: str, body: object = None) -> dict:
        """Ask the API as an administrator."""
        key = (self.data / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        status, answer = self.request(method, path, json.dumps(body).encode() if body is not None else None, headers)
        assert status < 300, (status, answer)
        return json.loads(answer) if answer else {}

    def request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], *, seconds: float = 20
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    # --- people

    def _connect(self) -> None:
        made = self.api(
            "POST",
            "/v1/bots/live/channels",
            {
                "kind": "telegram",
                "settings": {"api_base": self.provider.base_url, "mode": "poll"},
                "secrets": {"token": f"1000001:{'x' * 35}", "hook_secret": "right-secret"},
            },
        )
        self.hook = f"/hooks/{made['id']}"

    def say(self, text: str, *, secret: str = "right-secret", seconds: float = 2.0) -> int:
        """One person, new each time, writes one message; returns the status, 0 for no answer."""
        with self._lock:
            self._number += 1
            number = self._number
        body = json.dumps(update(number, 1000 + number, text)).encode()
        with suppress(OSError, http.client.HTTPException):
            return self.request(
                "POST", self.hook, body, {TELEGRAM_SECRET: secret, "Content-Type": "application/json"}, seconds=seconds
            )[0]
        return 0

    def _write_on(self) -> None:
        """One message a second, as long as the world lasts."""
        while not self._quiet.wait(1.0):
            self.say("hello", seconds=0.9)

    def provider_faults(self, faults: Sequence[ProviderFault]) -> None:
        asyncio.run(self.provider.faults("", faults))

    # --- the end

    def close(self) -> None:
        """End everything, also what was paused."""
        self._quiet.set()
        for pid in family(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for process in (self.process, self._double):
            process.terminate()
        for process in (self.process, self._double):
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()
        with suppress(OSError):
            shutil.copytree(self.data / "logs", self.folder / "logs")  # the disk that they are on is about to go
        self.receiver.close()
        self._stack.close()


def tied(*command: str) -> list[str]:
    """A command that is asked to end when we die, however that is."""
    words = (int(signal.SIGTERM), os.getpid(), tether.KEEP, tether.KEEP)
    return [sys.executable, "-I", "-S", tether.__file__, *map(str, words), *command]


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one and child not in found]
    return found


def until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """As `wait_until`, for what is not cheap."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not hold within {seconds} s")
        time.sleep(0.3)
