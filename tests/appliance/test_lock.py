"""A lock holds images to their digest: when a tag is moved in the registry, what is pulled stays what it was."""

import shutil
import subprocess

import pytest

from tests.appliance.engine import TREE, docker
from tests.appliance.registry import registry

OWN = "botstead:lock-test"


def build(name, content):
    text = f"FROM scratch\nLABEL content={content}\n"
    subprocess.run(
        ["docker", "build", "-q", "-t", name, "-"], input=text, text=True, check=True, timeout=60, stdout=subprocess.DEVNULL
    )


def run(folder, *command):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def pinned():
    with registry() as address:
        name = f"{address}/library/thing:1.2.3"
        try:
            build(name, "first")
            build(OWN, "own")
            docker("push", "-q", name)
            yield name
        finally:
            docker("image", "rm", "-f", *docker("image", "ls", "-q", "--filter", f"reference={address}/*/*").split(), OWN)


@pytest.fixture
def folder(tmp_path, pinned):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "compose").mkdir()
    for name in ("lock", "compose.sh"):
        shutil.copy(TREE / "scripts" / name, tmp_path / "scripts")
    (tmp_path / ".env").write_text("BOTSTEAD_IMAGE=botstead\n")
    (tmp_path / "compose.yaml").write_text(f"name: lock\nservices:\n  thing:\n    image: {pinned}\n  api-a:\n    image: {OWN}\n")
    return tmp_path


def test_a_moved_tag_changes_nothing(folder, pinned):
    done = run(folder, "scripts/lock")
    assert done.returncode == 0, done.stderr
    assert "locks 1 services" in done.stdout
    lock = (folder / "compose" / "lock.yaml").read_text()
    assert f"# api-a: {OWN} was built here" in lock

    build(pinned, "second")  # somebody moves the tag
    docker("push", "-q", pinned)
    locked = run(
        folder, "docker", "compose", "-f", "compose.yaml", "-f", "compose/lock.yaml", "config", "--images", "thing"
    ).stdout.strip()
    assert locked.startswith(f"{pinned}@sha256:")
    docker("pull", "-q", locked)
    assert docker("image", "inspect", "-f", "{{.Config.Labels.content}}", locked) == "first"
    docker("pull", "-q", pinned)
    assert docker("image", "inspect", "-f", "{{.Config.Labels.content}}", pinned) == "second"


def test_an_image_of_no_registry_is_refused(folder):
    compose = folder / "compose.yaml"
    build("somebody:1.0", "local")
    compose.write_text(compose.read_text() + "  local:\n    image: somebody:1.0\n")
    try:
        done = run(folder, "scripts/lock")
    finally:
        docker("image", "rm", "-f", "somebody:1.0")
    assert done.returncode == 1
    assert "docker compose pull" in done.stderr
    assert not (folder / "compose" / "lock.yaml").exists()
