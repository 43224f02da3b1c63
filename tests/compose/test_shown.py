"""What Grafana, the Collectors, Tempo and Loki are told: their files fit each other, the boards, and what Compose starts."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import pytest
import yaml

from tests.compose.configured import ALL, written
from tests.compose.rendered import TREE, rendered

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
