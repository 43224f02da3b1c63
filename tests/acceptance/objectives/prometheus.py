"""A real Prometheus with our rules, in which an hour is a minute."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest

from botstead.operate.alerting.files import rule_files
from botstead.operate.alerting.rules import Time
from tests.servers import free_port, wait_until

SCALE = Fraction(1, 60)
SCRAPE = 0.25
"""Seconds between two scrapes: as many in a step of the rules as in an installation, 15 s in 300."""


class Prometheus:
    """Scrapes processes, evaluates what is generated of `alerts/`, answers questions."""

    def __init__(self, folder: Path, targets: dict[str, int]) -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("there is no Prometheus here: apt-get install prometheus")
        folder.mkdir()
        for name, text in rule_files(Time(SCALE)).items():
            (folder / name).write_text(text)
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"instance": f"{job}-a"}}]}
            for job, port in targets.items()
        ]
        config = {
            "global": {
                "scrape_interval": f"{SCRAPE * 1000:g}ms",
                "scrape_timeout": f"{SCRAPE * 1000:g}ms",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(folder / "*.rules.yml")],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self.port = free_port()
        command = (
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        )
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        wait_until(self._ready, seconds=20, what="Prometheus")

    def _ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=1) as answer:
            return answer.status == 200
        return False

    def ask(self, query: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Values by their labels, without name, `slo` and `service`."""
        address = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
        hidden = {"__name__", "slo", "service"}
        return {
            tuple(sorted((name, value) for name, value in one["metric"].items() if name not in hidden)): float(one["value"][1])
            for one in found
        }

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)
