"""The appliance with Prometheus and Alertmanager: everything is scraped, every rule is loaded, and bots do not depend on it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.parse
import urllib.request
from contextlib import suppress

import pytest

from botstead.operate.alerting.files import rule_files
from botstead.processes.embedded import distribution
from tests.acceptance.appliance.conftest import is_gone
from tests.acceptance.appliance.test_real import say
from tests.servers import wait_until

needs_programs = pytest.mark.skipif(
    bool(distribution.missing()), reason=f"Prometheus or Alertmanager is not installed: {distribution.INSTALL}"
)
EVERYTHING = {"api-a", "worker-a", "scheduler-a", "edge", "prometheus", "alertmanager"}


def ask(url: str):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def query(prometheus: str, expression: str) -> list[dict]:
    return ask(f"{prometheus}/api/v1/query?query={urllib.parse.quote(expression)}")["data"]["result"]


def targets(prometheus: str) -> dict[str, str]:
    with suppress(OSError):
        return {t["labels"]["instance"]: t["health"] for t in ask(f"{prometheus}/api/v1/targets")["data"]["activeTargets"]}
    return {}


@needs_programs
def test_everything_is_scraped_and_every_rule_is_loaded(up):
    appliance = up(stand_ins=False, BOTSTEAD_PROMETHEUS="", BOTSTEAD_SCRAPE_SECONDS="1", BOTSTEAD_CANARY_SECONDS="1")
    appliance.wait_ready()
    prometheus, alertmanager = appliance.description["prometheus"], appliance.description["alertmanager"]
    wait_until(lambda: targets(prometheus) == dict.fromkeys(EVERYTHING, "up"), what="every target up")

    loaded = {group["name"]: group["rules"] for group in ask(f"{prometheus}/api/v1/rules")["data"]["groups"]}
    shipped = sum(text.count("- record:") + text.count("- alert:") for text in rule_files().values())
    assert sum(map(len, loaded.values())) == shipped > 200
    assert not [rule["name"] for rules in loaded.values() for rule in rules if rule["health"] == "err"]
    runbooks = {rule["annotations"]["runbook_url"] for rules in loaded.values() for rule in rules if rule["type"] == "alerting"}
    for link in runbooks:  # whoever is alerted can open it
        with urllib.request.urlopen(link, timeout=5) as page:
            assert page.read(100).startswith(b"# ")
    assert len(ask(f"{prometheus}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]) == 1

    # The road, seen by Prometheus: a person's message and the canary's, told apart; and the readings of what we stand on.
    assert say(appliance.port, "hello") == ["in hello", "out hello"]
    wait_until(lambda: query(prometheus, 'canary_probes_total{outcome="ok"} > 0'), what="the canary in Prometheus")
    wait_until(lambda: query(prometheus, 'bot_messages_total{bot="echo",outcome="delivered"} == 1'), what="the message")
    assert query(prometheus, 'postgres_up{job="scheduler",instance="scheduler-a"} == 1')
    assert ask(f"{alertmanager}/api/v2/status")["config"]["original"]

    doctor = subprocess.run(
        [sys.executable, "-m", "botstead", "doctor", "--data", str(appliance.data), "--json"], capture_output=True, text=True, timeout=30, check=False
    )  # fmt: skip
    found = {check["check"]: check for check in json.loads(doctor.stdout)["checks"]}
    assert (found["alerts"]["status"], found["road"]["status"]) == ("ok", "ok"), found

    # Without Prometheus nothing else ends, and it comes back by itself.
    old = appliance.pids()["prometheus"]
    subprocess.run(["kill", "-9", str(old)], check=True)
    assert say(appliance.port, "still here") == ["in still here", "out still here"]
    wait_until(lambda: appliance.pids().get("prometheus") not in (None, old), what="another Prometheus")
    pids = appliance.pids()
    assert appliance.end() == 0
    assert all(is_gone(pid) for pid in pids.values())


def test_without_them_it_says_the_one_command(up, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    appliance = up(BOTSTEAD_PROMETHEUS="")
    appliance.wait_ready()
    assert (
        f"note       Prometheus and Alertmanager are not installed, so nobody is alerted: {distribution.INSTALL}"
        in appliance.said
    )
    assert appliance.description["prometheus"] is None
