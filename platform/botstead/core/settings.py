"""Every setting, once: its name, default, meaning. One frozen object, built in `processes/` and passed down.

Sources, later ones win: `botstead.toml`, `BOTSTEAD_*` variables, `BOTSTEAD_*_FILE` (a file's content, for secrets),
command-line options. An unknown name is an error that suggests the nearest known one.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from botstead.core.errors import ConfigurationError

PREFIX = "BOTSTEAD_"
LIST_SEPARATOR = ","


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The effective settings of a process."""

    data: Path = Path(".botstead")
    """Folder of everything that must survive: database, keys, logs, bots."""
    host: str = "127.0.0.1"
    """Address that the edge binds."""
    port: int = 8080
    """Port that the edge binds."""
    public_url: str = ""
    """The address that providers reach, such as https://bots.example.org; empty when there is none."""
    postgres: str = ""
    """DSN of a Postgres 16 or newer; empty starts the embedded one."""
    valkey: str = ""
    """URL of a Valkey; empty starts the embedded one, «none» runs without."""
    bots: tuple[Path, ...] = ()
    """Folders of bots, besides the shipped samples; default: `bots/` in the data folder."""
    samples: bool = True
    """Load the shipped samples."""
    egress_allow: tuple[str, ...] = ()
    """Private addresses, `host:port` or ranges that the egress guard lets through."""
    key_ring: Path | None = None
    """File of encryption keys; default: `keys.json` in the data folder, made at first start."""
    instance: str = ""
    """Stable name of this process among its role (api-a, worker-1); a restarted worker buries its own past by it."""
    api_port: int = 0
    """Port of an API process; 0 picks a free one."""
    metrics_port: int = 0
    """Port of this process's internal listener (metrics and health), loopback unless `metrics_host` says otherwise."""
    metrics_host: str = "127.0.0.1"
    """Address of the internal listener."""
    log_level: str = "info"
    """debug, info, warning or error."""
    log_folder: Path | None = None
    """Folder in which this process keeps its log too, for a collector to read: at most 30 MB; empty: nowhere."""
    drain_seconds: float = 5.0
    """After SIGTERM, how long an API process still serves while it already says «not ready»."""
    stop_seconds: float = 25.0
    """After SIGTERM, how long running handlers and sends may take before they are handed back."""
    body_limit: int = 1_048_576
    """The largest request body, in bytes."""
    backlog_limit: int = 200_000
    """Messages waiting in the inbox above which ingest answers 503."""
    lease_seconds: float = 10.0
    """A worker that has not renewed for this long is dead to the others."""
    prometheus: str = ""
    """Empty starts Prometheus and Alertmanager with the appliance where they are installed; «none» runs without."""
    scrape_seconds: float = 15.0
    """Seconds between two scrapes of the appliance's own Prometheus."""
    look_seconds: float = 10.0
    """Seconds between two looks of the leading scheduler at all that others stand on; half as much again for channels."""
    canary_url: str = ""
    """Where the canary's messages go in: the edge, or an API process. The appliance sets it; empty: no canary."""
    canary_seconds: float = 15.0
    """Seconds between two of the canary's messages; 0: no canary."""
    payment_seconds: float = 25.0
    """Seconds that a payment provider may take to answer, all tries of one question together."""
    payment_patience_seconds: float = 60.0
    """Seconds after which a provider is asked about a payment of which it has not said how it ended; ten times as long while the
    person may still pay."""
    otlp_endpoint: str = ""
    """Base URL of an OpenTelemetry collector that takes OTLP over HTTP, such as http://127.0.0.1:4318; empty: none."""
    otlp_headers_file: Path | None = None
    """File of headers for the collector, one `name: value` a line: it may hold a key."""
    trace_ratio: float | None = None
    """Share of messages, 0 to 1, that are traced though nothing is wrong with them; 0.01 with a collector, else 0."""
    weather_base: str = ""
    """Base URL of an Open-Meteo server; empty uses the public one."""
    weather_geocoding_base: str = ""
    """Base URL of an Open-Meteo geocoding server; empty uses the public one."""
    llm_base: str = ""
    """Base URL of a server with OpenAI's chat completions, such as https://api.openai.com/v1, for bots that name no other."""
    llm_model: str = ""
    """The model that bots ask that name no other."""
    llm_key_file: Path | None = None
    """File of the key for `llm_base`: one key for all bots."""

    @property
    def canary(self) -> bool:
        """Whether the canary sends."""
        return bool(self.canary_url) and self.canary_seconds > 0


def load(
    values: Mapping[str, str], *, file: Mapping[str, Any] | None = None, read: Callable[[str], str] | None = None
) -> Settings:
    """Build settings from an environment and a parsed `botstead.toml`.

    Args:
        values: environment variables; only `BOTSTEAD_*` are looked at.
        file: the parsed configuration file, or None.
        read: reads the file that a `*_FILE` variable names; None refuses such variables.

    Raises:
        ConfigurationError: an unknown name or an unreadable value; the message names it.
    """
    hints = get_type_hints(Settings)
    found: dict[str, Any] = {}
    for name, value in (file or {}).items():
        found[_known(name, name, hints)] = value
    from_files: dict[str, Any] = {}
    for variable, text in values.items():
        if not variable.startswith(PREFIX) or variable in _OTHER_VARIABLES:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in hints and name.endswith("_file"):
            name = _known(name.removesuffix("_file"), variable, hints)
            from_files[name] = _read(variable, text, read)
        else:
            found[_known(name, variable, hints)] = text
    found |= from_files
    return Settings(**{name: _convert(name, value, hints[name]) for name, value in found.items()})


_OTHER_VARIABLES = frozenset({"BOTSTEAD_VENV", "BOTSTEAD_PYTHON", "BOTSTEAD_CONFIG"})
"""Variables of the scripts, not settings."""


def _known(name: str, shown: str, hints: Mapping[str, Any]) -> str:
    if name in hints:
        return name
    near = difflib.get_close_matches(name, hints, n=1)
    suggestion = f" Did you mean {near[0]}?" if near else ""
    raise ConfigurationError(f"Unknown setting {shown}.{suggestion}")


def _read(variable: str, path: str, read: Callable[[str], str] | None) -> str:
    if read is None:
        raise ConfigurationError(f"{variable} is not supported here.")
    try:
        return read(path).strip()
    except OSError as error:
        raise ConfigurationError(f"{variable} names {path}, which cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{variable} names {path}, which is not UTF-8 text.") from error


def _convert(name: str, value: Any, kind: Any) -> Any:
    try:
        return _converted(value, kind)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"Setting {name} cannot be {value!r}.") from error


def _converted(value: Any, kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        return None if value == "" else _converted(value, get_args(kind)[0])
    if kind is bool:
        return _truth(value)
    if kind in (int, float, str, Path):
        return kind(value)
    parts = value.split(LIST_SEPARATOR) if isinstance(value, str) else value
    item = get_args(kind)[0]
    stripped = (part.strip() if isinstance(part, str) else part for part in parts)
    return tuple(item(part) for part in stripped if part)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(text)
