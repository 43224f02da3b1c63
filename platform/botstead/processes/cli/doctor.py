"""`botstead doctor`: the effective settings, and whether what they name is there and safe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

import click
import msgspec

from botstead.core.errors import BotsteadError, ConfigurationError
from botstead.core.settings import Settings
from botstead.processes import environment
from botstead.processes.checking import MISSING, OK, WRONG, Check
from botstead.processes.cli import looking
from botstead.processes.cli.client import Failure, find
from botstead.processes.cli.output import Output
from botstead.processes.composed.facts import read_watched
from botstead.processes.embedded import distribution
from botstead.processes.embedded.alerting import NONE
from botstead.processes.embedded.description import NAME
from botstead.processes.foundation import key_ring_path
from botstead.runtime import keyring
from botstead.store import migrate, postgres

MASK = "•••"
ASK_SECONDS = 5.0
MOST_BOTS = 1_000
COLUMNS = ("check", "status", "detail")


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Data folder of the appliance. [.botstead]")
@click.option("--compose", type=click.Path(path_type=Path, exists=True), help="Folder of an appliance on Docker Compose.")
@click.option("--facts", type=click.File("rb"), help="Judge what scripts/doctor --gather saw; - is the standard input.")
@click.option("--quiet", is_flag=True, help="Write only what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
def doctor(data: Path | None, *, compose: Path | None, facts: BinaryIO | None, quiet: bool, as_json: bool) -> None:
    """Say what is wrong with an installation, and how to repair it. Ends with 1 when something is."""
    out = Output(as_json=as_json)
    if compose or facts:
        found = looking.composed(looking.gathered(compose) if compose else cast("BinaryIO", facts).read())
        shown: dict[str, Any] = {}
    else:
        settings = _settings(data)
        found, shown = [*checks(settings)], masked(settings)
    rows = [msgspec.structs.asdict(check) for check in found if not quiet or check.status == WRONG]
    if shown and not quiet:
        out.record_with_table(shown, rows, COLUMNS, whole={"settings": shown, "checks": rows})
    elif rows or as_json:
        out.table(rows, COLUMNS, empty="")
    if any(check.status == WRONG for check in found):
        raise SystemExit(1)


def _settings(data: Path | None) -> Settings:
    try:
        return environment.effective(environment.variables(), data=data)
    except ConfigurationError as error:
        raise click.ClickException(error.message) from error


def masked(settings: Settings) -> dict[str, Any]:
    """Return settings as people may see them: passwords in addresses are masked."""
    plain = msgspec.to_builtins(settings, enc_hook=str)
    return {name: without_password(value) if isinstance(value, str) else value for name, value in plain.items()}


def without_password(text: str) -> str:
    """Mask the password of an address, in its user part or its query; a text that is no address stays as it is."""
    if "password=" in text:
        head, _, tail = text.partition("password=")
        text = head + "password=" + MASK + tail[min((tail.find(end) for end in "& " if end in tail), default=len(tail)) :]
    try:
        parts = urlsplit(text)
        secret = parts.password
    except ValueError:
        return MASK
    if secret is None:
        return text
    user, host = (parts.username or ""), parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{MASK}@{host}"))


def checks(settings: Settings) -> Iterator[Check]:
    """Run every check; none stops the others."""
    yield _checked("data folder", lambda: _data_folder(settings.data))
    yield _checked("key ring", lambda: _key_ring(settings))
    yield _checked("memory", looking.memory)
    yield _checked("disk", lambda: looking.disk(settings.data))
    yield _checked("clock", looking.clock)
    yield _checked("database", lambda: _database(settings))
    yield _checked("appliance", lambda: _appliance(settings))
    yield _checked("bots", lambda: _bots(settings))
    yield _checked("road", lambda: _road(settings))
    yield _checked("alerts", lambda: _alerts(settings))


def _checked(name: str, look: Callable[[], tuple[str, str]]) -> Check:
    try:
        status, detail = look()
    except (Failure, BotsteadError) as error:
        status, detail = WRONG, error.message
    return Check(check=name, status=status, detail=detail)


def _data_folder(data: Path) -> tuple[str, str]:
    if not data.exists():
        return MISSING, f"{data} is made by `botstead up`."
    if not (data.is_dir() and os.access(data, os.W_OK | os.X_OK)):
        return WRONG, f"{data} is not a folder that this user can write to. Change its owner, or give --data."
    return OK, str(data)


def _key_ring(settings: Settings) -> tuple[str, str]:
    path = key_ring_path(settings)
    if not path.exists():
        return MISSING, f"{path} is made at first start."
    ring = keyring.load(path)
    return OK, f"{len(ring.keys)} keys, current {ring.current}"


def _database(settings: Settings) -> tuple[str, str]:
    dsn = settings.postgres or _running(settings.data).get("postgres", "")
    if not dsn:
        return MISSING, "The embedded one runs while the appliance does. `botstead up` starts it."
    return OK, asyncio.run(_look_at_database(dsn))


async def _look_at_database(dsn: str) -> str:
    connection = await postgres.connect(dsn, application="doctor")
    try:
        await postgres.check_safe(connection)
        await migrate.check(connection)
        return f"Postgres {await connection.fetchval('SHOW server_version')}, safe settings, schema up to date"
    finally:
        await connection.close()


def _appliance(settings: Settings) -> tuple[str, str]:
    url = _running(settings.data).get("url")
    if not url:
        return MISSING, "It does not run. `botstead up` starts it."
    report = find(data=settings.data, url=None, key_file=None).call("GET", "/health")
    status = str(report["status"])
    return (OK if status in {"ok", "degraded"} else WRONG), f"{url} says {status}"


def _bots(settings: Settings) -> tuple[str, str]:
    """Whether each bot runs, and has the secrets that its bot.toml names."""
    if not _running(settings.data).get("url"):
        return MISSING, "It does not run. `botstead up` starts it."
    found = list(find(data=settings.data, url=None, key_file=None).items("/v1/bots", limit=MOST_BOTS))
    problems = [f"{bot['name']}: {bot['problem']}" for bot in found if bot["problem"]]
    return (WRONG, " ".join(problems)) if problems else (OK, f"{len(found)} without a problem")


def _road(settings: Settings) -> tuple[str, str]:
    """Whether a message would get through: what the canary found last."""
    if not _running(settings.data).get("url"):
        return MISSING, "It does not run. `botstead up` starts it."
    try:
        found = find(data=settings.data, url=None, key_file=None).call("GET", "/v1/bots/canary/channels")["items"]
    except Failure:
        return MISSING, "There is no canary, so nobody tries: see BOTSTEAD_CANARY_URL and BOTSTEAD_CANARY_SECONDS."
    health = found[0]["health"] if found else None
    if health is None:
        return MISSING, "The canary has not sent anything yet. Ask again in a quarter of a minute."
    return (OK if health["status"] == "ok" else WRONG), f"{health['detail']} (canary, {found[0]['health_at']})"


def _alerts(settings: Settings) -> tuple[str, str]:
    """Whether somebody would hear of a fault: everything is scraped, every rule is loaded, and Alertmanager is there."""
    if settings.prometheus == NONE:
        return MISSING, "Switched off by the setting prometheus."
    if note := distribution.missing():
        return MISSING, note
    running = _running(settings.data)
    url, teller = running.get("prometheus"), running.get("alertmanager")
    if not url or not teller:
        return MISSING, "Prometheus and Alertmanager run while the appliance does. `botstead up` starts it."
    seen = read_watched(*(_asked(f"{url}/api/v1/{what}") for what in ("targets?state=active", "rules", "alertmanagers")))
    if seen.down or seen.broken or not seen.tellers:
        said = [f"not scraped: {', '.join(seen.down)}"] * bool(seen.down)
        said += [f"broken rules: {', '.join(seen.broken)}"] * bool(seen.broken)
        return WRONG, "; ".join(said) or "Prometheus knows no Alertmanager. See its log in the data folder."
    return OK, f"{seen.targets} targets, {seen.rules} rules; {url}/alerts, {teller}"


def _asked(url: str) -> dict[str, Any]:
    """Ask Prometheus (https://prometheus.io/docs/prometheus/latest/querying/api/)."""
    try:
        with urlopen(url, timeout=ASK_SECONDS) as answer:  # noqa: S310  # an address that our own appliance wrote down
            return dict(msgspec.json.decode(answer.read())["data"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{url} does not answer: {error}. See logs/prometheus.log in the data folder.") from error


def _running(data: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode((data / NAME).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return {}
