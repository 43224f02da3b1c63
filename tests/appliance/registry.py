"""A registry for images, in memory: enough of the protocol to push and to pull (github.com/opencontainers/distribution-spec)."""

import hashlib
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self):
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_GET(self):
        kind, _, name = self.path.rpartition("/")
        if self.path == "/v2/":
            return self._answer(200)
        found = self.server.manifests.get(name) if kind.endswith("/manifests") else self.server.blobs.get(name)
        if found is None:
            return self._answer(404)
        body, media_type = found
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        return self._answer(200, body, Content_Type=media_type, Docker_Content_Digest=digest)

    do_HEAD = do_GET

    def do_POST(self):
        self._answer(202, Location=f"{self.path.rstrip('/')}/one?at=0", Docker_Upload_UUID="one", Range="0-0")

    def do_PATCH(self):
        body = self.server.uploads[threading.get_ident()] = self._body()
        self._answer(202, Location=f"{self.path.partition('?')[0]}?of={threading.get_ident()}", Range=f"0-{len(body) - 1}")

    def do_PUT(self):
        body = self._body()
        if "/manifests/" in self.path:
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            for name in (digest, self.path.rpartition("/")[2]):
                self.server.manifests[name] = (body, self.headers["Content-Type"])
        else:
            digest = re.search(r"digest=([^&]+)", self.path)[1].replace("%3A", ":")
            of = re.search(r"of=(\d+)", self.path)
            self.server.blobs[digest] = (
                self.server.uploads.pop(int(of[1]), b"") + body if of else body,
                "application/octet-stream",
            )
        self._answer(201, Location=self.path, Docker_Content_Digest=digest)

    def log_message(self, *_):
        pass


@contextmanager
def registry():
    """Run one; yields its address. Engines take one on loopback without TLS."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.blobs, server.manifests, server.uploads = {}, {}, {}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
