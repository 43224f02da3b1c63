"""Those who watch, on a real engine: everything is scraped, a page reaches a person, and nothing needs them.

Grafana, the Collector and Tempo have no image here: their profiles are off, and tests/compose reads their files.
"""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import suppress

import httpx
import pytest
import yaml

from tests.appliance.site import DOMAIN, TREE, Site
from tests.servers import wait_until

NAME = "botstead-watched"
PROFILES = "scheduler,scale"
TARGETS = {
    "api-a", "api-b", "api-c", "api-d", "worker-a", "scheduler-a", "edge", "prometheus", "alertmanager",
}  # fmt: skip
RECEIVER = """
import http.server, sys
class Heard(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        if self.headers["Authorization"] != "Bearer let-me-in":
            self.send_error(401)
            return
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("0.0.0.0", 9000), Heard).serve_forever()
"""


def docker(*words, check=True):
    return subprocess.run(["docker", *words], check=check, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture(scope="module")
def site(image, tmp_path_factory):
    site = Site(
        tmp_path_factory.mktemp("site"), NAME, image, http=8380, https=8343,
        settings={"COMPOSE_PROFILES": PROFILES, "BOTSTEAD_CANARY_SECONDS": "1", "BOTSTEAD_LOG_FOLDER": "/logs"},
    )  # fmt: skip
    site.prepare()
    receivers = site.folder / "secrets" / "receivers"
    (receivers / "token").write_text("let-me-in")
    (receivers / "receivers.yml").write_text("receivers: [{kind: webhook, url: http://pager:9000/page, token_file: token}]")
    try:
        site.up()
        yield site
    finally:
        docker("rm", "-f", f"{NAME}-pager", check=False)
        site.down()


@pytest.fixture(scope="module")
def pager(site, image):
    """Somebody who is paged: a container where Alertmanager has its way out."""
    docker("rm", "-f", f"{NAME}-pager", check=False)  # a run that was cut off may have left one
    docker("run", "-d", "--name", f"{NAME}-pager", "--network", f"{NAME}_egress", "--network-alias", "pager",
           "--entrypoint", "python", image, "-c", RECEIVER)  # fmt: skip
    return lambda: [json.loads(line) for line in docker("logs", f"{NAME}-pager").split("\n") if line]


def ask(site, service, port, path):
    """Ask a service over its own network, which this machine reaches and nobody else outside."""
    networks = json.loads(docker("inspect", f"{NAME}-{service}-1"))[0]["NetworkSettings"]["Networks"]
    with urllib.request.urlopen(f"http://{networks[f'{NAME}_watch']['IPAddress']}:{port}{path}", timeout=5) as answer:
        return json.load(answer)


def health(site):
    found = ask(site, "prometheus", 9090, "/api/v1/targets")["data"]["activeTargets"]
    return {target["labels"]["instance"]: target["health"] for target in found}


def query(site, expression):
    return ask(site, "prometheus", 9090, f"/api/v1/query?query={urllib.parse.quote(expression)}")["data"]["result"]


def kept(site, moment):
    """What Prometheus, which may be starting, had scraped until a moment."""
    with suppress(OSError):
        return query(site, f"up{{instance='api-a'}} @ {moment:.3f}")
    return []


def firing(heard):
    return {alert["labels"]["alertname"] for page in heard for alert in page["alerts"] if alert["status"] == "firing"}


def chat(site, text):
    """Say something to the bot echo over the edge, and return what it answered, in time or not."""
    with httpx.Client(verify=False, base_url=f"https://127.0.0.1:{site.https}", headers={"host": DOMAIN}, timeout=20) as client:
        told = {"extensions": {"sni_hostname": DOMAIN}}
        client.get("/chat/echo", **told)
        assert client.post("/chat/echo/messages", json={"text": text}, **told).status_code == 202
        with client.stream("GET", "/chat/echo/events", **told) as events:
            for line in events.iter_lines():
                if line.startswith("data:") and (event := json.loads(line[5:])).get("direction") == "out":
                    return event["text"]
    return None


def states(site, *services):
    found = map(json.loads, site.compose("ps", "--format", "json", *services).splitlines())
    return {each["Health"] for each in found}


def test_everything_is_scraped_and_every_rule_is_loaded(site):
    wait_until(lambda: health(site) == dict.fromkeys(TARGETS, "up"), what="every target up", seconds=60)
    groups = ask(site, "prometheus", 9090, "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    shipped = sum(
        len(group["rules"])
        for path in (TREE / "alerts" / "generated").iterdir()
        for group in yaml.safe_load(path.read_text())["groups"]
    )
    assert len(rules) == shipped > 200
    wait_until(lambda: query(site, 'canary_probes_total{outcome="ok"} > 0'), what="the canary in Prometheus", seconds=60)
    assert not [
        rule["name"]
        for group in ask(site, "prometheus", 9090, "/api/v1/rules")["data"]["groups"]
        for rule in group["rules"]
        if rule["health"] == "err"
    ]
    assert len(ask(site, "prometheus", 9090, "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]) == 1
    assert query(site, 'postgres_up{instance="scheduler-a"} == 1')
    assert query(site, 'valkey_up{instance="scheduler-a"} == 1')
    assert {entry["metric"]["__name__"].partition("_")[0] for entry in query(site, '{job="edge"}')} & {
        "caddy",
        "haproxy",
        "nginx",
    }


def test_lines_are_where_a_collector_may_read_them(site, image):
    """As the collector's own user, who may do nothing but read."""
    reader = (
        "run",
        "--rm",
        "--user",
        "10001:10001",
        "--cap-drop",
        "ALL",
        "-v",
        f"{NAME}_logs:/logs:ro",
        "--entrypoint",
        "cat",
        image,
    )
    for instance in ("api-a", "worker-a", "scheduler-a"):
        lines = [json.loads(line) for line in docker(*reader, f"/logs/{instance}.jsonl").split("\n")]
        assert {line["instance"] for line in lines} == {instance}
        assert all({"ts", "level", "event", "role"} <= set(line) for line in lines)


def test_alertmanager_of_this_release_takes_every_kind_of_receiver(site, image):
    kinds = """receivers:
  - {kind: telegram, chat: -100, token_file: token}
  - {kind: slack, url_file: token}
  - {kind: discord, url_file: token}
  - {kind: email, to: a@example.org, from: b@example.org, smarthost: "mail.example.org:587", username: b, password_file: token}
  - {kind: webhook, url: "https://example.org/alerts", token_file: token}
  - {kind: ntfy, url: "https://ntfy.example.org/alerts", token_file: token}
  - {kind: heartbeat, url_file: token}
"""
    receivers = site.folder / "secrets" / "receivers" / "receivers.yml"
    before = receivers.read_text()
    try:
        changed(site, receivers, kinds, telegram=True)
        said = site.inside("alertmanager", "amtool", "check-config", "/configured/alertmanager.yml")
    finally:
        changed(site, receivers, before, telegram=False)
    assert "SUCCESS" in said
    assert "3 receivers" in said


def changed(site, file, text, *, telegram):
    """Name other receivers, as compose/README.md says; returns when Alertmanager tells them."""
    file.write_text(text)
    site.compose("run", "--rm", "-T", "configure")
    site.compose("kill", "-s", "HUP", "prometheus", "alertmanager")
    wait_until(lambda: ("telegram_configs" in told(site)) == telegram, what="other receivers", seconds=30)


def told(site):
    return ask(site, "alertmanager", 9093, "/api/v2/status")["config"]["original"]


def test_a_page_reaches_a_person_and_its_links_lead_somewhere(site, pager):
    site.compose("stop", "worker")
    try:
        wait_until(lambda: "WorkerDown" in firing(pager()), what="a page that nobody works", seconds=240)
    finally:
        site.compose("start", "worker")
    (alert,) = [one for page in pager() for one in page["alerts"] if one["labels"]["alertname"] == "WorkerDown"][:1]
    base = f"https://{DOMAIN}:{site.https}"
    notes = alert["annotations"]
    assert notes["dashboard_url"].startswith(f"{base}/grafana/d/")
    assert notes["query_url"].startswith(f"{base}/grafana/explore?")
    assert notes["runbook_url"].startswith(f"{base}/runbooks/")
    with httpx.Client(verify=False) as client:
        path = notes["runbook_url"].removeprefix(base)
        page = client.get(f"https://127.0.0.1:{site.https}{path}", headers={"host": DOMAIN}, extensions={"sni_hostname": DOMAIN})
    assert page.text.startswith("# WorkerDown\n")


def test_without_those_who_watch_bots_answer_all_the_same(site):
    before = time.time()
    site.compose("rm", "-s", "-f", "prometheus", "alertmanager", "configure")
    assert chat(site, "still here?") == "still here?"
    wait_until(
        lambda: states(site, "api-a", "api-b", "worker", "scheduler", "edge") == {"healthy"}, what="all healthy", seconds=60
    )
    # They come back on their series: the volume kept them.
    site.compose("up", "-d", "--wait", "--pull", "never", "prometheus", "alertmanager")
    wait_until(lambda: kept(site, before), what="series of before", seconds=60)


def test_exporters_read_what_they_are_for(site):
    """Two of the three: the third has no image here."""
    site.compose("up", "-d", "--no-deps", "--pull", "never", "postgres-exporter", "redis-exporter")
    try:
        for service, port, sign in (("postgres-exporter", 9187, "pg_up 1"), ("redis-exporter", 9121, "redis_up 1")):
            page = f"import urllib.request; print(urllib.request.urlopen('http://{service}:{port}/metrics', timeout=5).read().decode())"
            wait_until(
                lambda page=page, sign=sign: (
                    f"\n{sign}\n" in site.compose("exec", "-T", "worker", "python", "-c", page, check=False)
                ),
                what=sign,
                seconds=30,
            )
    finally:  # what a profile brought, `down` leaves
        site.compose("rm", "-s", "-f", "postgres-exporter", "redis-exporter")
