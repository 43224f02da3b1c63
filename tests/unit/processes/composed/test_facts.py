"""What commands wrote is read as they meant it, and nonsense of theirs is left out."""

import io
import json
import tarfile

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.cli.main import main
from botstead.processes.composed.facts import Disk, Facts, Memory, SecretFile, read, unpack

CONTAINER = {
    "Name": "/botstead-edge-1",
    "Image": "sha256:1",
    "Config": {"Labels": {"com.docker.compose.service": "edge", "com.docker.compose.config-hash": "ab"}},
    "State": {
        "Status": "running",
        "ExitCode": 0,
        "OOMKilled": False,
        "Health": {"Status": "unhealthy", "Log": [{"Output": "old"}, {"Output": "no route\n"}]},
    },
    "RestartCount": 2,
    "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {}}},
    "Mounts": [
        {"Type": "volume", "Name": "f" * 64, "Destination": "/data"},
        {"Type": "volume", "Name": "botstead_certificates", "Destination": "/config"},
        {"Type": "bind", "Source": "/srv", "Destination": "/srv"},
    ],
    "NetworkSettings": {"Ports": {"443/tcp": [{"HostIp": "0.0.0.0", "HostPort": "443"}], "80/tcp": None}},
}
ONCE = CONTAINER | {"Config": {"Labels": {"com.docker.compose.oneoff": "True"}}}
PAGE = (
    'canary_probes_total{outcome="ok"} 12.0\ncanary_probes_total{outcome="edge"} 1.0\ncanary_probes_total{outcome="worker"} 2\n'
)
STATUS = {"config": {"original": "receivers:\n- name: page\n  email_configs: [{to: a}]\n- name: ticket\n"}}


def archive(files):
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def test_a_whole_installation_is_read():
    files = {
        "engine": b"28.5.2\n",
        "compose": b"v2.40.3\n",
        "info": json.dumps({"Warnings": ["No swap limit support"]}).encode(),
        "memory": b"MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\nSwapTotal: 512 kB\n",
        "disk": b"Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 1000 1 500 1% /\n/dev/vda1 1000 1 500 1% /\n",
        "inodes": b"Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/vda1 100 75 25 75% /\n",
        "clock": b"NTPSynchronized=no\n",
        "env": b"BOTSTEAD_DOMAIN='bots.example.org'\nBOTSTEAD_TLS=internal\n",
        "secrets": b"700\t4096\tdirectory\tsecrets\n444\t32\tregular file\tsecrets/key\n444\t0\tregular empty file\tsecrets/none\n",
        "addresses": b"",
        "config.err": b"services.x is wrong\n",
        "containers": json.dumps([CONTAINER, ONCE]).encode(),
        "hashes": b"edge ab\nworker cd\n",
        "database": b'{"version": "18.6", "provider": "b", "recorded": null, "actual": "1", "unsafe": ["fsync"], "slots": "5"}',
        "refusals": b"4\n",
        "metrics": PAGE.encode(),
        "targets": b'{"data": {"activeTargets": [{"health": "down", "labels": {"instance": "api-a"}}, {"health": "up", "labels": {}}]}}',
        "rules": b'{"data": {"groups": [{"rules": [{"name": "Burn", "health": "err"}, {"name": "Ok", "health": "ok"}]}]}}',
        "tellers": b'{"data": {"activeAlertmanagers": [{"url": "http://a"}]}}',
        "teller": json.dumps(STATUS).encode(),
        "pending": b"3\n",
    }
    facts = read(unpack(archive(files)))
    assert (facts.engine, facts.compose, facts.warnings) == ("28.5.2", "2.40.3", ("No swap limit support",))
    assert facts.memory == Memory(2048 * 1024, 1024 * 1024, 512 * 1024)
    assert facts.disks == (Disk("/", 1_024_000, 512_000, 0.25),)
    assert (facts.synchronized, facts.domain, facts.resolves, facts.pending) == (False, "bots.example.org", False, True)
    assert facts.authority == "internal"
    assert facts.secrets[0] == SecretFile("secrets", 0o700, 4096, folder=True)
    assert [each.size for each in facts.secrets[1:]] == [32, 0]
    assert (facts.config, facts.config_error) == (None, "services.x is wrong")
    (edge,) = facts.containers
    assert (edge.service, edge.hash, edge.health, edge.said, edge.restarts) == ("edge", "ab", "unhealthy", "no route", 2)
    assert (edge.log_bounded, edge.published, edge.anonymous) == (False, ("0.0.0.0:443/tcp",), ("/data",))
    assert facts.hashes == {"edge": "ab", "worker": "cd"}
    assert facts.database is not None
    assert (facts.database.version, facts.database.unsafe, facts.database.slots) == ("18.6", ["fsync"], 5)
    assert (facts.refusals, facts.canary) == (4, (12, 3))
    assert facts.watched is not None
    assert (facts.watched.down, facts.watched.broken, facts.watched.tellers) == (("api-a",), ("Burn",), 1)
    assert facts.receivers == ("page",)


NAMES = ["engine", "info", "memory", "clock", "env", "addresses", "config", "hashes", "database", "refusals", "metrics", "teller"]


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=60)))
def test_nonsense_is_left_out(files):
    assert read(files).database is None


@pytest.mark.parametrize(
    "text", ["BOTSTEAD_DOMAIN=old\nBOTSTEAD_DOMAIN=new\n", 'BOTSTEAD_DOMAIN="new"\n', "BOTSTEAD_DOMAIN='new'\n"]
)
def test_settings_are_read_as_compose_does(text):
    assert read({"env": text.encode()}).domain == "new"


def test_nothing_is_nothing_known():
    assert read({}) == Facts()


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"]])
def test_the_command_judges_what_was_gathered(options):
    result = CliRunner().invoke(
        main, ["doctor", "--facts", "-", *options], input=archive({"engine": b"20.1\n", "clock": b"NTPSynchronized=yes"})
    )
    assert result.exit_code == 1, result.output
    assert "Docker 20.1" in result.output
    assert ("synchronised" in result.output) == ("--quiet" not in options)


def test_something_else_is_refused():
    result = CliRunner().invoke(main, ["doctor", "--facts", "-"], input=b"nonsense")
    assert result.exit_code == 1
    assert "not what scripts/doctor" in result.output
