"""The internal listener: metrics and health of this process, served by a thread of its own.

A scrape then costs the event loop nothing, and a loop that is blocked is seen as what it is instead of as a missing target.
Bind it to loopback or to an internal network only: it answers whoever asks.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any, Final

import msgspec

from botstead.core.errors import ConfigurationError
from botstead.telemetry.catalog import EXPOSITION

PROBE_SECONDS: Final = 1.0
"""How long what a probe found is answered again without asking it."""

_HEALTH = "/health/"
_JSON = "application/json"
_CLIENT_SECONDS = 5.0
_STOP_SECONDS = 5.0


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe found.

    Args:
        ok: whether it is as it should be.
        checks: one word or short sentence a dependency.
        retry_after: seconds to name in `Retry-After` when it is not.
    """

    ok: bool
    checks: Mapping[str, str] = {}
    retry_after: int = 1


class Listener:
    """Serves `/metrics` and `/health/{live,ready,startup}`."""

    def __init__(self, host: str, port: int, probes: Mapping[str, Callable[[], Probe]]) -> None:
        """Build a listener; nothing is bound yet.

        Args:
            host: address to bind.
            port: port to bind; 0 picks a free one.
            probes: `live`, `ready`, `startup` to a function, called on the listener's thread at most once a second. It must
                not wait for anything: read a state that the event loop keeps. A probe that raises counts as not ok.
        """
        self._address = (host, port)
        self._probes = {name: _Remembered(probe) for name, probe in probes.items()}
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is bound, once started."""
        return self._server.server_port if self._server is not None else self._address[1]

    def start(self) -> None:
        """Bind and serve.

        Raises:
            ConfigurationError: the address cannot be bound.
        """
        host, port = self._address
        try:
            self._server = _Server((host, port), self._probes)
        except OSError as error:
            message = f"The internal listener cannot bind {host}:{port} ({error.strerror}). Choose another BOTSTEAD_METRICS_PORT."
            raise ConfigurationError(message) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and end the thread. Safe to repeat."""
        server, self._server = self._server, None
        thread, self._thread = self._thread, None
        if server is not None and thread is not None:
            server.shutdown()
            server.server_close()
            thread.join(_STOP_SECONDS)


class _Remembered:
    """A probe that is asked at most once a second, however often it is scraped."""

    def __init__(self, probe: Callable[[], Probe]) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        self._found: Probe | None = None
        self._until = 0.0

    def __call__(self) -> Probe:
        with self._lock:
            if self._found is None or time.monotonic() >= self._until:
                self._found = self._ask()
                self._until = time.monotonic() + PROBE_SECONDS
            return self._found

    def _ask(self) -> Probe:
        try:
            return self._probe()
        except Exception as error:  # noqa: BLE001  a broken probe is an answer: not ok, and why
            return Probe(ok=False, checks={"probe": type(error).__name__})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], probes: Mapping[str, Callable[[], Probe]]) -> None:
        self.probes = probes
        super().__init__(address, _Handler)

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Keep silent about a client that left before it had its answer, as a probe may: a log is for what is wrong."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _CLIENT_SECONDS
    server_version = "botstead"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            page = EXPOSITION.page(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, page.body, page.media_type)
        elif path.startswith(_HEALTH) and path.removeprefix(_HEALTH) in self.server.probes:
            found = self.server.probes[path.removeprefix(_HEALTH)]()
            status = HTTPStatus.OK if found.ok else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, msgspec.json.encode(found), _JSON, retry_after=0 if found.ok else found.retry_after)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"", _JSON)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Scrapes are not events."""

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, *, retry_after: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(body)
