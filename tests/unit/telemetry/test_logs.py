"""One JSON object a line, with ids and without secrets."""

import asyncio
import errno
import gc
import io
import json
import logging
import logging.handlers
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from botstead.core.errors import ConfigurationError, HandlerFailed
from botstead.core.secret import Secret
from botstead.telemetry.logs import FILES, LARGEST_FILE, JsonLines, configure, described, event, masked, take_uncaught, trace_id

logger = logging.getLogger("botstead.test")
TOKEN = "123456789:AAHk3v0dE5_fakefakefakefakefakefake"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    found = io.StringIO()
    configure("info", found, role="worker", instance="worker-1")
    yield found
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def kept(stream: io.StringIO, tmp_path: Path) -> Iterator[Path]:
    """A folder in which lines are kept too."""
    configure("info", stream, role="worker", instance="worker-1", folder=tmp_path)
    yield tmp_path
    for handler in logging.getLogger().handlers:
        handler.close()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_fields(stream: io.StringIO) -> None:
    event(logger, "lease_lost", level=logging.WARNING, partition=3, text="two\nlines")
    (line,) = lines(stream)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "lease_lost",
        "role": "worker",
        "instance": "worker-1",
        "logger": "botstead.test",
        "partition": 3,
        "text": "two\nlines",
    }


def test_the_trace_of_the_running_code_is_added(stream: io.StringIO) -> None:
    token = trace_id.set("ab" * 16)
    event(logger, "taken")
    trace_id.reset(token)
    event(logger, "idle")
    first, second = lines(stream)
    assert first["trace"] == "ab" * 16
    assert "trace" not in second


def test_events_below_the_level_are_not_written(stream: io.StringIO) -> None:
    event(logger, "detail", level=logging.DEBUG)
    assert stream.getvalue() == ""


def test_what_libraries_write_comes_out_in_the_same_form(stream: io.StringIO) -> None:
    logging.getLogger("asyncpg").warning("pool of %s is %d%% full", "x", 90)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    first, second = lines(stream)
    assert (first["event"], first["message"], first["logger"]) == ("log", "pool of x is 90% full", "asyncpg")
    assert "DeprecationWarning: old" in second["message"]


def test_a_format_that_does_not_fit_its_arguments_still_makes_a_line() -> None:
    record = logging.LogRecord("library", logging.ERROR, "", 1, "%d", ("not a number",), None)
    assert json.loads(JsonLines(role="api", instance="api-a").format(record))["message"] == "%d"


def test_chatty_clients_are_only_heard_when_something_is_wrong(stream: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST https://example.org")
    assert stream.getvalue() == ""


def test_an_exception_is_type_text_and_where(stream: io.StringIO) -> None:
    try:
        try:
            int("x")
        except ValueError as error:
            raise LookupError(f"no {TOKEN}") from error
    except LookupError as error:
        event(logger, "failed", exception=error)
    (line,) = lines(stream)
    found = line["exception"]
    assert (found["type"], found["text"]) == ("LookupError", "no …")
    assert found["causes"] == ["ValueError: invalid literal for int() with base 10: 'x'"]
    assert "test_logs.py" in found["stack"][-1]
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    "secret", [TOKEN, "bsk_ab12cd_S3cretS3cretS3cret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "xoxb-1234-abcdefgh"]
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(stream: io.StringIO, secret: str) -> None:
    event(logger, "odd", field=f"https://api.example.org/bot{secret}/send", nested={"list": [secret, {"deep": (secret,)}]})
    logging.getLogger("library").error("refused %s", secret)
    logging.getLogger("library").error("refused", exc_info=RuntimeError(secret))
    assert secret not in stream.getvalue()
    assert secret[-8:] not in stream.getvalue()
    assert len(lines(stream)) == 3


def test_a_secret_value_is_never_shown() -> None:
    assert masked({"token": Secret("hidden"), "all": [Secret("hidden")]}) == {"token": "Secret(…)", "all": ["Secret(…)"]}


def test_odd_values_never_break_a_line(stream: io.StringIO) -> None:
    loop: list[object] = []
    loop.append(loop)
    event(logger, "odd", loop=loop, surrogate="\ud800", bytes=b"\xff", long="x" * 5_000, infinite=float("inf"), object=object())
    (line,) = lines(stream)
    assert len(line["long"]) == 2_001
    assert line["infinite"] is None


def test_a_field_cannot_pose_as_the_process(stream: io.StringIO) -> None:
    event(logger, "odd", role="admin", instance="x", ts=0)
    (line,) = lines(stream)
    assert (line["role"], line["instance"]) == ("worker", "worker-1")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="debug, info"):
        configure("loud", io.StringIO(), role="api", instance="api-a")


def test_what_a_handler_raised_is_told_by_its_kind_alone():
    """Its words may quote what people wrote."""
    try:
        try:
            int("my secret diary")
        except ValueError as error:
            raise HandlerFailed("weather: forecast() raised ValueError at bot.py line 7.") from error
    except HandlerFailed as error:
        found = described(error)
    assert found["causes"] == ["ValueError"]
    assert found["text"] == "weather: forecast() raised ValueError at bot.py line 7."
    assert "diary" not in repr(found)


def test_lines_are_kept_for_a_collector_as_they_are_written(stream: io.StringIO, kept: Path) -> None:
    trace_id.set("0123456789abcdef0123456789abcdef")
    event(logger, "started", port=1)
    assert (kept / "worker-1.jsonl").read_text() == stream.getvalue()
    (line,) = lines(stream)
    assert {"ts", "level", "trace", "role", "instance"} <= set(line)  # what compose/collector/logs.yaml takes out of it


def test_what_is_kept_has_an_end(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (handler,) = (one for one in logging.getLogger().handlers if isinstance(one, logging.handlers.RotatingFileHandler))
    monkeypatch.setattr(handler, "maxBytes", 2_000)
    for number in range(200):
        event(logger, "tick", number=number)
    files = sorted(path.name for path in kept.iterdir())
    assert files == ["worker-1.jsonl", "worker-1.jsonl.1", "worker-1.jsonl.2"]
    assert sum(path.stat().st_size for path in kept.iterdir()) <= 3 * 2_000
    assert (LARGEST_FILE, FILES) == (10_000_000, 3)


class _Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_stream_as_it_is(
    stream: io.StringIO, kept: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (handler,) = (one for one in logging.getLogger().handlers if isinstance(one, logging.handlers.RotatingFileHandler))
    monkeypatch.setattr(handler, "stream", _Full())
    event(logger, "tick")
    monkeypatch.undo()
    assert [line["event"] for line in lines(stream)] == ["tick"]
    assert capfd.readouterr().err == ""


def test_a_folder_that_cannot_be_written_is_named(stream: io.StringIO, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"log folder .* cannot be written: No such file"):
        configure("info", stream, role="worker", instance="worker-1", folder=tmp_path / "nowhere")


SAID = "password of the CRM"


def test_what_a_task_of_a_handler_raised_is_told_by_its_kind_alone(stream: io.StringIO) -> None:
    """Nobody took it, so the library logs it, with its words in a message of several lines."""

    async def fail() -> None:
        raise ValueError(SAID)

    async def forget() -> None:
        asyncio.get_running_loop().create_task(fail())  # forgotten on purpose
        await asyncio.sleep(0)

    asyncio.run(forget())
    gc.collect()
    (line,) = lines(stream)
    assert line["message"] == "Task exception was never retrieved"
    assert line["exception"]["type"] == "ValueError"
    assert line["exception"]["stack"][-1].endswith(" fail")
    assert SAID not in stream.getvalue()


class Careless:
    def __del__(self) -> None:
        raise ValueError(SAID)


def test_what_a_thread_or_a_finalizer_raised_is_told_by_its_kind_alone(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(error: BaseException) -> None:
        raise error

    monkeypatch.setattr(threading, "excepthook", None)
    monkeypatch.setattr(sys, "unraisablehook", None)
    take_uncaught()
    for error in (ValueError(SAID), SystemExit(SAID)):
        thread = threading.Thread(target=fail, args=(error,))
        thread.start()
        thread.join()
    Careless()
    gc.collect()
    thread_failed, finalizer_failed = lines(stream)
    assert (thread_failed["event"], finalizer_failed["event"]) == ("thread_failed", "finalizer_failed")
    assert {each["raised"]["type"] for each in (thread_failed, finalizer_failed)} == {"ValueError"}
    assert SAID not in stream.getvalue() + "".join(capfd.readouterr())
