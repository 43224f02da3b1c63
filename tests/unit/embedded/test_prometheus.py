"""What Prometheus is told: stable names, loopback only, limits; and that it believes the file."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import yaml

from botstead.core.errors import ConfigurationError
from botstead.processes.embedded import alertmanager, distribution, prometheus
from botstead.processes.embedded.prometheus import Site, Target

SITE = Site(
    port=9090,
    targets=(Target(job="api", instance="api-a", port=1), Target(job="worker", instance="worker-a", port=2)),
    rules={"a.rules.yml": "groups: []\n"},
    alertmanager=9093,
    scrape_seconds=2.5,
)


def test_targets_have_stable_names_and_are_on_loopback():
    found = {
        group["labels"]["instance"]: (group["labels"]["job"], group["targets"]) for group in json.loads(prometheus.targets(SITE))
    }
    assert found == {
        "api-a": ("api", ["127.0.0.1:1"]),
        "worker-a": ("worker", ["127.0.0.1:2"]),
        "prometheus": ("prometheus", ["127.0.0.1:9090"]),
        "alertmanager": ("alertmanager", ["127.0.0.1:9093"]),
    }


def test_how_it_is_run(tmp_path):
    program = prometheus.prepare(tmp_path, SITE, program="/usr/bin/prometheus")
    assert "--web.listen-address=127.0.0.1:9090" in program.command
    assert "--enable-feature=exemplar-storage" in program.command
    assert any(word.startswith("--storage.tsdb.retention.size=") for word in program.command)
    assert not program.essential
    assert (tmp_path / "prometheus" / "prometheus.yml").stat().st_mode & 0o077 == 0


def test_rules_that_are_no_more_are_removed(tmp_path):
    prometheus.prepare(tmp_path, SITE, program="p")
    prometheus.prepare(tmp_path, Site(port=1, targets=(), rules={"b.rules.yml": "groups: []\n"}), program="p")
    assert [path.name for path in (tmp_path / "prometheus" / "rules").iterdir()] == ["b.rules.yml"]


def test_prometheus_believes_it(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip(f"There is no promtool here: {distribution.INSTALL}")
    prometheus.prepare(tmp_path, SITE, program="p")
    command = [promtool, "check", "config", str(tmp_path / "prometheus" / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_without_alertmanager_none_is_named(tmp_path):
    settings = prometheus.configuration(tmp_path, Site(port=1, targets=(), rules={}))
    assert "alerting" not in settings
    assert yaml.safe_load(yaml.safe_dump(settings)) == settings


def test_alertmanager_is_alone_and_private(tmp_path):
    program = alertmanager.prepare(tmp_path, port=7, program="a", configuration="route: {}\n")
    assert {"--cluster.listen-address=", "--web.listen-address=127.0.0.1:7"} <= set(program.command)
    assert (tmp_path / "alertmanager" / "alertmanager.yml").stat().st_mode & 0o077 == 0


def test_versions_are_read(tmp_path):
    for program in ("prometheus", "alertmanager"):
        if path := distribution.find(program):
            told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
            assert "version {}.{}".format(*distribution.version(path)) in told.stdout + told.stderr
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\n")
    silent.chmod(0o755)
    for path in (str(silent), str(tmp_path / "absent")):
        with pytest.raises(ConfigurationError, match="does not tell"):
            distribution.version(path)


def test_what_is_missing_is_said_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (
        distribution.missing() == f"Prometheus and Alertmanager are not installed, so nobody is alerted: {distribution.INSTALL}"
    )
    for name in ("prometheus", "alertmanager"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        if name == "prometheus":
            assert distribution.missing().startswith("Alertmanager is not installed")
    assert distribution.missing() == ""
