"""Under a hundred requests a second through the edge: processes die and are replaced, and nobody outside notices.

A bad release of each kind is stopped where it shows: at its start, at its own health, at what the edge sees, at the canary.
"""

import json
import os
import signal
import subprocess

import pytest

from tests.appliance.site import Site, variant
from tests.appliance.traffic import until

PACKAGE = "/opt/botstead/lib/python3*/site-packages/botstead"
NAME = "botstead-upgrade"
QUICK = {"BOTSTEAD_UPGRADE_WAIT": "30", "BOTSTEAD_UPGRADE_SETTLE": "3"}


def breaks(file, expression):
    """Change a file of the package, and its byte code with it, which nobody checks."""
    return f"RUN sed -i '{expression}' {PACKAGE}/{file} && python -m compileall -q -f --invalidation-mode unchecked-hash {PACKAGE}/{file}"


BAD = {
    "no-program": ("RUN rm /opt/botstead/bin/python*", "does not start"),
    "migrates-not": ("RUN rm -r " + PACKAGE + "/core", "migrate failed"),
    "dies": (
        breaks(
            "processes/launch.py",
            's/^from __future__ import annotations/&\\nimport sys\\nif "api" in sys.argv: raise SystemExit(1)/',
        ),
        "api-a did not become healthy",
    ),
    "never-ready": (breaks("web/api/probes.py", "s#/health/ready#/health/never#"), "api-a did not become healthy"),
    "answers-nothing": (
        breaks("operate/canary_bot/bot.py", 's/^    return .*/    raise RuntimeError("broken")/'),
        "canary did not come",
    ),
}


@pytest.fixture(scope="module")
def first(image):
    name = f"{NAME}:first"
    subprocess.run(["docker", "tag", image, name], check=True)
    return name


@pytest.fixture(scope="module")
def site(first, tmp_path_factory):
    site = Site(
        tmp_path_factory.mktemp("site"), NAME, first, http=8480, https=8443,
        settings={"COMPOSE_PROFILES": "scheduler", "BOTSTEAD_CANARY_SECONDS": "3"},
    )  # fmt: skip
    site.prepare()
    try:
        site.up()
        yield site
    finally:
        site.down()
        listed = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
        names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
        gone = [each for each in names if each.startswith((f"{NAME}:", f"{NAME}-release:"))]
        subprocess.run(["docker", "image", "rm", *gone], check=False, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def traffic(site):
    with site.traffic() as flowing:
        yield flowing
    assert not flowing.lost(site), "acknowledged deliveries are not in the database"


@pytest.fixture(autouse=True)
def nobody_notices(traffic, request, capsys):
    with traffic.told(request.node.name, capsys):
        yield
    assert not traffic.failed


def image_of(site, service):
    return site.run("docker", "inspect", "-f", "{{.Config.Image}}", site.compose("ps", "-q", service).strip()).strip()


def upgrade(site, *words, **how):
    return site.run("scripts/upgrade", *words, **QUICK, **how)


def examined(site):
    return {each["check"]: each for each in json.loads(site.run("scripts/doctor", "--json", check=False))}


def test_the_doctor_knows_a_sound_installation(site):
    until(lambda: examined(site)["road"]["status"] != "missing", seconds=60, said=lambda: "the canary sends nothing")
    found = examined(site)
    sound = [
        "engine",
        "settings",
        "secrets",
        "compose files",
        "containers",
        "release",
        "drift",
        "ports",
        "logs",
        "volumes",
        "database",
    ]
    sound += ["collation", "passwords", "write-ahead log", "road", "metrics"]
    assert {name: found[name]["status"] for name in sound} == dict.fromkeys(sound, "ok"), found
    assert found["alerts"]["status"] == found["heartbeat"]["status"] == "warning", "nobody is named in receivers.yml"


def test_the_doctor_finds_what_is_broken(site):
    site.compose("stop", "scheduler")
    (site.folder / "secrets").chmod(0o755)
    with (site.folder / ".env").open("a") as file:
        file.write("API_MEMORY=200m\n")
    try:
        found = examined(site)
        assert site.status == 1
    finally:
        (site.folder / "secrets").chmod(0o700)
        lines = (site.folder / ".env").read_text().splitlines()
        (site.folder / ".env").write_text("\n".join(lines[:-1]) + "\n")
        site.compose("up", "-d", "--no-deps", "--wait", "scheduler")
    assert "scheduler is exited" in found["containers"]["detail"]
    assert found["secrets"]["detail"].endswith("chmod 700 secrets.")
    assert "api-a, api-b" in found["drift"]["detail"]
    assert "API_MEMORY" in found["settings"]["detail"]


def test_a_replica_that_is_killed(site, traffic):
    killed = site.compose("ps", "-q", "api-a").strip()
    pid = site.run("docker", "inspect", "-f", "{{.State.Pid}}", killed).strip()
    site.run(
        "docker",
        "exec",
        killed,
        "python",
        "-c",
        "import os; [os.kill(int(p), 9) for p in os.listdir('/proc') if p.isdigit() and int(p) not in (1, os.getpid())]",
        check=False,
    )
    site.compose("up", "-d", "--no-deps", "--wait", "api-a")
    assert site.run("docker", "inspect", "-f", "{{.State.Pid}}", killed).strip() != pid
    until(lambda: len(traffic.seconds) > 1000, seconds=60, said=lambda: traffic.report("killed"))
    traffic.under_way()


def test_every_process_is_replaced(site):
    before = site.compose("ps", "-q")
    upgrade(site, "--current")
    after = set(site.compose("ps", "-q").split())
    assert len(after & set(before.split())) == len(after) - 4


def test_another_release(site, first):
    new = variant(first, f"{NAME}:new", "LABEL release=new")
    said = upgrade(site, "--image", new)
    assert f"runs: {new}" in said
    assert {image_of(site, each) for each in ("api-a", "api-b", "worker", "scheduler")} == {new}
    assert "BOTSTEAD_VERSION=new\n" in (site.folder / ".env").read_text()


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_release_is_taken_back(site, first, kind):
    lines, shows = BAD[kind]
    was = image_of(site, "api-a")
    said = upgrade(site, "--image", variant(first, f"{NAME}:{kind}", lines), check=False)
    assert site.status == 1, said
    assert shows in said
    assert {image_of(site, each) for each in ("api-a", "api-b", "worker", "scheduler")} == {was}
    assert f"BOTSTEAD_VERSION={was.partition(':')[2]}\n" in (site.folder / ".env").read_text()
    assert "healthy" in site.compose("ps", "worker")


def test_an_upgrade_that_is_cut_short(site, first):
    was, journal = image_of(site, "api-a"), site.folder / "releases" / "journal"
    new = variant(first, f"{NAME}:cut", "LABEL release=cut")
    before = len(journal.read_text()) if journal.exists() else 0
    command = ["scripts/upgrade", "--image", new]
    running = subprocess.Popen(
        command, cwd=site.folder, env=site.environment | QUICK, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until(lambda: journal.exists() and "Replace api-b" in journal.read_text()[before:], seconds=120, said=running.poll)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait(10)
    found = examined(site)
    assert "interrupted" in found["release"]["detail"]
    site.run("scripts/rollback", **QUICK)
    assert {image_of(site, each) for each in ("api-a", "api-b", "worker", "scheduler")} == {was}
    assert not (site.folder / "releases" / "pending").exists()


def test_the_way_back(site, first):
    said = site.run("scripts/rollback", **QUICK)
    assert f"runs: {first}" in said
    assert image_of(site, "worker") == first
    told = site.run("scripts/upgrade", "--list")
    assert [line.split("\t")[1] for line in told.splitlines() if "failed" not in line] == ["1", "2", "3"]
