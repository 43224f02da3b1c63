"""Tests of the appliance on a real Docker engine. They run where BOTSTEAD_TEST_ENGINE names one, such as unix:///run/docker.sock.

Where no image registry can be reached, images of the test bed stand in for the public ones: each image that the files pin and the
engine lacks is tagged from the one below that is nearest. Grafana, Loki and Tempo have none, so tests leave their profiles out.
"""

import os
import re
import shutil
import subprocess

import pytest

from tests.appliance.engine import TREE, docker

ENGINE = os.environ.get("BOTSTEAD_TEST_ENGINE", "")
STANDS_IN = {
    "python": "python:3.13-slim",
    "postgres": "postgres:18",
    "valkey/valkey": "valkey/valkey:9",
    "caddy": "caddy:2.11",
    "haproxy": "haproxy:3.2",
    "nginx": "nginx:1.30",
    "prom/prometheus": "prom/prometheus:v3.5.3",
    "prom/alertmanager": "prom/alertmanager:v0.33.1",
    "quay.io/prometheuscommunity/postgres-exporter": "quay.io/prometheuscommunity/postgres-exporter:v0.19.1",
}
PINNED = re.compile(r"^\s*(?:image: |ARG PYTHON=)\"?([a-z0-9./-]+):([\w.-]+)\"?\s*$", re.MULTILINE)


def lacking():
    """Say why these tests cannot run here, or nothing."""
    if not ENGINE:
        return "no Docker engine is named by BOTSTEAD_TEST_ENGINE"
    if shutil.which("docker") is None:
        return "there is no program docker"
    asked = subprocess.run(["docker", "-H", ENGINE, "version"], capture_output=True, text=True, timeout=30, check=False)
    return f"the engine {ENGINE} does not answer: {asked.stderr.strip()}" if asked.returncode else ""


def pytest_collection_modifyitems(items):
    ours = [item for item in items if "tests/appliance/" in item.nodeid]
    if ours and (reason := lacking()):
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def engine():
    """The engine that every `docker` of these tests asks."""
    os.environ["DOCKER_HOST"] = ENGINE
    have = set(docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split())
    for file in [TREE / "compose" / "Dockerfile", *TREE.glob("compose/**/*.yaml")]:
        for name, tag in PINNED.findall(file.read_text()):
            if f"{name}:{tag}" not in have and STANDS_IN.get(name) in have:
                docker("tag", STANDS_IN[name], f"{name}:{tag}")
    return ENGINE


@pytest.fixture(scope="session")
def image(engine):
    """Our image, built once from this tree."""
    name = "botstead:tests"
    docker("build", "-q", "-f", str(TREE / "compose" / "Dockerfile"), "-t", name, str(TREE), seconds=300)
    return name
