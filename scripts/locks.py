"""The lock files: every package with its version and hashes, written by uv from pyproject.toml. See scripts/README.md."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRA = "embedded"
LOCKS = {"requirements-dev.lock": ("build", "dev"), "requirements.lock": ("build",)}
"""Lock file to the dependency groups in it, besides the project's own dependencies and `EXTRA`. In order: each keeps to
the versions of the one before, so what is tested is what runs."""
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def requirements(project: dict, groups: tuple[str, ...]) -> list[str]:
    """Return what a lock file must satisfy."""
    found = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"][EXTRA]]
    return [*found, *(item for group in groups for item in project["dependency-groups"][group])]


def command(project: dict, groups: tuple[str, ...]) -> str:
    """Return the line at the top of a lock file. It changes when the requirements do."""
    wanted = [project["project"]["requires-python"], *sorted(requirements(project, groups))]
    return f"scripts/generate  # requirements {hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16]}"


def write(project: dict, name: str, constraint: str | None, *, upgrade: bool) -> None:
    """Let uv write one lock file, keeping the versions in it."""
    lowest = project["project"]["requires-python"].removeprefix(">=")
    arguments = ["pyproject.toml", "--extra", EXTRA, "--output-file", name, "--python-version", lowest]
    arguments += [word for group in LOCKS[name] for word in ("--group", group)]
    arguments += ["--custom-compile-command", command(project, LOCKS[name])]
    arguments += ["--universal", "--generate-hashes", "--no-emit-index-url", "--no-config", "--quiet"]
    arguments += ["--constraint", constraint] if constraint else []
    arguments += ["--upgrade"] if upgrade else []
    subprocess.run([sys.executable, "-m", "uv", "pip", "compile", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def problems(project: dict, name: str) -> Iterator[str]:
    """Say what is wrong with a lock file, without asking a package index."""
    text = (ROOT / name).read_text()
    if command(project, LOCKS[name]) not in text:
        yield f"{name} was not generated from the requirements as they are"
    if "://" in text:
        yield f"{name} names a host"
    pins = dict(PIN.findall(text))
    for wanted in map(Requirement, requirements(project, LOCKS[name])):
        pin = pins.get(canonicalize_name(wanted.name))
        if pin is None or not wanted.specifier.contains(pin, prereleases=True):
            yield f"{name} has {pin or 'nothing'} for {wanted}"


def main() -> None:
    """Write or check all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--upgrade", action="store_true", help="take newer versions")
    choice.add_argument("--check", action="store_true", help="write nothing; fail when something would change")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    if not options.check:
        before = None
        for name in LOCKS:
            write(project, name, before, upgrade=options.upgrade)
            before = name
    found = [problem for name in LOCKS for problem in problems(project, name)]
    if found:
        sys.exit("\n".join([*found, "Run scripts/generate and commit what it writes."]))


if __name__ == "__main__":
    main()
