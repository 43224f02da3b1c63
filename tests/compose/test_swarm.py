"""Stacks say what the compose files say, as far as a swarm understands it, and open nothing."""

import copy
import re
import subprocess
import sys

import pytest
import yaml

from botstead.processes.composed.swarm import STACKS, stacks
from tests.compose.rendered import TREE, rendered

WRITTEN = {name: yaml.safe_load((TREE / f"compose/swarm/{name}.yaml").read_text()) for name in STACKS}
UNKNOWN = {
    "build", "cgroup_parent", "container_name", "cpus", "depends_on", "develop", "devices", "env_file", "extends", "group_add", "ipc",
    "links", "mem_limit", "memswap_limit", "network_mode", "pid", "pids_limit", "post_start", "privileged", "profiles", "pull_policy",
    "restart", "security_opt", "shm_size", "tmpfs", "userns_mode",
}  # fmt: skip
"""Keys that `docker stack` refuses or passes over."""


def services():
    return [(name, service) for stack in WRITTEN.values() for name, service in stack["services"].items()]


def test_they_are_as_generated():
    done = subprocess.run(
        [sys.executable, "scripts/stacks.py", "--check"], cwd=TREE, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_what_changes_in_a_compose_file_changes_in_the_stack():
    config = copy.deepcopy(rendered(profiles="scheduler,scale"))
    before = stacks(config, {})["stack"]["services"]
    config["services"]["worker"]["environment"]["BOTSTEAD_LOG_LEVEL"] = "debug"
    config["services"]["edge"]["image"] = "caddy:2.12.0"
    after = stacks(config, {})["stack"]["services"]
    assert {name for name in after if after[name] != before[name]} == {"worker", "edge"}


@pytest.mark.parametrize(("name", "service"), services())
def test_a_service_has_only_what_a_swarm_understands(name, service):
    assert not service.keys() & UNKNOWN
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert (service["user"], service["read_only"], service["cap_drop"]) != ("0", True, [])
    assert ("ports" in service) == (name == "edge")
    assert all(mount["type"] != "bind" for mount in service.get("volumes", ()))
    if name != "migrate":
        assert service["deploy"]["endpoint_mode"] == "dnsrr"
        assert service["deploy"]["update_config"]["failure_action"] == "rollback"
        assert (service["deploy"]["update_config"]["order"] == "start-first") == name.startswith("api-")


@pytest.mark.parametrize("name", STACKS)
def test_whatever_is_used_is_declared(name):
    stack = WRITTEN[name]
    for kind, used in (
        ("secrets", {each["source"] for service in stack["services"].values() for each in service.get("secrets", ())}),
        ("configs", {each["source"] for service in stack["services"].values() for each in service.get("configs", ())}),
        ("networks", {each for service in stack["services"].values() for each in service["networks"]}),
    ):
        assert used == set(stack.get(kind, ()))
    for each in stack.get("configs", {}).values():
        assert (TREE / "compose/swarm" / each["file"]).is_file()


def test_nothing_of_a_swarm_is_missing():
    edge = WRITTEN["stack"]["services"]["edge"]
    assert all(port["mode"] == "host" for port in edge["ports"])
    assert [each["target"] for each in edge["configs"]] == ["/etc/caddy/Caddyfile"]
    worker = WRITTEN["stack"]["services"]["worker"]
    assert worker["command"] == ["run", "worker"]
    assert worker["environment"]["BOTSTEAD_INSTANCE"] == "worker-{{.Task.Slot}}"
    assert {each["source"] for each in worker["secrets"]} == {"postgres_dsn", "valkey_url", "key_ring"}
    asked = set(re.findall(r"\$\{(\w+)", (TREE / "compose/swarm/stack.yaml").read_text()))
    known = (
        (TREE / "compose/sizes/small.env").read_text()
        + (TREE / "compose/app.yaml").read_text()
        + (TREE / "compose/edge/caddy.yaml").read_text()
    )
    assert all(
        name in known
        or name
        in {
            "BOTSTEAD_FILES",
            "BOTSTEAD_MORE_SLOTS",
            "BOTSTEAD_WORKERS",
            "BOTSTEAD_SCHEDULERS",
            "BOTSTEAD_DOMAIN",
            "BOTSTEAD_HTTP_PORT",
            "BOTSTEAD_HTTPS_PORT",
            "EDGE_MEMORY",
        }
        for name in asked
    )
