"""The plug is pulled: engine, shims and containers die at once, under load. When the engine starts again, nobody has to do anything."""

import os
import shutil
import tempfile
import time

import pytest

from tests.appliance.own_engine import INSIDE, OwnEngine
from tests.appliance.site import Site

SERVICES = ("postgres", "valkey", "migrate", "api-a", "api-b", "worker", "scheduler", "edge")
"""What a message needs. What observes is left out: its images would have to be copied too."""
RECOVERY = 120.0


class Apart(Site):
    """An appliance on an engine of its own."""

    @property
    def environment(self):
        return super().environment | {"DOCKER_HOST": self.engine.host}

    def up(self):
        self.compose("up", "-d", "--wait", "--wait-timeout", "120", "--pull", "never", *SERVICES)

    def unhealthy(self):
        """Return the services that do not work (yet)."""
        lines = self.compose("ps", "--format", "{{.Service}} {{.Health}}").splitlines()
        healthy = {line.split()[0] for line in lines if line.endswith(" healthy")}
        return set(SERVICES) - healthy - {"migrate"}


@pytest.fixture
def site(image, tmp_path):
    if os.geteuid() or not all(map(shutil.which, ("dockerd", "docker-proxy", "nsenter", "ip"))):
        pytest.skip("an engine that may be killed needs root, dockerd, nsenter and ip")
    engine = OwnEngine(tempfile.mkdtemp(prefix="bsplug-", dir="/var/tmp"))
    site = Apart(
        tmp_path, "botstead-plug", image, http=8183, https=8146, host=INSIDE,
        settings={"COMPOSE_PROFILES": "scheduler", "BOTSTEAD_CANARY_SECONDS": "3"},
    )  # fmt: skip
    site.engine = engine
    try:
        engine.lay_network()
        engine.start()
        engine.load([image])  # scripts/init asks it
        site.prepare()
        engine.load(site.compose("config", "--images", *SERVICES).split())
        site.up()
        yield site
    finally:
        engine.remove()


def until(condition, seconds):
    """Wait for a condition of the outside; returns the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.5)  # between two looks at another program
    return time.monotonic() - began


def test_everything_comes_back_by_itself(site, capsys):
    with site.traffic() as traffic:
        until(lambda: len(traffic.delivered) > 300, 60)
        killed = site.engine.pull_the_plug()
        acknowledged = len(traffic.delivered)
    assert traffic.failed, "nobody noticed that the plug was pulled"
    site.engine.start()
    took = until(lambda: not site.unhealthy(), RECOVERY)
    assert not traffic.lost(site), "acknowledged deliveries are lost"
    until(lambda: site.query("SELECT count(*) FROM inbox") == "0", 60)
    assert site.query("SELECT count(*) FROM dead_letter") == "0"
    with site.traffic() as again:
        until(lambda: len(again.delivered) > 100, 60)
    assert not again.failed
    with capsys.disabled():
        print(
            f"\nplug pulled: {killed} processes, {acknowledged} acknowledged, 0 lost; healthy again {took:.1f} s after the engine answered"
        )
