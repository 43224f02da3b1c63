"""Each check passes on a sound installation, and says so when the one thing that it looks at is broken."""

import msgspec
import pytest

from botstead.processes.checking import MISSING, OK, WARNING, WRONG
from botstead.processes.composed.checks import CHECKS, checks
from botstead.processes.composed.facts import Container, Database, Disk, Facts, Memory, SecretFile, Watched
from botstead.processes.composed.lint import read
from tests.unit.processes.composed.test_lint import good

GIB = 2**30
OURS = "sha256:" + "a" * 64


def sound():
    config = read(msgspec.json.encode(good()))
    containers = [
        Container(
            service=name,
            image=OURS if name in {"api-a", "worker"} else "other",
            hash="1",
            status="exited" if name == "migrate" else "running",
            health="healthy",
            published=("0.0.0.0:443/tcp",) if name == "edge" else (),
        )
        for name in config.services
    ]
    containers.append(Container(service="api-b", image=OURS, hash="1", status="running"))
    return Facts(
        engine="28.5.2",
        compose="2.40.3-3",
        memory=Memory(2 * GIB, GIB, GIB),
        disks=(Disk("/", 40 * GIB, 20 * GIB),),
        synchronized=True,
        env=("# written by init", "BOTSTEAD_DOMAIN=bots.example.org", "BOTSTEAD_VERSION=1.2.3", "GREETING='a $5 #bot'"),
        secrets=(
            SecretFile("secrets", 0o700, 4096, folder=True),
            SecretFile("secrets/receivers", 0o755, 4096, folder=True),
            SecretFile("secrets/postgres_password", 0o444, 32),
        ),
        domain="bots.example.org",
        resolves=True,
        config=config,
        containers=tuple(containers),
        hashes={"worker": "1", "absent": "1"},
        database=Database("18.6", "b", "1", "1", 0, 16_000_000, 90_000_000, None),
        canary=(40, 0),
        watched=Watched((), 7, (), 90, 1),
        receivers=("page", "heartbeat"),
    )


def with_container(service, **changes):
    def change(facts):
        return {
            "containers": tuple(
                msgspec.structs.replace(each, **changes) if each.service == service else each for each in facts.containers
            )
        }

    return change


def without(service):
    return lambda facts: {"containers": tuple(each for each in facts.containers if each.service != service)}


def database(**changes):
    return lambda facts: {"database": msgspec.structs.replace(facts.database, **changes)}


def having(**changes):
    return lambda _facts: changes


SECRET = SecretFile("secrets/key", 0o444, 9)
FAULTS = [
    ("engine", WRONG, "No Docker", having(engine="")),
    ("engine", WRONG, "or newer", having(engine="24.0.9")),
    ("engine", WRONG, "or newer", having(compose="2.19.1")),
    ("engine", WRONG, "or newer", having(compose="")),
    ("engine", WARNING, "controller", having(warnings=("WARNING: No memory limit support",))),
    ("memory", WRONG, "worker", with_container("worker", killed_for_memory=True)),
    ("memory", WARNING, "Add swap", having(memory=Memory(GIB, GIB // 100, 0))),
    ("memory", MISSING, "Not known", having(memory=None)),
    ("disk", WARNING, "before", having(disks=(Disk("/", 40 * GIB, 4 * GIB),))),
    ("disk", WRONG, "now", having(disks=(Disk("/", 40 * GIB, 20 * GIB), Disk("/data", 400 * GIB, 10 * GIB)))),
    ("disk", WRONG, "/small", having(disks=(Disk("/small", GIB, GIB // 2),))),
    ("disk", WRONG, "2%", having(disks=(Disk("/", 40 * GIB, 20 * GIB, 0.02),))),
    ("disk", MISSING, "Not known", having(disks=())),
    ("clock", WARNING, "set-ntp", having(synchronized=False)),
    ("clock", MISSING, "chronyc", having(synchronized=None)),
    ("name", MISSING, "BOTSTEAD_DOMAIN", having(domain="")),
    ("name", WRONG, "AAAA", having(resolves=False)),
    ("name", MISSING, "authority", having(resolves=False, authority="internal")),
    ("settings", WRONG, "scripts/init", having(env=None)),
    ("settings", WARNING, "PASSWORD", having(env=("PASSWORD=a$b",))),
    ("settings", WARNING, "PASSWORD", having(env=('PASSWORD="a#b"',))),
    ("settings", WARNING, "PASSWORD", having(env=("PASSWORD='a'b'",))),
    ("settings", WARNING, "twice", having(env=("A=1", "B=2", "A=3"))),
    ("secrets", WRONG, "scripts/init", having(secrets=())),
    ("secrets", WRONG, "chmod 700", having(secrets=(SecretFile("secrets", 0o755, 1, folder=True), SECRET))),
    ("secrets", WRONG, "empty", having(secrets=(SecretFile("secrets/key", 0o444, 0),))),
    ("secrets", WRONG, "chmod 444", having(secrets=(SecretFile("secrets/key", 0o400, 9),))),
    ("compose files", WRONG, "required variable", having(config=None, config_error="required variable X is missing")),
    ("containers", MISSING, "up -d", having(containers=())),
    ("containers", WRONG, "edge is not there", without("edge")),
    (
        "containers",
        WRONG,
        "worker is unhealthy (no heartbeat)",
        with_container("worker", health="unhealthy", said="no heartbeat"),
    ),
    ("containers", WRONG, "worker is restarting", with_container("worker", status="restarting")),
    ("containers", WRONG, "migrate ended with status 78", with_container("migrate", exit_code=78)),
    ("containers", WRONG, "api-b is exited", with_container("api-b", status="exited", exit_code=1)),
    ("restarts", WARNING, "worker 4 times", with_container("worker", restarts=4)),
    ("release", WRONG, "interrupted", having(pending=True)),
    ("release", WRONG, "--current", with_container("api-b", image="sha256:b")),
    ("release", WARNING, "One API", without("api-b")),
    ("release", MISSING, "Nothing", having(containers=())),
    ("drift", WARNING, "worker", having(hashes={"worker": "2"})),
    ("ports", WRONG, "postgres", with_container("postgres", published=("127.0.0.1:5432/tcp",))),
    ("logs", WRONG, "worker", with_container("worker", log_bounded=False)),
    ("volumes", WRONG, "postgres /var/lib/postgresql", with_container("postgres", anonymous=("/var/lib/postgresql",))),
    ("database", WRONG, "fsync", database(unsafe=["fsync"])),
    ("database", WRONG, "checksums", database(failures=2)),
    ("database", MISSING, "not asked", having(database=None)),
    ("collation", WRONG, "REINDEX", database(actual="2.40")),
    ("collation", WARNING, "libc", database(provider="c")),
    ("collation", MISSING, "Not known", having(database=None)),
    ("passwords", WRONG, "ALTER ROLE", having(refusals=3)),
    ("write-ahead log", WARNING, "slot", database(slots=950_000_000)),
    ("write-ahead log", MISSING, "Not known", having(database=None)),
    ("road", MISSING, "scheduler", having(canary=None)),
    ("road", MISSING, "Ask again", having(canary=(0, 0))),
    ("road", WRONG, "None of 4", having(canary=(0, 4))),
    ("road", WARNING, "1 of 10", having(canary=(9, 1))),
    ("metrics", MISSING, "does not answer", having(watched=None)),
    ("metrics", WRONG, "api-b", having(watched=Watched(("api-b",), 7, (), 90, 1))),
    ("metrics", WRONG, "Burn", having(watched=Watched((), 7, ("Burn",), 90, 1))),
    ("metrics", WRONG, "none is loaded", having(watched=Watched((), 7, (), 0, 1))),
    ("alerts", MISSING, "does not answer", having(watched=None)),
    ("alerts", WRONG, "knows no", having(watched=Watched((), 7, (), 90, 0))),
    ("alerts", WRONG, "logs alertmanager", having(receivers=None)),
    ("alerts", WARNING, "Nobody", having(receivers=("heartbeat",))),
    ("heartbeat", WARNING, "dies", having(receivers=("page",))),
    ("heartbeat", MISSING, "does not answer", having(receivers=None)),
]


def test_a_sound_installation_passes():
    assert {each.check: each.status for each in checks(sound())} == dict.fromkeys(CHECKS, OK) | {"backup": MISSING}


@pytest.mark.parametrize(("check", "status", "said", "fault"), FAULTS, ids=[f"{each[0]}-{n}" for n, each in enumerate(FAULTS)])
def test_each_fault_is_told_with_its_repair(check, status, said, fault):
    facts = sound()
    broken = msgspec.structs.replace(facts, **fault(facts))
    found = {each.check: each for each in checks(broken)}[check]
    assert (found.status, said in found.detail) == (status, True), found
    assert found.detail.endswith(".") or found.status == OK or check == "compose files"


def test_a_file_that_breaks_a_rule_is_told():
    config = good()
    config["services"]["postgres"]["ports"] = [{"target": 5432, "published": "5432"}]
    facts = msgspec.structs.replace(sound(), config=read(msgspec.json.encode(config)))
    found = {each.check: each for each in checks(facts)}["compose files"]
    assert (found.status, found.detail.partition(":")[0]) == (WARNING, "postgres")


def test_a_backup_that_runs_is_seen():
    facts = sound()
    facts = msgspec.structs.replace(facts, containers=(*facts.containers, Container(service="backup", status="running")))
    assert {each.check: each.status for each in checks(facts)}["backup"] == OK


def test_every_check_has_a_fault_that_it_finds():
    assert set(CHECKS) == {check for check, *_ in FAULTS} | {"backup"}


def test_nothing_known_is_no_crash():
    assert {each.status for each in checks(Facts())} <= {OK, MISSING, WARNING, WRONG}
