"""The till as a process: `python -m botstead.processes.prove.till PORT LOG`. Says `till_ready` when it serves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from botstead.processes.prove.serving import Log, listen
from botstead.processes.prove.till.api import Till


async def serve(port: int, log: Path) -> None:
    """Serve until the process ends.

    Args:
        port: loopback port.
        log: file that remembers.
    """
    server = await listen(port, Till(Log(log), base=f"http://127.0.0.1:{port}").serve)
    sys.stdout.write("till_ready\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    """Run it.

    Args:
        arguments: port and file of the log.
    """
    uvloop.run(serve(int(arguments[0]), Path(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
