"""Runbooks where the links of alerts lead: each alert has its page, without a key, and nothing else is there."""

from __future__ import annotations

import yaml

from botstead.operate.alerting.files import rule_files
from botstead.operate.alerting.rules import Links
from botstead.web.runbooks import PLACES
from tests.integration.api.served import told


def test_every_alert_leads_to_its_page(postgres_dsn):
    texts = rule_files(links=Links(runbooks="/runbooks/")).values()
    rules = [rule for text in texts for group in yaml.safe_load(text)["groups"] for rule in group["rules"] if "alert" in rule]
    links = {rule["annotations"]["runbook_url"]: rule["alert"] for rule in rules}
    assert len(links) > 40

    async def story(api):
        for link, alert in links.items():
            answer = await api.stranger.get(link)
            assert answer.status_code == 200, link
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.text.startswith(f"# {alert}\n")
            assert "## First five minutes" in answer.text
            assert answer.text.endswith(PLACES)

    told(postgres_dsn, story)


def test_nothing_else_is_read(postgres_dsn):
    async def story(api):
        for name in ("Nothing.md", "QueueStuck", "..%2Fobjectives.yml", "%2e%2e/objectives.yml", "..", ".md", "%00.md"):
            answer = await api.stranger.get(f"/runbooks/{name}")
            assert answer.status_code == 404, name

    told(postgres_dsn, story)
