"""Those who watch an appliance on Compose: what `configure` writes for them fits what Compose starts, for each profile and edge."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from botstead.processes.cli.configure import configure
from botstead.processes.composed.lint import lint, read
from botstead.processes.composed.watching import PROFILES
from tests.alerts.tools import need, run
from tests.compose.configured import ALL, call, written
from tests.compose.rendered import EDGES, SIZES, TREE, rendered

COMBINATIONS = ("", "scheduler,grafana", "scale,traces,exporters", ALL)
SILENT = {"postgres", "valkey", "migrate", "configure"}
"""Services without /metrics: the scheduler tells of the databases, and the others end."""
ROLES = {"api": "api", "worker": "worker", "scheduler": "scheduler"}
RECEIVERS = """
receivers:
  - {kind: telegram, chat: -100, token_file: telegram, gets: [page]}
  - {kind: slack, url_file: /receivers/slack}
  - {kind: discord, url_file: discord}
  - {kind: email, to: a@example.org, from: b@example.org, smarthost: "mail.example.org:587", username: b, password_file: mail}
  - {kind: webhook, url: "https://example.org/alerts", token_file: token}
  - {kind: ntfy, url: "https://ntfy.example.org/alerts", token_file: token}
  - {kind: heartbeat, url_file: ping}
"""
POSTED = """
receivers:
  - {kind: webhook, url: "https://example.org/alerts", token_file: token}
  - {kind: email, to: a@example.org, from: b@example.org, smarthost: "mail.example.org:587"}
  - {kind: heartbeat, url: "https://example.org/ping"}
"""


def targets(into: Path) -> list[dict]:
    return [entry for path in sorted((into / "targets").iterdir()) for entry in yaml.safe_load(path.read_text())]


def watched(config: dict) -> set[str]:
    return set(config["services"]) - SILENT


@pytest.mark.parametrize("profiles", COMBINATIONS)
def test_whoever_runs_is_scraped_and_nobody_else(tmp_path, given, profiles):
    config = rendered(profiles=profiles)
    found = targets(written(tmp_path, given, profiles))
    hosts = [address.partition(":")[0] for entry in found for address in entry["targets"]]
    assert sorted(hosts) == sorted(watched(config))
    prometheus = set(config["services"]["prometheus"]["networks"])
    for host in hosts:
        assert prometheus & set(config["services"][host]["networks"]), f"Prometheus does not reach {host}"


def test_names_are_those_of_the_slots(tmp_path, given):
    services = rendered(profiles=ALL)["services"]
    for entry in targets(written(tmp_path, given, ALL)):
        host, port = entry["targets"][0].split(":")
        role = ROLES.get(host.partition("-")[0])
        if role:
            command = services[host]["command"]
            assert entry["labels"] == {"job": role, "instance": command[command.index("--instance") + 1]}
            assert port == services[host]["environment"]["BOTSTEAD_METRICS_PORT"]
        elif host in ("edge", "prometheus", "alertmanager"):
            assert (entry["labels"]["job"], entry["labels"]["instance"]) == (host, host)  # as in the embedded appliance


@pytest.mark.parametrize(
    ("size", "edge"), [*((size, "caddy") for size in SIZES), *(("small", edge) for edge in EDGES if edge != "caddy")]
)
def test_they_are_hardened_and_nothing_waits_for_them(size, edge):
    watchers = {"configure", "prometheus", "alertmanager", "grafana", "collector", "tempo", "log-collector", "loki"}
    watchers |= {name for name in rendered(profiles=ALL)["services"] if name.endswith("-exporter")}
    config = rendered(size=size, profiles=ALL, edge=edge)
    assert [finding for finding in lint(read(json.dumps(config).encode())) if finding.service in watchers] == []
    for name, service in config["services"].items():
        if name not in watchers:
            assert not watchers & set(service.get("depends_on", {})), name


def test_on_nano_grafana_does_not_run_unless_called():
    assert "grafana" not in rendered(size="nano")["services"]
    assert "grafana" in rendered(size="small")["services"]


@pytest.mark.parametrize("edge", EDGES)
def test_only_the_edge_can_tell_grafana_who_asks(edge):
    services = rendered(profiles=ALL, edge=edge)["services"]
    neighbours = {
        net: {name for name, one in services.items() if net in one["networks"]} for net in services["grafana"]["networks"]
    }
    assert neighbours["grafana"] == {"grafana", "edge"}
    assert neighbours["watch"] == {
        "grafana",
        "prometheus",
        "alertmanager",
        "collector",
        "tempo",
        "log-collector",
        "loki",
        "configure",
    }
    assert set(neighbours) == {"grafana", "watch"}
    assert not services["grafana"].get("ports")


def test_who_watches_has_no_way_out_but_alertmanager():
    config = rendered(profiles=ALL)
    outside = {name for name, net in config["networks"].items() if not net.get("internal")}
    for name in (
        "prometheus",
        "grafana",
        "collector",
        "tempo",
        "log-collector",
        "loki",
        "configure",
        *(n for n in config["services"] if "exporter" in n),
    ):
        assert not outside & set(config["services"][name]["networks"]), name
    assert "egress" in config["services"]["alertmanager"]["networks"]


def test_prometheus_takes_the_configuration(tmp_path, given):
    into = written(tmp_path, given, ALL)
    text = (TREE / "compose" / "prometheus" / "prometheus.yml").read_text().replace("/configured", str(into))
    (tmp_path / "prometheus.yml").write_text(text)
    for promtool in need("promtool"):
        done = run(promtool, "check", "config", str(tmp_path / "prometheus.yml"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout


def test_alertmanager_takes_the_configuration(tmp_path, given):
    into = written(tmp_path, given, "", POSTED)
    for amtool in need("amtool"):
        done = run(amtool, "check-config", str(into / "alertmanager.yml"))
        assert done.returncode == 0, done.stdout + done.stderr


def test_secrets_stay_in_their_files_and_are_named_from_the_root(tmp_path, given):
    into = written(tmp_path, given, "", RECEIVERS)
    text = (into / "alertmanager.yml").read_text()
    assert "secret-" not in text
    named = re.findall(r"(?:_file|token_file|url_file): (\S+)", text)
    assert len(named) >= 7
    assert all(Path(path).is_file() for path in named), named


def test_links_lead_to_this_appliance(tmp_path, given):
    into = written(tmp_path, given, "")
    links = re.findall(r'_url: "([^"]+)"', "".join(path.read_text() for path in (into / "rules").iterdir()))
    starts = (
        "https://bots.example.org/grafana/d/",
        "https://bots.example.org/grafana/explore?",
        "https://bots.example.org/runbooks/",
    )
    assert len(links) > 200
    assert all(link.startswith(starts) for link in links)


def test_again_it_changes_nothing_and_removes_what_is_off(tmp_path, given):
    into = written(tmp_path, given, "scheduler,traces")
    first = {str(path): path.read_bytes() for path in into.rglob("*") if path.is_file()}
    assert all((path.stat().st_mode & 0o777) == 0o644 for path in into.rglob("*") if path.is_file())
    written(tmp_path, given, "scheduler,traces")
    assert {str(path): path.read_bytes() for path in into.rglob("*") if path.is_file()} == first
    written(tmp_path, given, "scheduler")
    gone = set(first) - {str(path) for path in into.rglob("*") if path.is_file()}
    assert {Path(path).name for path in gone} == {"traces.yml"}


@pytest.mark.parametrize(
    ("arguments", "receivers", "word"),
    [
        (("--profiles", "grafanna"), "", "There is no profile grafanna"),
        ((), "receivers: [{kind: telegram, chat: -1, token_file: nothing}]", "nothing is not there"),
        ((), "receivers: [{kind: telegramm, chat: -1}]", "line 1"),
        (("--given", "/nonexistent"), "", "is empty"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(tmp_path, given, arguments, receivers, word):
    told = tmp_path / "told"
    told.mkdir()
    if receivers:
        (told / "receivers.yml").write_text(receivers)
    done = call("--into", tmp_path / "configured", "--receivers", told, "--given", given, *arguments)
    assert done.exit_code == 78
    assert word in done.output
    assert not (tmp_path / "configured").exists()


def test_without_an_address_it_writes_no_links(tmp_path, given):
    done = CliRunner().invoke(configure, ["--into", str(tmp_path / "x"), "--given", str(given)], env={"BOTSTEAD_PUBLIC_URL": ""})
    assert (done.exit_code, "scripts/init" in done.output) == (78, True)


def test_profiles_are_those_of_the_compose_files():
    services = rendered(profiles="*")["services"]
    named = {profile for service in services.values() for profile in service.get("profiles", [])}
    assert named <= set(PROFILES)
