"""Two commands from nothing: a message goes in over HTTPS and its answer comes out, and both are there after `down` and `up`."""

import json
import shutil
import ssl
import time
import uuid

import httpx
import pytest

from tests.appliance.engine import TREE, docker
from tests.appliance.site import Site

PROJECT, TAG = "botstead-nothing", "botstead:nothing"
SOURCES = (".dockerignore", "platform", "requirements.lock", "README.md", "LICENSE", "CHANGELOG.md")
PATIENCE = 30.0
MEANT = {
    "postgres": {5432},
    "valkey": {6379},
    "api-a": {8080, 9100},
    "api-b": {8080, 9100},
    "worker": {9100},
    "scheduler": {9100},
    "edge": {80, 443, 8080, 9100},
    "prometheus": {9090},
    "alertmanager": {9093},
}
"""What each listens on inside its networks. Another port is one that nobody meant."""
REACHES = {
    "edge": {"api-a", "api-b", "worker", "scheduler", "prometheus", "alertmanager"},
    "prometheus": {"edge", "api-a", "api-b", "worker", "scheduler", "alertmanager"},
    "worker": {"edge", "api-a", "api-b", "scheduler", "prometheus", "alertmanager", "postgres", "valkey"},
}
"""Whom somebody who took over a container could reach: of all networks that it is on. Databases only by those who use them."""
SCAN = """
import asyncio, json, sys
async def open_(host, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1.5)
        writer.close()
        return f"{host}:{port}"
    except (OSError, TimeoutError):
        return None
async def scan(targets):
    return [found for found in await asyncio.gather(*(open_(*each) for each in targets)) if found]
print(json.dumps(asyncio.run(scan(json.loads(sys.argv[1])))))
"""
LISTENS = """
import json
found = set()
for table in ("/proc/net/tcp", "/proc/net/tcp6"):
    for row in (line.split() for line in open(table).read().splitlines()[1:]):
        address, port = row[1].split(":")
        if row[3] == "0A" and address not in ("0100007F", "0B00007F", "00000000000000000000000001000000"):
            found.add(int(port, 16))
print(json.dumps(sorted(found)))
"""


class Fresh(Site):
    """As somebody has it who cloned the repository a minute ago; its edge is known as localhost."""

    def prepare(self):
        self.sweep()
        for name in (*SOURCES, "compose.yaml", "compose", "alerts", "dashboards", "scripts", "pyproject.toml"):
            source = TREE / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, self.folder / name)

    def init(self, *options):
        name, _, tag = self.image.partition(":")
        return self.run("scripts/init", *options, BOTSTEAD_IMAGE=name, BOTSTEAD_VERSION=tag, seconds=400)

    def leave_out_grafana(self):
        """There is no stand-in for it."""
        env = self.folder / ".env"
        env.write_text(env.read_text().replace("=scheduler,grafana", "=scheduler"))

    def client(self):
        """A client that trusts nothing but the appliance's own authority."""
        root = self.inside("edge", "cat", "/var/tmp/caddy/pki/authorities/local/root.crt")
        trust = ssl.create_default_context(cadata=root)
        return httpx.Client(base_url=f"https://localhost:{self.https}", verify=trust, timeout=PATIENCE)


@pytest.fixture(scope="module")
def fresh(image, tmp_path_factory):
    site = Fresh(tmp_path_factory.mktemp("nothing"), PROJECT, TAG, http=8180, https=8143)
    site.prepare()
    try:
        began = time.monotonic()
        site.told = site.init("--http-port", "8180", "--https-port", "8143", "--size", "small")
        inited = time.monotonic()
        site.leave_out_grafana()
        site.up()
        site.seconds = (inited - began, time.monotonic() - inited)
        yield site
    finally:
        site.down()
        docker("image", "rm", "-f", TAG)


def ask(client, visitor, text):
    """Say something on the chat page; returns the texts of the conversation when the answer is there."""
    sent = client.post("/chat/echo/messages", json={"text": text}, headers={"X-Visitor": visitor})
    assert sent.status_code == 202, sent.text
    return listen(client, visitor, until=text)


def listen(client, visitor, *, until):
    seen, deadline = [], time.monotonic() + PATIENCE
    with client.stream("GET", "/chat/echo/events", headers={"X-Visitor": visitor}) as events:
        for line in events.iter_lines():  # signs of life among them, so it would never end by itself
            assert time.monotonic() < deadline, f"no answer: {seen}"
            if line.startswith("data:"):
                said = json.loads(line.removeprefix("data:"))
                seen.append((said["direction"], said["text"]))
                if said["direction"] == "out" and until in said["text"]:
                    return seen
    raise AssertionError(f"the stream ended: {seen}")


def containers(site):
    """Return service to container id."""
    lines = site.compose("ps", "--format", "{{.Service}} {{.ID}}").splitlines()
    return dict(line.split() for line in lines)


def test_two_commands_from_nothing(fresh, capsys):
    with capsys.disabled():
        size = int(docker("image", "inspect", "-f", "{{.Size}}", TAG)) / 1e6
        print(f"\nfrom nothing: init {fresh.seconds[0]:.1f} s, up --wait {fresh.seconds[1]:.1f} s; image {size:.0f} MB")
    assert "docker compose up -d --wait" in fresh.told
    with fresh.client() as client:
        assert ask(client, str(uuid.uuid4()), "hello")
        assert client.get("/health", headers={"Host": "elsewhere"}).status_code == 421


def test_the_command_line_finds_the_appliance_that_it_is_in(fresh):
    bots = json.loads(fresh.inside("api-a", "botstead", "bots", "list", "--json"))
    assert "echo" in {bot["name"] for bot in bots}


def test_without_its_files_it_says_what_to_do(fresh, tmp_path):
    for name in ("compose.yaml", "compose"):
        (tmp_path / name).symlink_to(fresh.folder / name)
    elsewhere = Fresh(tmp_path, PROJECT, TAG, http=1, https=2)
    assert "run scripts/init first" in elsewhere.compose("up", "-d", "--wait", check=False)
    assert elsewhere.status != 0


def test_again_nothing_changes(fresh):
    before, env = containers(fresh), (fresh.folder / ".env").read_bytes()
    assert "nothing was changed" in fresh.init()
    fresh.up()
    assert containers(fresh) == before
    assert (fresh.folder / ".env").read_bytes() == env


def test_down_and_up_keep_everything(fresh):
    visitor = str(uuid.uuid4())
    with fresh.client() as client:
        ask(client, visitor, "remember me")
    key = fresh.inside("api-a", "cat", "/data/admin.key")
    fresh.compose("down")
    fresh.up()
    assert fresh.inside("api-a", "cat", "/data/admin.key") == key
    with fresh.client() as client:  # the same authority too, or this would not be trusted
        assert ("in", "remember me") in listen(client, visitor, until="remember me")
        assert client.get("/v1/bots", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def inside_network(container, program, *words):
    """Run our Python in the network of a container, beside it."""
    network = f"container:{container}" if container else "bridge"
    command = ("run", "--rm", "--network", network, "--entrypoint", "python", TAG, "-c", program, *words)
    return json.loads(docker(*command))


def test_everybody_listens_where_it_is_meant(fresh):
    found = {service: set(inside_network(id_, LISTENS)) for service, id_ in containers(fresh).items()}
    assert found == {service: ports for service, ports in MEANT.items() if service in found}
    assert MEANT.keys() == found.keys()


def test_who_reaches_whom(fresh):
    running = containers(fresh)
    addresses = {
        service: docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", id_).split()
        for service, id_ in running.items()
    }
    owner = {address: service for service, found in addresses.items() for address in found}

    def reached_by(container, but):
        targets = [(ip, port) for ip, service in owner.items() if service != but for port in MEANT[service]]
        return {owner[found.rpartition(":")[0]] for found in inside_network(container, SCAN, json.dumps(targets))}

    assert reached_by(None, "") == set(), "a container that is not ours reaches one of ours"
    for service, meant in REACHES.items():
        assert reached_by(running[service], service) == meant, service


def test_the_host_opens_the_edge_only(fresh):
    published = docker(
        "ps",
        "--filter",
        f"label=com.docker.compose.project={PROJECT}",
        "--format",
        '{{.Label "com.docker.compose.service"}} {{.Ports}}',
    )
    opened = {line.split()[0] for line in published.splitlines() if "->" in line}
    assert opened == {"edge"}
    with_ours = {int(part.split("->")[0].rpartition(":")[2]) for part in published.replace(",", " ").split() if "->" in part}
    assert with_ours == {8180, 8143}
    # From outside: a stranger's container sees the host as the world does, at its address.
    gateway = docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")
    inner = sorted(set().union(*MEANT.values()) - {80, 443})
    before = {f"{gateway}:{port}" for port in (8180, 8143)}
    assert set(inside_network(None, SCAN, json.dumps([[gateway, port] for port in (8180, 8143)]))) == before
    answered = inside_network(None, SCAN, json.dumps([[gateway, port] for port in inner]))
    assert answered == [], "an inner port is open on the host"


def test_the_image_holds_what_runs_and_no_more(image):
    program = """
import importlib, json, pkgutil, shutil, os, botstead
doors = ("botstead.processes.embedded", "botstead.processes.prove", "botstead.samples", "botstead.operate.canary_bot")
for each in pkgutil.walk_packages(botstead.__path__, "botstead."):
    if not each.name.startswith(doors) and not each.name.endswith("__main__"):
        importlib.import_module(each.name)
found = [name for name in ("gcc", "cc", "make", "git", "curl") if shutil.which(name)]
print(json.dumps({"tools": found, "uid": os.getuid(), "writes": os.access("/opt/botstead", os.W_OK)}))
"""
    found = json.loads(
        docker("run", "--rm", "--read-only", "--network", "none", "--entrypoint", "python", image, "-W", "ignore", "-c", program)
    )
    assert found == {"tools": [], "uid": 65532, "writes": False}
    assert int(docker("image", "inspect", "-f", "{{.Size}}", image)) < 260_000_000
