"""The sizes hold what they promise: under load, in one cgroup of what a machine of 1 or 2 GB leaves, nobody is killed for memory."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.appliance.engine import docker
from tests.appliance.site import Site

CGROUPS = Path("/sys/fs/cgroup")
LEAVES = {"nano": 1024 - 120 - 150, "small": 2048 - 150 - 200 - 320}
"""MB for containers: a machine's memory without its system, its engine, and (small) the limit of Grafana, which has no stand-in."""
SECONDS = 30
LEAST = 30.0
"""Requests a second that have to be answered, of the hundred that are asked for, or it was no load."""
PORTS = {"nano": (8181, 8144), "small": (8182, 8145)}


class Group:
    """A cgroup for all containers of an appliance, of the memory controller; of either version of cgroups."""

    def __init__(self, name, megabytes):
        self.name = name
        self._second = (CGROUPS / "cgroup.controllers").exists()
        self._folder = CGROUPS / name if self._second else CGROUPS / "memory" / name
        self._folder.mkdir(exist_ok=True)
        (self._folder / ("memory.max" if self._second else "memory.limit_in_bytes")).write_text(str(megabytes * 2**20))
        if self._second:
            (self._folder / "memory.swap.max").write_text("0")

    def used(self, container=""):
        """Bytes that cannot be given back at once: without the pages of files that nobody used lately."""
        folder = self._folder / container
        usage = int((folder / ("memory.current" if self._second else "memory.usage_in_bytes")).read_text())
        name = "inactive_file" if self._second else "total_inactive_file"
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return usage - int(stat[name])

    def kills(self):
        """How often the kernel killed somebody in it; 0 where an old kernel does not count them."""
        lines = (self._folder / ("memory.events" if self._second else "memory.oom_control")).read_text().splitlines()
        return int(dict(line.split() for line in lines).get("oom_kill", 0))

    def remove(self):
        with suppress(OSError):
            self._folder.rmdir()


class Watch:
    """Looks at every container each second, and keeps the most that it had."""

    def __init__(self, group, services):
        self._group, self._services, self.most = group, services, {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._over.wait(1.0):
            for service, container in {**self._services, "all": ""}.items():
                with suppress(OSError):
                    self.most[service] = max(self.most.get(service, 0), self._group.used(container))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join(10)


@pytest.fixture(params=list(LEAVES))
def site(request, image, tmp_path):
    if os.geteuid() or docker("info", "-f", "{{.CgroupDriver}}") != "cgroupfs":
        pytest.skip("only root can bound all containers at once, and only where the engine's driver is cgroupfs")
    size, (http, https) = request.param, PORTS[request.param]
    group = Group(f"botstead-{size}", LEAVES[size])
    site = Site(tmp_path, f"botstead-{size}", image, http=http, https=https, settings={"BOTSTEAD_CANARY_SECONDS": "3"})
    site.size, site.group = size, group
    try:
        site.prepare()
        site.run("scripts/init", "--size", size)
        env = tmp_path / ".env"
        env.write_text(env.read_text().replace("=scheduler,grafana", "=scheduler") + "COMPOSE_FILE=compose.yaml:bounded.yaml\n")
        (tmp_path / "bounded.yaml").write_text("services: {}\n")
        services = json.loads(site.compose("config", "--format", "json"))["services"]
        bounded = {name: {"cgroup_parent": f"/{group.name}"} for name in services}
        (tmp_path / "bounded.yaml").write_text(json.dumps({"services": bounded}))
        site.up()
        yield site
    finally:
        site.down()
        group.remove()


def test_nobody_is_killed_for_memory(site, capsys):
    lines = site.compose("ps", "--no-trunc", "--format", "{{.Service}} {{.ID}}").splitlines()
    services = dict(line.split() for line in lines)
    assert ("scheduler" in services) == (site.size != "nano")
    leads = services.get("scheduler", services["worker"])
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100/metrics').read().decode())"
    assert "\nscheduler_leader 1" in docker("exec", leads, "python", "-I", "-S", "-c", ask)
    with Watch(site.group, services) as watch, site.traffic() as traffic:
        threading.Event().wait(SECONDS)  # for so long the load lasts
    for service, container in services.items():
        state = json.loads(docker("inspect", "-f", "{{json .State}}", container))
        assert (state["OOMKilled"], state["Status"]) == (False, "running"), service
        assert docker("inspect", "-f", "{{.RestartCount}}", container) == "0", service
    assert site.group.kills() == 0
    assert len(traffic.delivered) > SECONDS * LEAST
    with capsys.disabled():
        print(f"\n{traffic.report(site.size)}\n| {site.size} | most, MB | limit, MB |\n|---|---|---|")
        for service, most in sorted(watch.most.items(), key=lambda each: -each[1]):
            limit = (
                int(docker("inspect", "-f", "{{.HostConfig.Memory}}", services[service])) // 2**20
                if service in services
                else LEAVES[site.size]
            )
            print(f"| {service} | {most / 2**20:.0f} | {limit} |")
