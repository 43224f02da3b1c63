# ruff: noqa: INP001  # a program of its own, in an image
"""Asks one HTTP address whether all is well, without curl: `python -I -S /probe.py PATH_OR_URL`. Ends with 0 or 1.

A path is asked of this container's internal listener. It is run every 20 s in each container, so it imports little: a start
takes some 15 ms of CPU with `-I -S`, and would take ten times that with an HTTP client.
"""

import os
import socket
import sys

PATIENCE = 3.0
"""Seconds for the whole question."""


def main(target: str) -> str:
    """Ask, and return what is wrong, or nothing.

    Args:
        target: `/health/ready`, or `http://host:port/path`.
    """
    if target.startswith("/"):
        target = f"http://127.0.0.1:{os.environ['BOTSTEAD_METRICS_PORT']}{target}"  # noqa: TID251  # there is no package here
    host, _, path = target.removeprefix("http://").partition("/")
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name, int(port)), PATIENCE) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode("ascii"))
            # To its end: whoever is cut off in the middle of an answer writes that into its log.
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except (OSError, ValueError) as error:
        return f"{target}: {error}"
    line = answer[:64].decode("latin-1").partition("\r\n")[0]
    return "" if line.split(" ")[1:2] == ["200"] else f"{target}: {line or 'no answer'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) or 0)
