"""Those who watch an appliance on Compose: what `configure` writes for them fits what Compose starts, for each profile and edge."""

from __future__ import annotations

import configparser
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
from tests.compose.rendered import EDGES, SITE, SIZES, TREE, rendered

ALL = "scheduler,scale,grafana,traces,logs,exporters"
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


@pytest.fixture
def given(tmp_path) -> Path:
    """What compose/observability.yaml mounts, found by its own words."""
    for mount in rendered()["services"]["configure"]["volumes"]:
        if mount["target"].startswith("/given"):
            target = tmp_path / mount["target"].removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(mount["source"])
    return _real(tmp_path / "given")


def _real(folder: Path) -> Path:
    """A copy without links: the container sees none."""
    for path in [path for path in folder.rglob("*") if path.is_symlink()]:
        source = path.resolve()
        path.unlink()
        if source.is_dir():
            path.mkdir()
            for each in source.iterdir():
                (path / each.name).write_text(each.read_text())
        else:
            path.write_text(source.read_text())
    return folder


def written(tmp_path: Path, given: Path, profiles: str, receivers: str = "") -> Path:
    into, told = tmp_path / "configured", tmp_path / "receivers"
    told.mkdir(exist_ok=True)
    for name in ("telegram", "slack", "discord", "mail", "token", "ping"):
        (told / name).write_text("secret-" + name)
    if receivers:
        (told / "receivers.yml").write_text(receivers.replace("/receivers/", f"{told}/"))
    done = call("--profiles", profiles, "--into", into, "--receivers", told, "--given", given)
    assert done.exit_code == 0, done.output
    return into


def call(*arguments: object):
    return CliRunner().invoke(configure, list(map(str, arguments)), env={"BOTSTEAD_PUBLIC_URL": SITE["BOTSTEAD_PUBLIC_URL"]})


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


# Grafana and what it shows.


def ini() -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.read(TREE / "compose" / "grafana" / "grafana.ini")
    return found


def test_grafana_knows_no_password_and_no_internet():
    found = ini()
    assert found.getboolean("security", "disable_initial_admin_creation")
    assert found["security"]["secret_key"] == "$__file{/run/secrets/grafana_secret_key}"
    assert not found.getboolean("auth.basic", "enabled")
    assert not found.getboolean("auth.anonymous", "enabled")
    assert found.getboolean("auth", "disable_login_form")
    assert found["auth.proxy"]["header_name"] == "X-WEBAUTH-USER"
    assert not any(found.getboolean("analytics", key) for key in found["analytics"])
    assert not any("password" in key for section in found.sections() for key in found[section])
    service = rendered()["services"]["grafana"]
    assert not any("PASSWORD" in name for name in service["environment"])
    assert "grafana_secret_key" in [secret["source"] for secret in service["secrets"]]
    assert not found.getboolean("server", "enable_gzip")


def test_grafana_stands_below_the_path_that_the_edge_hands_on():
    found = ini()
    assert found["server"]["root_url"].endswith("/grafana/")
    assert found.getboolean("server", "serve_from_sub_path")
    for file in ("caddy/Caddyfile", "haproxy/haproxy.cfg", "nginx/nginx.conf"):
        text = (TREE / "compose" / "edge" / file).read_text()
        assert "/grafana" in text, file
        assert "grafana:3000" in text, file
        assert "X-WEBAUTH-USER" in text, file


def test_every_variable_of_grafanas_files_is_given(tmp_path, given):
    into = written(tmp_path, given, ALL)
    texts = [path.read_text() for path in (into / "grafana").rglob("*.yml")]
    texts.append((TREE / "compose" / "grafana" / "grafana.ini").read_text())
    named = {name for text in texts for name in re.findall(r"(?<!\$)\$(?:__env)?\{?([A-Z][A-Z_]+)", text)}
    assert {"BOTSTEAD_PROMETHEUS", "BOTSTEAD_URL", "BOTSTEAD_DASHBOARDS"} == named
    assert named <= set(rendered()["services"]["grafana"]["environment"])


def test_sources_are_those_that_boards_and_links_ask(tmp_path, given):
    sources = {}
    for path in sorted((written(tmp_path, given, ALL) / "grafana" / "datasources").iterdir()):
        for source in yaml.safe_load(path.read_text())["datasources"]:
            sources[source["uid"]] = source
    assert set(sources) == {"prometheus", "alertmanager", "tempo", "loki"}
    assert sources["prometheus"]["isDefault"]
    assert [uid for uid, source in sources.items() if source.get("isDefault")] == ["prometheus"]
    asked = {
        each["datasourceUid"]
        for each in sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
        if "datasourceUid" in each
    }
    asked |= {sources["tempo"]["jsonData"][to]["datasourceUid"] for to in ("tracesToMetrics", "tracesToLogsV2")}
    asked |= {each["datasourceUid"] for each in sources["loki"]["jsonData"]["derivedFields"]}
    assert asked <= set(sources)
    services = rendered(profiles=ALL)["services"]
    for source in sources.values():
        host = source["url"].partition("//")[2].partition(":")[0]
        assert host in services or source["url"] == "$BOTSTEAD_PROMETHEUS"
    kinds = {
        variable["query"] for board in boards() for variable in board["templating"]["list"] if variable["type"] == "datasource"
    }
    assert kinds == {"prometheus"}  # each board asks for a source of this type, and finds one


def boards() -> list[dict]:
    return [json.loads(path.read_text()) for path in (TREE / "dashboards" / "generated").glob("*.json")]


def test_boards_are_found_and_the_home_board_is_one():
    service = rendered()["services"]["grafana"]
    mounts = {mount["target"]: mount["source"] for mount in service["volumes"] if mount["type"] == "bind"}
    home = ini()["dashboards"]["default_home_dashboard_path"]
    assert service["environment"]["BOTSTEAD_DASHBOARDS"] in mounts
    assert (Path(mounts["/dashboards"]) / home.removeprefix("/dashboards/")).is_file()
    assert Path(mounts["/etc/grafana/grafana.ini"]).is_file()


# Traces and logs.


def loaded(name: str) -> dict:
    return yaml.safe_load((TREE / "compose" / name).read_text())


@pytest.mark.parametrize(("name", "kind", "service"), [("traces", "traces", "collector"), ("logs", "logs", "log-collector")])
def test_a_collector_is_whole_and_within_its_limits(name, kind, service):
    config = loaded(f"collector/{name}.yaml")
    assert list(config["service"]["pipelines"]) == [kind]
    pipeline = config["service"]["pipelines"][kind]
    for group in ("receivers", "processors", "exporters"):
        assert set(pipeline[group]) == set(config[group]), "what is not in the pipeline does nothing"
    assert pipeline["processors"][0] == "memory_limiter"
    started = rendered(profiles=ALL)["services"][service]
    limit = int(started["deploy"]["resources"]["limits"]["memory"])
    assert config["processors"]["memory_limiter"]["limit_mib"] * 1024 * 1024 < limit
    assert [mount["source"] for mount in started["volumes"] if mount["target"] == "/etc/collector.yaml"] == [
        str(TREE / "compose" / "collector" / f"{name}.yaml")
    ]
    port = config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]["port"]
    assert f"{service}:{port}" in {address for entry in loaded(f"prometheus/targets/{name}.yml") for address in entry["targets"]}


def test_spans_find_their_way():
    (exporter,) = loaded("collector/traces.yaml")["exporters"].values()
    tempo = loaded("tempo/tempo.yaml")
    port = tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert exporter["endpoint"] == f"http://tempo:{port}"
    assert f"tempo:{tempo['server']['http_listen_port']}" in str(loaded("prometheus/targets/traces.yml"))
    services = rendered(profiles=ALL)["services"]
    assert set(services["worker"]["networks"]) & set(services["collector"]["networks"])
    assert set(services["tempo"]["networks"]) & set(services["collector"]["networks"])


def test_lines_find_their_way():
    config, loki = loaded("collector/logs.yaml"), loaded("loki/loki.yaml")
    (exporter,) = config["exporters"].values()
    assert exporter["endpoint"] == f"http://loki:{loki['server']['http_listen_port']}/otlp"
    services = rendered(profiles=ALL)["services"]
    where = {mount["source"]: mount["target"] for mount in services["log-collector"]["volumes"]}["logs"]
    assert config["receivers"]["filelog"]["include"] == [f"{where}/*.jsonl"]
    for name in ("api-a", "api-b", "worker", "scheduler"):
        assert {"type": "volume", "source": "logs", "target": where, "volume": {}} in services[name]["volumes"]
        assert services[name]["environment"]["BOTSTEAD_LOG_FOLDER"] == ""  # nobody reads, nobody writes
    assert all(mount.get("read_only") for mount in services["log-collector"]["volumes"])
    told = {"ts", "level", "trace", "role", "instance"}  # tests/unit/telemetry/test_logs.py writes such lines
    assert {name for name in told if f"attributes.{name}" in str(config["receivers"])} == told


def test_lines_are_kept_on_the_volume_and_not_for_ever():
    loki = loaded("loki/loki.yaml")
    (volume,) = (mount["target"] for mount in rendered(profiles=ALL)["services"]["loki"]["volumes"] if mount["type"] == "volume")
    paths = (
        loki["common"]["path_prefix"],
        loki["compactor"]["working_directory"],
        *loki["common"]["storage"]["filesystem"].values(),
    )
    assert all(path == volume or path.startswith(volume + "/") for path in paths)
    assert loki["compactor"]["retention_enabled"]
    assert loki["limits_config"]["retention_period"] == loki["limits_config"]["max_query_lookback"] == "336h"
    assert loki["schema_config"]["configs"][-1]["schema"] == "v13"
    assert not loki["analytics"]["reporting_enabled"]


def test_traces_are_kept_on_the_volume_and_not_for_ever():
    tempo = loaded("tempo/tempo.yaml")
    (volume,) = (mount["target"] for mount in rendered(profiles=ALL)["services"]["tempo"]["volumes"] if mount["type"] == "volume")
    trace = tempo["storage"]["trace"]
    assert all(path.startswith(volume + "/") for path in (trace["local"]["path"], trace["wal"]["path"]))
    kept = {
        tempo["backend_scheduler"]["provider"]["compaction"]["compaction"]["block_retention"],
        tempo["backend_worker"]["compaction"]["block_retention"],
    }
    assert kept == {"168h"}
    assert tempo["usage_report"] == {"reporting_enabled": False}
