"""Logs are events, one JSON line each, with ids, never with message text or secrets.

`event(logger, "lease_lost", partition=3)` writes `{"ts": …, "level": "info", "event": "lease_lost", "role": …, "instance": …,
"trace": …, "logger": …, "partition": 3}`. The standard library's logging lies underneath, so that what libraries write comes
out in the same form, as event `log` with a `message`.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path, PurePath
from typing import Any, Final, TextIO

import msgspec

from botstead.core.errors import ConfigurationError, HandlerFailed
from botstead.core.secret import Secret

trace_id: Final[ContextVar[str]] = ContextVar("trace_id", default="")
"""The trace that the running code works for, 32 hex digits; whoever takes up a message sets it."""

LARGEST_FILE, FILES = 10_000_000, 3
"""Bytes of a file of the log, and how many are kept of an instance."""

_FIELDS = "botstead_fields"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_CHATTY = ("httpx", "httpcore", "aiohttp", "asyncio", "urllib3")
_UNCAUGHT = "asyncio"
"""The library that tells of exceptions which nobody took: those of a task that a handler began are among them."""
_LONGEST_TEXT = 2_000
_DEEPEST = 5
_MOST_FRAMES = 24
_SECRETS = re.compile(
    r"(?P<kind>bsk_|whsec_|whsk_|sk_live_|rk_live_|xox[a-z]-|Bearer\s+)[A-Za-z0-9+/=_.~-]{6,}"  # named ones keep their name
    r"|(?<!\d)\d{5,16}:[A-Za-z0-9_-]{24,}"  # a Telegram bot token
)


def configure(level: str, stream: TextIO, *, role: str, instance: str, folder: Path | None = None) -> None:
    """Send every log record of this process to one stream, as JSON lines.

    Args:
        level: debug, info, warning or error.
        stream: where the lines go, usually standard error.
        role: what this process is (api, worker).
        instance: its stable name (api-a).
        folder: where the lines are kept too, in a file of the instance's name; for whoever collects logs.

    Raises:
        ConfigurationError: there is no such level, or the folder cannot be written.
    """
    if level not in _LEVELS:
        raise ConfigurationError(f"There is no log level «{level}»; choose one of {', '.join(_LEVELS)}.")
    handlers: list[logging.Handler] = [logging.StreamHandler(stream), *([_kept(folder, instance)] if folder else [])]
    for handler in handlers:
        handler.setFormatter(JsonLines(role=role, instance=instance))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(_LEVELS[level])
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.WARNING))


class _Kept(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the base class names it so
        """Say nothing: the line is in the stream, and a full disk must not fill that with tracebacks."""


def _kept(folder: Path, instance: str) -> logging.Handler:
    try:
        return _Kept(folder / f"{instance}.jsonl", maxBytes=LARGEST_FILE, backupCount=FILES - 1, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The log folder {folder} cannot be written: {error.strerror}.") from error


def event(
    logger: logging.Logger,
    name: str,
    /,
    *,
    level: int = logging.INFO,
    exception: BaseException | None = None,
    **fields: object,
) -> None:
    """Write one event.

    Args:
        logger: the module's logger.
        name: what happened, snake_case, from a closed vocabulary; never a sentence.
        level: a level of the standard library's logging.
        exception: what was raised; its type, text and a compact stack are added.
        fields: ids, numbers and short words. Never the text of a message.
    """
    if logger.isEnabledFor(level):
        info = (type(exception), exception, exception.__traceback__) if exception else None
        logger.log(level, name, exc_info=info, extra={_FIELDS: fields}, stacklevel=2)


def masked(value: object) -> Any:
    """Return a value fit for a log line: secrets masked, long texts cut, unknown objects as their `repr`.

    Args:
        value: anything.
    """
    return _masked(value, _DEEPEST)


class JsonLines(logging.Formatter):
    """Turns a log record into one line of JSON."""

    def __init__(self, *, role: str, instance: str) -> None:
        """Build the formatter.

        Args:
            role: see `configure`.
            instance: see `configure`.
        """
        super().__init__()
        self._process = {"role": role, "instance": instance}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end.

        Args:
            record: what was logged.
        """
        fields: Mapping[str, object] | None = getattr(record, _FIELDS, None)
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"ts": moment, "level": record.levelname.lower(), "event": "log", **self._process}
        if trace := trace_id.get():
            line["trace"] = trace
        line["logger"] = record.name
        untold = record.name == _UNCAUGHT
        if fields is None:
            line["message"] = _text(_message(record).partition("\n")[0] if untold else _message(record))
        else:
            line |= {"event": record.msg} | {name: masked(value) for name, value in fields.items() if name not in _RESERVED}
        if record.exc_info and record.exc_info[1]:
            line["exception"] = kind_of(record.exc_info[1]) if untold else described(record.exc_info[1])
        return msgspec.json.encode(line).decode()


_RESERVED = frozenset({"ts", "level", "event", "role", "instance", "logger", "exception"})


def described(error: BaseException) -> dict[str, Any]:
    """Return an exception as type, masked text and compact stack, its causes included.

    Of what an author's handler raised only the kind is told: its words may quote what people wrote. They stand in the dead
    letter, for those who may read messages.

    Args:
        error: what was raised.
    """
    found: dict[str, Any] = {"type": type(error).__qualname__, "text": _text(str(error)), "stack": _stack(error)}
    causes: list[str] = []
    quotes = isinstance(error, HandlerFailed)
    cause = error.__cause__
    while cause is not None and len(causes) < _DEEPEST:
        causes.append(type(cause).__qualname__ if quotes else _text(f"{type(cause).__qualname__}: {cause}"))
        cause = cause.__cause__
    if isinstance(error, BaseExceptionGroup):
        found["inside"] = [described(inner) for inner in error.exceptions[:_DEEPEST]]
    return found | ({"causes": causes} if causes else {})


def kind_of(error: BaseException) -> dict[str, Any]:
    """Return an exception as type and compact stack, without its words: those of an author may quote anything.

    Args:
        error: what was raised.
    """
    return {"type": type(error).__qualname__, "stack": _stack(error)}


def take_uncaught() -> None:
    """Log what threads and finalizers raise and nobody takes, by its kind alone; Python would print its words."""
    threading.excepthook = lambda failed: _uncaught("thread_failed", failed.exc_value)
    sys.unraisablehook = lambda failed: _uncaught("finalizer_failed", failed.exc_value)


def _uncaught(name: str, error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        event(logging.getLogger(__name__), name, level=logging.ERROR, raised=kind_of(error))


def _stack(error: BaseException) -> list[str]:
    """Return where it was raised, innermost last, without source lines: those can hold literals."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    return [f"{'/'.join(PurePath(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}" for frame in frames][-_MOST_FRAMES:]


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # a library's format string and arguments do not fit; the template still helps
        return str(record.msg)


def _masked(value: object, depth: int) -> Any:
    if isinstance(value, Secret):
        return repr(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _text(value)
    if depth and isinstance(value, Mapping):
        return {_text(str(name)): _masked(item, depth - 1) for name, item in value.items()}
    if depth and isinstance(value, Iterable) and not isinstance(value, bytes | bytearray):
        return [_masked(item, depth - 1) for item in value]
    return _text(str(value) if isinstance(value, BaseException | PurePath) else repr(value))


def _text(text: str) -> str:
    clean = text if text.isascii() else text.encode("utf-8", "replace").decode()
    found = _SECRETS.sub(lambda match: f"{match['kind'] or ''}…", clean)
    return found if len(found) <= _LONGEST_TEXT else f"{found[:_LONGEST_TEXT]}…"
