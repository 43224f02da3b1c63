"""Each rule finds its fault and lets a good file pass: a fault is put into a file that keeps every rule."""

import copy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.composed.lint import RULES, lint, read
from botstead.processes.composed.lint.model import Service, seconds
from botstead.processes.composed.lint.storage import unguarded

HARD = {
    "read_only": True,
    "init": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "deploy": {"resources": {"limits": {"memory": "67108864", "pids": 64}}},
    "logging": {"driver": "local", "options": {"max-size": "10m", "max-file": "3"}},
    "restart": "unless-stopped",
    "networks": {"data": None},
}


def probe(*words, kind="CMD"):
    return {"test": [kind, *words], "interval": "30s", "start_interval": "1s", "start_period": "1m0s"}


def good():
    own = {"image": "example.org/botstead:1.2.3", "pull_policy": "never", "user": "65532:65532"}
    check = {"healthcheck": probe("python", "-I", "-S", "/probe.py", "/health/ready")}
    return {
        "services": {
            "postgres": HARD
            | {
                "image": "postgres:18.6-bookworm",
                "user": "999:999",
                "environment": {
                    "POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password",
                    "POSTGRES_INITDB_ARGS": "--locale-provider=builtin --builtin-locale=C.UTF-8",
                },
                "healthcheck": probe("pg_isready -q -h 127.0.0.1 -U botstead", kind="CMD-SHELL"),
                "volumes": [{"type": "volume", "source": "postgres", "target": "/var/lib/postgresql"}],
                "stop_grace_period": "2m0s",
            },
            "valkey": HARD
            | {
                "image": "valkey/valkey:9.1.2-alpine",
                "user": "999",
                "command": ["valkey-server", "--save", "", "--appendonly", "no"],
                "healthcheck": probe("valkey-cli ping | grep -q PONG", kind="CMD-SHELL"),
                "tmpfs": ["/data:mode=0700"],
            },
            "migrate": HARD | own | {"restart": "no", "depends_on": {"postgres": {"condition": "service_healthy"}}},
            "api-a": HARD
            | own
            | check
            | {"stop_grace_period": "45s", "depends_on": {"migrate": {"condition": "service_completed_successfully"}}},
            "worker": HARD | own | check | {"stop_grace_period": "40s"},
            "edge": HARD
            | {
                "image": "caddy:2.11.7-alpine",
                "user": "1000",
                "cap_add": ["NET_BIND_SERVICE"],
                "ports": [{"target": 443, "published": "443"}],
                "healthcheck": probe("wget", "-q", "-O-", "http://127.0.0.1:2020/"),
                "volumes": [
                    {"type": "volume", "source": "certificates", "target": "/data"},
                    {"type": "volume", "source": "edge", "target": "/config"},
                ],
            },
            "prometheus": HARD
            | {
                "image": "prom/prometheus:v3.14.0",
                "user": "65534",
                "volumes": [{"type": "volume", "source": "prometheus", "target": "/prometheus"}],
            },
            "grafana": HARD
            | {
                "image": "grafana/grafana:13.1.2",
                "user": "472",
                "environment": {"GF_SERVER_ENABLE_GZIP": "false"},
                "healthcheck": probe("curl", "-f", "http://127.0.0.1:3000/api/health"),
                "volumes": [{"type": "volume", "source": "grafana", "target": "/var/lib/grafana"}],
                "depends_on": {"prometheus": {"condition": "service_started"}},
            },
            "postgres-exporter": HARD
            | {
                "image": "quay.io/prometheuscommunity/postgres-exporter:v0.20.1",
                "user": "65534",
                "command": ["--collector.stat_checkpointer"],
            },
        },
        "networks": {"data": {"internal": True}, "egress": None},
        "secrets": {"postgres_password": {"file": "/srv/secrets/postgres_password"}},
    }


def found(config):
    return lint(read(msgspec.json.encode(config)))


def test_a_good_file_passes():
    assert found(good()) == []


def test_our_image_may_have_any_name():
    config = good()
    for service in config["services"].values():
        service["image"] = service["image"].replace("example.org/botstead", "shop:5000/bots")
    assert found(config) == []


def change(path, value):
    """Return a change: a value at a path of keys; None takes it away."""

    def apply(config):
        *folders, last = path.split("/")
        for key in folders:
            config = config[int(key) if isinstance(config, list) else key]
        if value is None:
            del config[last]
        else:
            config[int(last) if isinstance(config, list) else last] = value

    return apply


FAULTS = [
    ("privileges", "postgres", change("services/postgres/user", "0:0")),
    ("privileges", "postgres", change("services/postgres/user", None)),
    ("privileges", "worker", change("services/worker/cap_drop", ["NET_RAW"])),
    ("privileges", "worker", change("services/worker/cap_add", ["NET_BIND_SERVICE"])),
    ("privileges", "edge", change("services/edge/cap_add", ["NET_BIND_SERVICE", "SYS_ADMIN"])),
    ("privileges", "worker", change("services/worker/security_opt", ["seccomp:unconfined"])),
    ("privileges", "worker", change("services/worker/privileged", True)),
    ("privileges", "worker", change("services/worker/network_mode", "host")),
    ("frozen", "edge", change("services/edge/read_only", False)),
    ("frozen", "edge", change("services/edge/init", None)),
    ("limits", "grafana", change("services/grafana/deploy", {"resources": {"limits": {"pids": 64}}})),
    ("limits", "grafana", change("services/grafana/deploy", {"resources": {"limits": {"memory": "1"}}})),
    (
        "engine-socket",
        "worker",
        change("services/worker/volumes", [{"type": "bind", "source": "/var/run/docker.sock", "target": "/sock"}]),
    ),
    ("engine-socket", "worker", change("services/worker/volumes", [{"type": "bind", "source": "/", "target": "/host"}])),
    ("secrets-are-files", "worker", change("services/worker/environment", {"SMTP_PASSWORD": "x"})),
    ("secrets-are-files", "", change("secrets/postgres_password", {"environment": "PASSWORD"})),
    ("image-pinned", "postgres", change("services/postgres/image", "postgres:18")),
    ("image-pinned", "edge", change("services/edge/image", "caddy")),
    ("image-pinned", "worker", change("services/worker/image", "botstead:latest")),
    ("image-pinned", "worker", change("services/worker/image", "localhost:5000/botstead")),
    ("image-pinned", "migrate", change("services/migrate/pull_policy", "missing")),
    ("image-gone", "prometheus", change("services/prometheus/image", "minio/minio:2025.1")),
    ("image-settings", "grafana", change("services/grafana/environment", {"GF_SERVER_ENABLE_GZIP": "true"})),
    ("image-settings", "postgres-exporter", change("services/postgres-exporter/command", [])),
    ("image-settings", "postgres", change("services/postgres/environment", {"POSTGRES_INITDB_ARGS": "--locale=de_DE"})),
    ("probe-runnable", "prometheus", change("services/prometheus/healthcheck", probe("wget", "-q", "http://127.0.0.1:9090"))),
    ("probe-runnable", "worker", change("services/worker/healthcheck", probe("curl -f http://127.0.0.1", kind="CMD-SHELL"))),
    ("probe-runnable", "valkey", change("services/valkey/healthcheck", probe("true && jq . | grep PONG", kind="CMD-SHELL"))),
    ("probe-present", "edge", change("services/edge/healthcheck", None)),
    ("probe-present", "edge", change("services/edge/healthcheck", {"disable": True, "test": ["CMD", "true"]})),
    ("probe-present", "migrate", change("services/migrate/healthcheck", probe("python", "-c", "pass"))),
    ("probe-address", "edge", change("services/edge/healthcheck", probe("wget", "-q", "http://localhost:2020"))),
    ("probe-address", "postgres", change("services/postgres/healthcheck", probe("pg_isready -q", kind="CMD-SHELL"))),
    ("probe-address", "valkey", change("services/valkey/healthcheck", probe("valkey-cli", "ping"))),
    ("probe-pace", "edge", change("services/edge/healthcheck/interval", "5s")),
    ("probe-pace", "edge", change("services/edge/healthcheck/start_interval", None)),
    ("probe-pace", "edge", change("services/edge/healthcheck/start_period", "0s")),
    ("only-edge-published", "postgres", change("services/postgres/ports", [{"target": 5432, "published": "5432"}])),
    (
        "only-edge-published",
        "grafana",
        change("services/grafana/ports", [{"target": 3000, "published": "3000", "host_ip": "127.0.0.1"}]),
    ),
    ("data-isolated", "postgres", change("services/postgres/networks", {"data": None, "egress": None})),
    ("never-on-observability", "worker", change("services/worker/depends_on", {"grafana": {}})),
    ("never-on-observability", "api-a", change("services/migrate/depends_on", {"prometheus": {}})),
    ("one-shot-adopted", "migrate", change("services/api-a/depends_on", {"migrate": {"condition": "service_started"}})),
    ("one-shot-adopted", "api-a", change("services/api-a/depends_on/postgres", {"restart": True})),
    ("restart-and-grace", "worker", change("services/worker/restart", "on-failure:5")),
    ("restart-and-grace", "worker", change("services/worker/stop_grace_period", None)),
    ("restart-and-grace", "postgres", change("services/postgres/stop_grace_period", "10s")),
    ("data-kept", "postgres", change("services/postgres/volumes/0/target", "/var/lib/postgresql/data")),
    ("data-kept", "postgres", change("services/postgres/volumes/0/source", "")),
    ("data-kept", "edge", change("services/edge/volumes/0/target", "/certificates")),
    ("valkey-forgets", "valkey", change("services/valkey/command", ["valkey-server"])),
    ("valkey-forgets", "valkey", change("services/valkey/command", ["valkey-server", "--save", "", "--appendonly", "yes"])),
    ("log-rotated", "worker", change("services/worker/logging", {"driver": "json-file"})),
    ("log-rotated", "worker", change("services/worker/logging", None)),
]


@pytest.mark.parametrize(("rule", "service", "fault"), FAULTS, ids=[f"{each[0]}-{n}" for n, each in enumerate(FAULTS)])
def test_each_fault_is_found(rule, service, fault):
    config = copy.deepcopy(good())
    fault(config)
    seen = {(each.rule, each.service) for each in found(config)}
    assert (rule, service) in seen
    assert seen <= {(rule, service), *((rule, other) for other in config["services"]), *ALSO.get(rule, ())}


ALSO = {
    "data-kept": {("data-kept", "postgres")},
    "image-gone": {("data-kept", "prometheus"), ("probe-present", "prometheus")},
    "probe-present": {("probe-pace", "edge")},
    "image-pinned": {("probe-runnable", "worker")},
    "never-on-observability": {("one-shot-adopted", "migrate")},
}
"""What else such a fault may break."""


def test_every_rule_has_a_fault_that_it_finds():
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in FAULTS}


def test_variables_that_are_empty_unset_are_found():
    texts = {"a.yaml": "image: ${IMAGE}\n# ${COMMENT}\nrun: $$PATH $NAME", "b.yaml": "x: ${A:?run init} ${B:-c} $${D}"}
    assert [name for name, _ in unguarded(texts)] == ["a.yaml", "a.yaml"]


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(1, 999))
def test_durations_are_read_as_go_writes_them(hours, minutes, secs, millis):
    text = f"{hours}h{minutes}m{secs}s{millis}ms"
    assert seconds(text) == pytest.approx(hours * 3600 + minutes * 60 + secs + millis / 1000)


@pytest.mark.parametrize("text", ["5", "5 s", "s", "1d", "-1s"])
def test_no_durations(text):
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("image", "repository", "tag", "short"),
    [
        ("postgres:18.6", "postgres", "18.6", "postgres"),
        ("localhost:5000/botstead", "localhost:5000/botstead", "", "botstead"),
        ("localhost:5000/a/caddy:2.1@sha256:00", "localhost:5000/a/caddy", "2.1", "caddy"),
    ],
)
def test_names_of_images(image, repository, tag, short):
    service = Service(image=image)
    assert (service.repository, service.tag, service.short) == (repository, tag, short)
