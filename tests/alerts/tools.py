"""Prometheus' and Alertmanager's own tools, in every version that is here: promtool and amtool on the PATH, and those in the
folders that `BOTSTEAD_TEST_ALERT_TOOLS` names (separated by colons)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

INSTALL = "apt-get install prometheus prometheus-alertmanager"


@cache
def tools(name: str) -> list[str]:
    """Every version of a tool."""
    places = [found for found in [shutil.which(name)] if found]
    folders = [folder for folder in os.environ.get("BOTSTEAD_TEST_ALERT_TOOLS", "").split(":") if folder]
    return places + [str(Path(folder) / name) for folder in folders if (Path(folder) / name).exists()]


def need(name: str) -> list[str]:
    """Every version of a tool, or a skip."""
    found = tools(name)
    if not found:
        pytest.skip(f"There is no {name} here; install it with `{INSTALL}`.")
    return found


def run(*command: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def failures(promtool: str, rules: Mapping[str, Any], tests: Mapping[str, object]) -> str:
    """What `promtool test rules` has to say against rules, by a test file; "" when all is as expected."""
    with tempfile.TemporaryDirectory(prefix="botstead-rules-", dir="/var/tmp") as folder:
        (Path(folder) / "r.rules.yml").write_text(written(rules), "utf-8")
        file = Path(folder) / "test.yml"
        file.write_text(written({"rule_files": ["r.rules.yml"], **tests}), "utf-8")
        done = run(promtool, "test", "rules", str(file))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def read(text: str) -> Any:
    """What a YAML file says; some ten times faster than PyYAML's own parser."""
    return yaml.load(text, Loader=_Loader)  # a safe one


def written(document: object) -> str:
    """A document as YAML."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: object) -> bool:
        return True
