"""Puts one fault into a copy of the package, and plays the experiment that has to notice."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import msgspec

from tests.mutations.mutations import Mutation

PACKAGE = Path(__file__).parents[2] / "platform" / "botstead"
ALERTS = PACKAGE.parents[1] / "alerts"
"""What a wheel has inside the package."""
SCRATCH = Path("/var/tmp")
SECONDS = 240.0
SEED = 1_234


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a mutation.

    Args:
        name: of the mutation.
        promise: that it should break.
        experiment: that was played.
        caught: whether the experiment says that this promise is broken.
        how: the broken figures, or what happened instead.
        seconds: how long it took.
    """

    name: str
    promise: str
    experiment: str
    caught: bool
    how: str
    seconds: float


def apply(mutation: Mutation, package: Path) -> None:
    """Change a copy of the package.

    Raises:
        ValueError: a text is not there exactly once.
    """
    for edit in mutation.edits:
        path = package / edit.file
        text = path.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{mutation.name}: {edit.old!r} is {text.count(edit.old)} times in {edit.file}, not once")
        path.write_text(text.replace(edit.old, edit.new))


def try_out(mutation: Mutation, *, package: Path = PACKAGE) -> Found:
    """Play the experiment on a mutated copy; the copy is gone afterwards.

    Raises:
        ValueError: the mutation does not fit the package any more.
    """
    folder = Path(tempfile.mkdtemp(prefix="botstead-mutation-", dir=SCRATCH))
    try:
        copy = folder / "package" / "botstead"
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache"))
        shutil.copytree(ALERTS, copy / "operate" / "alerts", dirs_exist_ok=True)
        apply(mutation, copy)
        began = time.monotonic()
        caught, how = _judged(mutation, _play(mutation, _interpreter(folder, copy.parent)))
        return Found(
            name=mutation.name,
            promise=mutation.promise,
            experiment=mutation.experiment,
            caught=caught,
            how=how,
            seconds=round(time.monotonic() - began, 1),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _interpreter(folder: Path, before: Path) -> Path:
    """Return an interpreter that finds the copy first, and everything else where we do; so do the processes that it starts."""
    venv.create(folder / "env", symlinks=True)
    packages = next((folder / "env").glob("lib/python*/site-packages"))
    (packages / "mutated.pth").write_text("\n".join([str(before), *site.getsitepackages()]) + "\n")
    return folder / "env" / "bin" / "python"


def _play(mutation: Mutation, python: Path) -> subprocess.CompletedProcess[str]:
    words = ("--only", mutation.experiment, "--scale", "small", "--seed", str(SEED), "--json")
    command = [str(python), "-m", "botstead", "prove", *words]
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    ran = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=python.parent)
    try:
        out, err = ran.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        ran.terminate()
        out, err = ran.communicate(timeout=60)
    return subprocess.CompletedProcess(command, ran.returncode, out, err)


def _judged(mutation: Mutation, done: subprocess.CompletedProcess[str]) -> tuple[bool, str]:
    try:
        result: dict[str, Any] = json.loads(done.stdout)["results"][0]
    except (ValueError, LookupError):
        return False, f"no report, exit status {done.returncode}: {done.stderr[-300:]}"
    if result.get("folder"):
        shutil.rmtree(result["folder"], ignore_errors=True)
    broken = [figure for figure in result["figures"] if not figure["holds"]]
    said = "; ".join(f"{each['promise']} {each['name']}: {_value(each['value'])} ({each['wanted']})" for each in broken)
    caught = done.returncode == 1 and any(each["promise"] == mutation.promise for each in broken)
    return caught, said or f"{result['outcome']} {result['why']}"


def _value(value: float | None) -> str:
    """JSON has no infinity."""
    return "never" if value is None else f"{value:g}"
