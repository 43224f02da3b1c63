"""Who is paged: a receiver of Alertmanager's webhooks that remembers what came and when."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Note:
    """One alert in one message. `at`: monotonic seconds."""

    at: float
    status: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def alert(self) -> str:
        return self.labels["alertname"]

    def fits(self, alert: str, labels: Mapping[str, str]) -> bool:
        return self.alert == alert and labels.items() <= self.labels.items()


class Receiver:
    """Listens on loopback. `answer` is the status that it gives."""

    def __init__(self) -> None:
        self.answer = 200
        self.notes: list[Note] = []
        self.beats = 0
        self._something = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        with self._something:
            if path == "/beat":
                self.beats += 1
            else:
                now = time.monotonic()
                self.notes += [Note(now, found["status"], found["labels"]) for found in json.loads(body)["alerts"]]
            self._something.notify_all()

    def wait(self, fits: Callable[[Note], bool], *, since: float, seconds: float) -> Note | None:
        """The first note since a moment that fits, or None when there was none in time."""
        deadline = time.monotonic() + seconds
        with self._something:
            while True:
                for note in self.notes:
                    if note.at >= since and fits(note):
                        return note
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._something.wait(left)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(receiver.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Pages are remembered, not printed."""

    return Handler
