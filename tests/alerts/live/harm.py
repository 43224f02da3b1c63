"""How each fault of `faults.yml` is done, and undone. A context manager each: inside it, the fault lasts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import asyncpg
import pytest
import valkey
import yaml

from botstead.processes.prove.fault import Fault as ProviderFault
from tests.alerts.live.world import World, family, until

Harm = Callable[..., contextlib.AbstractContextManager[None]]
HARMS: dict[str, Harm] = {}


def harm(function: Callable[..., Iterator[None]]) -> Harm:
    """Name a fault's way by the function's name."""
    HARMS[function.__name__] = contextmanager(function)
    return HARMS[function.__name__]


@contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in a thread until the end; it looks at the event that says so."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


@harm
def signal_(world: World, *, role: str, signal: str, messages: int = 0, seconds: float = 0, requests: int = 0) -> Iterator[None]:
    """Pause or kill a process and all that it started; paused for some seconds, or until the fault is over."""
    pids = family(world.pid(role))
    number = getattr(globals()["signal"], f"SIG{signal}")
    for pid in pids:
        os.kill(pid, number)

    def more(over: threading.Event) -> None:
        for _ in range(messages):
            world.say("hello", seconds=1)
        for _ in range(requests):
            if over.is_set():
                return
            with suppress(Exception):
                world.request("GET", "/v1/bots", None, key(world), seconds=3)

    def resume() -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, globals()["signal"].SIGCONT)

    timer = threading.Timer(seconds or 3_600, resume)
    timer.start()
    try:
        with meanwhile(more):
            yield
    finally:
        timer.cancel()
        resume()


HARMS["signal"] = HARMS.pop("signal_")


def key(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {(world.data / 'admin.key').read_text().strip()}"}


@harm
def kill_again(world: World, role: str, times: int) -> Iterator[None]:
    """Kill a process as often as it comes back."""

    born = f'process_start_time_seconds{{job="{role}"}} and on (instance) up == 1'

    def kill(over: threading.Event) -> None:
        for _ in range(times):
            before = world.value(born)
            with suppress(StopIteration, ProcessLookupError):
                os.kill(world.pid(role), signal.SIGKILL)
            # A run that nobody scraped did not happen, for Prometheus.
            while world.value(born) in (None, before):
                if over.wait(0.1):
                    return

    with meanwhile(kill):
        yield


@harm
def message(world: World, text: str, times: int, seconds: float = 0) -> Iterator[None]:
    """Say something that the bot takes badly."""

    def say(over: threading.Event) -> None:
        for _ in range(times):
            world.say(f"{text} {seconds:g}" if seconds else text)
            if over.wait(0.2):
                return

    with meanwhile(say):
        yield
    if text == "fail":
        asyncio.run(_forget_dead_letters(world))


async def _forget_dead_letters(world: World) -> None:
    """What an operator does who has read them."""
    connection = await asyncpg.connect(world.description["postgres"])
    try:
        await connection.execute("DELETE FROM dead_letter")
    finally:
        await connection.close()


@harm
def canary_fails(world: World, one_in: int = 1) -> Iterator[None]:
    """Disable the canary's bot: what it sends is refused. With `one_in` 2, half of the time."""

    def enable(on: bool) -> None:
        with suppress(AssertionError, OSError):
            world.api("PATCH", "/v1/bots/canary", {"enabled": on})

    def toggle(over: threading.Event) -> None:
        on = False
        enable(on)
        while not over.wait(0.6):
            on = one_in > 1 and not on
            enable(on)

    with meanwhile(toggle):
        yield
    enable(True)


@harm
def provider(world: World, answer: str) -> Iterator[None]:
    """Let the provider refuse everything, or answer nothing."""
    if answer == "hang":
        faults = [ProviderFault(kind="hang", times=-1, seconds=5.0, applied=False)]
    else:
        words = {"400": "Bad Request: told so", "401": "Unauthorized", "500": "Internal Server Error"}[answer]
        faults = [ProviderFault(method=method, status=int(answer), times=-1, description=words) for method in ("*", "getMe")]
    world.provider_faults(faults)
    try:
        yield
    finally:
        world.provider_faults([])


@harm
def deliveries(world: World, signature: str, times: int, seconds: float) -> Iterator[None]:
    """Deliver with a wrong signature."""
    assert signature == "wrong"

    def forge(over: threading.Event) -> None:
        while not over.is_set():
            world.say("forged", secret="wrong-secret")
            if over.wait(seconds / times):
                return

    with meanwhile(forge):
        yield


def in_postgres(
    world: World, work: Callable[[asyncpg.Connection, threading.Event], object]
) -> contextlib.AbstractContextManager[None]:
    """Run something on a connection of a stranger's."""

    def run(over: threading.Event) -> None:
        async def story() -> None:
            connection = await asyncpg.connect(world.description["postgres"])
            try:
                await work(connection, over)
            finally:
                await connection.close()

        with suppress(asyncpg.PostgresError, OSError):
            asyncio.run(story())

    return meanwhile(run)


@harm
def hold_lock(world: World, seconds: float, times: int, requests: int = 0) -> Iterator[None]:
    """Hold up every commit for some seconds, again and again."""

    async def lock(connection: asyncpg.Connection, over: threading.Event) -> None:
        for _ in range(times):
            async with connection.transaction():
                await connection.execute("LOCK TABLE seen, bot IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(seconds)
            await asyncio.sleep(0.5)
            if over.is_set():
                return

    def ask(over: threading.Event) -> None:
        for _ in range(requests):
            with suppress(Exception):
                world.request("GET", "/v1/bots", None, key(world), seconds=5)
            if over.wait(0.2):
                return

    with in_postgres(world, lock), meanwhile(ask):
        yield


@harm
def transaction(world: World, seconds: float) -> Iterator[None]:
    """Forget a transaction."""

    async def forget(connection: asyncpg.Connection, over: threading.Event) -> None:
        await connection.execute("BEGIN; SELECT 1")
        await asyncio.to_thread(over.wait)

    with in_postgres(world, forget):
        yield


@harm
def connections(world: World, share: float) -> Iterator[None]:
    """Take most of the connections that there are."""

    async def take(connection: asyncpg.Connection, over: threading.Event) -> None:
        most = int(await connection.fetchval("SHOW max_connections"))
        taken = [connection]
        dsn = world.description["postgres"]
        with suppress(asyncpg.PostgresError):
            while (
                int(await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
                < share * most
            ):
                taken.append(await asyncpg.connect(dsn))
        await asyncio.to_thread(over.wait)
        for one in taken[1:]:
            await one.close()

    with in_postgres(world, take):
        yield


@harm
def deadlocks(world: World, times: int) -> Iterator[None]:
    """Let two sessions wait for each other."""

    async def quarrel(connection: asyncpg.Connection, over: threading.Event) -> None:
        other = await asyncpg.connect(world.description["postgres"])
        try:
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS quarrel (id int PRIMARY KEY); INSERT INTO quarrel VALUES (1), (2)"
            )
            for one in (connection, other):
                await one.execute("SET deadlock_timeout = '10ms'")
            for _ in range(times):
                for one, number in ((connection, 1), (other, 2)):
                    await one.execute(f"BEGIN; UPDATE quarrel SET id = id WHERE id = {number}")
                await asyncio.gather(
                    connection.execute("UPDATE quarrel SET id = id WHERE id = 2"),
                    other.execute("UPDATE quarrel SET id = id WHERE id = 1"),
                    return_exceptions=True,
                )
                for one in (connection, other):
                    await one.execute("ROLLBACK")
                await asyncio.sleep(1.2)  # statistics are told once a second
                if over.is_set():
                    return
            await asyncio.to_thread(over.wait)
        finally:
            await connection.execute("DROP TABLE quarrel")
            await other.close()

    with in_postgres(world, quarrel):
        yield


@harm
def valkey_(world: World, command: str, times: int = 1, folder: str = "") -> Iterator[None]:
    """Send Valkey a command that hurts, perhaps with its folder gone.

    Where DEBUG SLEEP is not allowed, which is the default, it is paused for as long.
    """
    server = valkey.Valkey.from_url(world.description["valkey"])
    words = command.split()

    def sleep(over: threading.Event) -> None:
        pid = world.pid("valkey")
        for _ in range(times):
            os.kill(pid, signal.SIGSTOP)
            over.wait(float(words[2]))
            os.kill(pid, signal.SIGCONT)
            if over.wait(0.1):
                return

    if words[0] == "DEBUG":
        with meanwhile(sleep):
            yield
    else:
        place, kept = world.data / "valkey", world.data / "valkey.kept"
        if folder == "gone":
            shutil.copytree(place, kept)
            shutil.rmtree(place)
        with suppress(valkey.ValkeyError):
            server.execute_command(*words)
        yield
        if folder == "gone":
            kept.rename(place)
            os.kill(world.pid("valkey"), signal.SIGKILL)  # it stands in the folder that is no more; it is started again
    server.close()


HARMS["valkey"] = HARMS.pop("valkey_")


@harm
def valkey_fill(world: World, share: float) -> Iterator[None]:
    """Fill Valkey: with what it must keep, or beyond its memory with what it may give up."""
    server = valkey.Valkey.from_url(world.description["valkey"])
    piece, block = b"x" * 500_000, 0
    limit = int(server.info("memory")["maxmemory"])

    def fill(over: threading.Event) -> None:
        nonlocal block
        while not over.is_set():
            if share > 1 or int(server.info("memory")["used_memory"]) < share * limit:
                with suppress(valkey.ValkeyError):
                    server.set(f"fill:{block}", piece, ex=3600 if share > 1 else None)
                    block += 1
                over.wait(0.01)
            else:
                over.wait(0.3)

    with meanwhile(fill):
        yield
    for number in range(block):
        server.delete(f"fill:{number}")
    server.close()


@harm
def integration(world: World, answer: str) -> Iterator[None]:
    """Let an outside service fail, for questions that no cache knows."""
    world.weather.double.misbehave((int(answer), b"{}"), always=True)

    def ask(over: threading.Event) -> None:
        number = 0
        while not over.wait(0.3):
            number += 1
            world.say(f"weather place-{number}")

    with meanwhile(ask):
        yield
    world.weather.double.behave()
    for _ in range(20):  # people go on asking, which is how it is seen to work again
        world.say("weather oslo")


@harm
def disk(world: World, left: float, seconds: float = 0) -> Iterator[None]:
    """Fill the disk of the data folder up to a share, at once or little by little."""
    if world.disk is None:
        pytest.skip("A small disk can be mounted by root on Linux only.")
    ballast = world.data / "ballast"
    total = shutil.disk_usage(world.data).total
    wanted = shutil.disk_usage(world.data).free - int(left * total)

    def fill(over: threading.Event) -> None:
        steps = max(1, int(seconds * 2))
        with ballast.open("wb") as file:
            for step in range(1, steps + 1):
                os.posix_fallocate(file.fileno(), 0, wanted * step // steps)
                if over.wait(0.5 if seconds else 0):
                    return

    try:
        with meanwhile(fill):
            yield
    finally:
        ballast.unlink()


@harm
def configuration(world: World, text: str) -> Iterator[None]:
    """Give Prometheus a configuration that is none."""
    path = world.data / "prometheus" / "prometheus.yml"
    good = path.read_bytes()
    path.write_text(text)
    world.reload("prometheus")
    try:
        yield
    finally:
        path.write_bytes(good)
        world.reload("prometheus")


@harm
def rule(world: World, expr: str) -> Iterator[None]:
    """Add a rule that cannot be evaluated."""
    path = world.data / "prometheus" / "rules" / "broken.rules.yml"
    path.write_text(
        yaml.safe_dump({"groups": [{"name": "broken", "interval": "1s", "rules": [{"record": "broken:x", "expr": expr}]}]})
    )
    world.reload("prometheus")
    try:
        yield
    finally:
        path.unlink()
        world.reload("prometheus")


@harm
def target(world: World, job: str) -> Iterator[None]:
    """Add a target that does not answer."""
    path = world.data / "prometheus" / "targets.json"
    good = path.read_bytes()
    path.write_text(json.dumps([*json.loads(good), {"targets": ["127.0.0.1:1"], "labels": {"job": job, "instance": job}}]))
    until(lambda: world.query(f'up{{job="{job}"}}'), seconds=20, what="the new target")
    try:
        yield
    finally:
        path.write_bytes(good)


@harm
def receiver(world: World, answer: str) -> Iterator[None]:
    """Refuse every message, after having read it."""
    world.receiver.answer = int(answer)
    try:
        yield
    finally:
        world.receiver.answer = 200
