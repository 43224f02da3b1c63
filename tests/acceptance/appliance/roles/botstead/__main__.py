"""`python -m botstead run ROLE …` and `migrate`, without a road: serves probes, notes its life, fails when told to.

`ROLES_NOTES` is a file that gets a line for each start and stop. `ROLES_FAIL` is `role:status:last words`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Probes, an echo of what arrived, a stream of three events."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        if self.path.endswith("/events"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for number in range(3):
                self.wfile.write(f"data: {number}\n\n".encode())
                self.wfile.flush()
                time.sleep(float(os.environ.get("ROLES_EVENT_SECONDS", "0.3")))
            self.close_connection = True
            return
        self.answer(b"ok\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self.chunks()
        note(f"POST {self.path} {len(body)}")
        if self.path.endswith("/crash") and crashing.pop(self.path, True):
            crashing[self.path] = False
            self.connection.close()
            self.close_connection = True
            return
        told = [f"{name.lower()}: {value}" for name, value in self.headers.items()]
        self.answer("\n".join(told).encode())

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


crashing: dict[str, bool] = {}
"""Paths that have broken once already."""


def note(line):
    """Leave a line for the test."""
    with Path(os.environ["ROLES_NOTES"]).open("a") as notes:
        notes.write(line + "\n")


def main():
    """Play one role. `up` starting itself again is the real one."""
    if sys.argv[1] == "up":
        code = "from botstead.processes.cli.main import main; import os, sys; os.environ['PYTHONPATH'] = sys.argv.pop(1); main()"
        roles = os.environ.pop("PYTHONPATH")
        os.execv(sys.executable, [sys.executable, "-c", code, roles, *sys.argv[1:]])
    role = sys.argv[2] if sys.argv[1] == "run" else sys.argv[1]
    failing, status, words = [*os.environ.get("ROLES_FAIL", "::").split(":", 2), "", ""][:3]
    if role == failing:
        print(words, file=sys.stderr, flush=True)
        sys.exit(int(status))
    note(f"start {role}")
    if role == "migrate":
        return
    ports = ["METRICS_PORT", "API_PORT"] if role == "api" else ["METRICS_PORT"]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    for name in ports:
        server = ThreadingHTTPServer(("127.0.0.1", int(os.environ[f"BOTSTEAD_{name}"])), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{role} up", flush=True)
    ended.wait()
    note(f"stop {role}")


main()
