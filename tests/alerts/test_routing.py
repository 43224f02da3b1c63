"""Who hears of what: Alertmanager takes the configuration, sends each alert where it belongs, and nobody silences a stranger."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from botstead.core.errors import ConfigurationError
from botstead.operate.alerting.receivers import load_receivers
from botstead.operate.alerting.routing import alertmanager, load_routing
from botstead.operate.alerting.rules import Time
from tests.alerts.play import CONDITIONS, GENERATED, OBJECTIVES
from tests.alerts.tools import need, run

OLD, NEW = (0, 25), (0, 33)
ROUTING = load_routing()
EVERY = """receivers:
  - {{kind: telegram, chat: -100, token_file: {secret}}}
  - {{kind: slack, url_file: {secret}, channel: "#alerts"}}
  - {{kind: discord, url_file: {secret}}}
  - {{kind: email, to: a@example.org, from: b@example.org, smarthost: "mail.example.org:587", username: u, password_file: {secret}, gets: [ticket]}}
  - {{kind: webhook, url: "http://127.0.0.1:9999/alerts", token_file: {secret}, gets: [page]}}
  - {{kind: webhook, url_file: {secret}, gets: [page]}}
  - {{kind: ntfy, url: "https://ntfy.example.org/alerts", token_file: {secret}}}
  - {{kind: heartbeat, url_file: {secret}}}
  - {{kind: heartbeat, url: "https://other.example.org/beat"}}
"""
SECRET = "https://example.org/very-secret"


@pytest.fixture
def receivers(tmp_path):
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "receivers.yml").write_text(EVERY.format(secret=tmp_path / "secret"))
    return load_receivers(tmp_path / "receivers.yml")


def made(receivers, version=OLD, **options):
    return alertmanager(ROUTING, receivers, version=version, read=lambda path: Path(path).read_text(), **options)


def version(amtool):
    done = run(amtool, "--version")
    words = (done.stdout + done.stderr).split("version ")[1].split(".")
    return int(words[0]), int(words[1])


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(1, 60)])
@pytest.mark.parametrize("some", [True, False])
def test_alertmanager_takes_it(tmp_path, receivers, some, scale):
    for amtool in need("amtool"):
        file = tmp_path / "alertmanager.yml"
        file.write_text(made(receivers if some else (), version(amtool), time=Time(scale)).text)
        done = run(amtool, "check-config", str(file))
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_finds_nothing(tmp_path, receivers):
    import sys

    file = tmp_path / "alertmanager.yml"
    file.write_text(made(receivers).text)
    amlint = str(Path(sys.executable).with_name("amlint"))
    done = run(amlint, "check", "--strict", "--rules", str(GENERATED / "*.rules.yml"), str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "ApiDown", "severity": "page"}, "page"),
        ({"alertname": "DeliveryBurn", "severity": "page", "tier": "fast", "slo": "delivery"}, "page"),
        ({"alertname": "DeadLetters", "severity": "ticket"}, "ticket"),
        ({"alertname": "Watchdog", "severity": "none"}, "heartbeat"),
        ({"alertname": "SomebodysOwn"}, "ticket"),
    ],
)
def test_each_alert_goes_where_it_belongs(tmp_path, receivers, labels, receiver):
    file = tmp_path / "alertmanager.yml"
    file.write_text(made(receivers).text)
    words = [f"{name}={value}" for name, value in labels.items()]
    for amtool in need("amtool")[:1]:
        done = run(amtool, "config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receiver}", *words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_receiver_hears_what_it_gets_and_when_it_is_over(receivers):
    found = {each["name"]: each for each in yaml.safe_load(made(receivers).text)["receivers"]}
    assert "email_configs" not in found["page"]
    assert len(found["page"]["webhook_configs"]) == 3
    assert len(found["ticket"]["webhook_configs"]) == 1
    assert [entry["send_resolved"] for entry in found["heartbeat"]["webhook_configs"]] == [False, False]
    assert found["page"]["telegram_configs"][0]["send_resolved"] is True


def test_secrets_stay_files_where_alertmanager_can_read_them(receivers, tmp_path):
    new, old = made(receivers, NEW), made(receivers, OLD)
    assert SECRET not in new.text
    assert not new.private
    assert old.text.count(SECRET) == 6, "Telegram and Discord for both audiences, a webhook, a heartbeat"
    assert old.private


def test_a_secret_that_is_missing_or_empty_is_said(tmp_path):
    file = tmp_path / "receivers.yml"
    file.write_text(f"receivers: [{{kind: telegram, chat: 1, token_file: {tmp_path / 'none'}}}]")
    with pytest.raises(ConfigurationError, match="none, a secret of a receiver, cannot be read"):
        made(load_receivers(file))
    (tmp_path / "none").write_text(" \n")
    with pytest.raises(ConfigurationError, match="is empty"):
        made(load_receivers(file))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: telegram, chat: 1", "token_file"),
        ("kind: telegramm", "telegramm"),
        ("kind: webhook", "either url or url_file"),
        ('kind: webhook, url: "ftp://x"', "regex|pattern|url"),
        ("kind: heartbeat, url_file: x, url: 'http://x'", "either url or url_file"),
        ("kind: slack, url_file: x, gets: [pages]", "pages"),
        ("kind: discord, urlfile: x", "urlfile"),
    ],
)
def test_a_wrong_receiver_is_named_with_its_line(tmp_path, text, said):
    file = tmp_path / "receivers.yml"
    file.write_text(f"receivers:\n  - {{{text}}}\n")
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_receivers(file)
    assert "line" in str(caught.value)


def test_nobody_to_tell_is_said_in_words(tmp_path):
    assert load_receivers(tmp_path / "none.yml") == ()
    found = made(())
    assert len(found.unheard) == 3
    assert "No receiver gets pages" in found.text
    assert "kind: telegram" in found.unheard[0]
    only_pages = tmp_path / "receivers.yml"
    only_pages.write_text('receivers: [{kind: webhook, url: "http://x.example.org", gets: [page]}]')
    assert [sentence.split(":")[0] for sentence in made(load_receivers(only_pages)).unheard] == [
        "No receiver gets tickets",
        "No receiver gets the heartbeat",
    ]


def test_tickets_wait_for_the_morning_and_pages_do_not():
    routes = yaml.safe_load(made(()).text)["route"]["routes"]
    assert {route["receiver"]: route.get("mute_time_intervals") for route in routes} == {
        "heartbeat": None,
        "page": None,
        "ticket": ["quiet"],
    }
    fast = yaml.safe_load(made((), time=Time(Fraction(1, 60))).text)
    assert all("mute_time_intervals" not in route for route in fast["route"]["routes"])
    assert [route.get("group_wait") for route in fast["route"]["routes"]] == ["0s", "1s", None]


def _matches(wanted, labels):
    return all(labels.get(name, "") in values for name, values in wanted.items())


LABELS = [
    {"alertname": condition.name, "severity": condition.severity, "area": condition.area} for condition in CONDITIONS.values()
] + [
    {"alertname": objective.alert, "severity": severity, "area": "objectives", "slo": name, "tier": tier}
    for name, objective in OBJECTIVES.items()
    for tier, severity in (("fast", "page"), ("medium", "page"), ("slow", "ticket"), ("creep", "ticket"))
]


@pytest.mark.parametrize("number", range(len(ROUTING.inhibit)))
def test_an_inhibition_has_a_source_and_something_to_hush_and_never_itself(number):
    rule = ROUTING.inhibit[number]
    sources = [labels for labels in LABELS if _matches(rule.source, labels)]
    hush = {name: values for name, values in rule.hush.items() if name != "job"}
    hushed = [labels for labels in LABELS if _matches(hush, labels)]
    assert sources
    assert hushed
    assert not [labels for labels in hushed if labels in sources]
    assert {labels["alertname"] for labels in hushed if labels["area"] == "watch"} <= {"SloBlind"}, "what watches is not silenced"


def test_what_may_be_the_cause_is_not_hushed_by_what_it_causes():
    postgres = next(rule for rule in ROUTING.inhibit if rule.source == {"alertname": ("PostgresDown",)})
    assert not {"host", "datastores", "watch"} & set(postgres.hush["area"])
