"""Health over HTTP: what balancers see, what only key holders see."""

from __future__ import annotations

import asyncio

from botstead.core.errors import Unavailable
from botstead.core.messages import Health
from botstead.web.health import Probes
from tests.integration.api.served import told


def test_ready_only_between_start_and_drain(postgres_dsn):
    async def story(api):
        assert (await api.stranger.get("/health/live")).json() == {"status": "ok"}
        for path, status in (("/health/startup", "starting"), ("/health/ready", "starting")):
            answer = await api.stranger.get(path)
            assert (answer.status_code, answer.json()) == (503, {"status": status})
            assert int(answer.headers["retry-after"]) > 0
        api.deps.probes.start_done()
        assert (await api.stranger.get("/health/startup")).status_code == 200
        assert (await api.stranger.get("/health/ready")).json() == {"status": "ok"}
        api.deps.probes.drain()
        answer = await api.stranger.get("/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
        assert (await api.stranger.get("/health/live")).status_code == 200

    told(postgres_dsn, story, started=False)


def test_detail_is_for_key_holders(postgres_dsn):
    async def story(api):
        shown = (await api.client.get("/health")).json()
        assert shown["checks"]["postgres"]["status"] == "ok"
        assert shown["version"] == "1"
        assert (await api.stranger.get("/health")).json() == {"status": "ok"}
        assert (await api.stranger.get("/health", headers={"authorization": "Bearer x"})).status_code == 401

    told(postgres_dsn, story)


def test_a_crowd_looks_once(postgres_dsn):
    looks = []

    async def look():
        looks.append(1)
        await asyncio.sleep(0)

    async def story(api):
        answers = await asyncio.gather(*(api.stranger.get("/health/ready") for _ in range(30)))
        assert {answer.status_code for answer in answers} == {503}
        assert len(looks) == 1

    told(postgres_dsn, story, probes=Probes({"it": look}), started=False)


def test_helpful_things_degrade_and_needed_things_fail():
    async def away():
        raise Unavailable("gone", after=1)

    async def broken():
        raise KeyError("inside")

    async def slow():
        await asyncio.sleep(60)

    async def fine():
        return Health(status="ok", facts={"n": 1})

    async def main():
        degraded = Probes({"a": fine}, helpful={"b": away})
        degraded.start_done()
        report = await degraded.report()
        assert (report.status, report.ready) == ("degraded", True)
        assert report.checks["b"].detail == "gone"
        failing = Probes({"a": broken, "s": slow})
        failing.start_done()
        report = await failing.report()
        assert (report.status, report.ready) == ("failing", False)
        assert report.checks["a"].detail == "KeyError"
        assert "in time" in report.checks["s"].detail

    asyncio.run(main())
