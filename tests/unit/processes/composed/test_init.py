"""`botstead init` decides from what it found, writes what is missing, and leaves alone what is there."""

import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import ConfigurationError
from botstead.processes.checking import OK, WARNING, WRONG
from botstead.processes.cli.init import init as command
from botstead.processes.composed import init, machine, secrets, sizes
from botstead.processes.composed.facts import Disk, Memory
from botstead.processes.composed.init import Wishes
from botstead.processes.composed.machine import Leads, Machine, Told

ROOT = Path(__file__).parents[4]
GB = 10**9
TOLD = Told(engine="28.5.2", compose="2.40.3", synchronized=True)


def found(memory=2 * GB, *, listening=(), name="machine"):
    return Machine(
        memory=Memory(memory, memory, 0), disks=(Disk("/", 50 * GB, 40 * GB),), listening=frozenset(listening), name=name
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose" / "sizes").symlink_to(ROOT / "compose" / "sizes")
    return tmp_path


def run(folder, wishes=None, *, told=TOLD, seen=None):
    made = init.plan(folder, wishes or Wishes(), told=told, found=seen or found())
    return made, init.write(folder, made, told=told)


def status(made, name):
    return next(check.status for check in made.checks if check.check == name)


@pytest.mark.parametrize(
    ("memory", "size"),
    [
        (512 * 2**20, "nano"),
        (965 * 2**20, "nano"),
        (1_900 * 2**20, "small"),
        (3_900 * 2**20, "standard"),
        (64 * 2**30, "standard"),
    ],
)
def test_the_size_follows_the_memory(folder, memory, size):
    made, _ = run(folder, seen=found(memory))
    assert made.settings["BOTSTEAD_SIZE"] == size
    assert made.settings["POSTGRES_MEMORY"] == sizes.read(ROOT / "compose" / "sizes", size)["POSTGRES_MEMORY"]


def test_every_size_has_the_same_variables():
    read = [sizes.read(ROOT / "compose" / "sizes", size) for size in sizes.NAMES]
    assert read[0].keys() == read[1].keys() == read[2].keys()


def test_nothing_is_asked_and_everything_is_written(folder):
    made, written = run(folder)
    assert made.settings["BOTSTEAD_DOMAIN"] == "localhost"
    assert made.settings["BOTSTEAD_TLS"] == "internal"
    assert {".env", "bots/", "secrets/postgres_dsn", "secrets/operator_caddy"} <= set(written)
    assert oct((folder / "secrets").stat().st_mode)[-3:] == "700"
    assert {oct(path.stat().st_mode)[-3:] for path in (folder / "secrets").iterdir() if path.is_file()} == {"444"}
    password = (folder / "secrets" / "postgres_password").read_text()
    assert f":{password}@postgres:5432/" in (folder / "secrets" / "postgres_dsn").read_text()


def test_a_second_run_changes_nothing(folder):
    run(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    made, written = run(folder, seen=found(64 * GB))
    assert (made.changed, written) == ((), [])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_the_operator_wrote_stays_where_it_is(folder):
    run(folder)
    env = folder / ".env"
    env.write_text("# mine\nPOSTGRES_MEMORY=777m\nMINE='a b'\n" + env.read_text().replace("POSTGRES_MEMORY", "#POSTGRES_MEMORY"))
    run(folder, Wishes(edge="nginx"))
    assert env.read_text().startswith("# mine\nPOSTGRES_MEMORY=777m\nMINE='a b'\n")
    assert sizes.parse(env.read_text())["BOTSTEAD_EDGE"] == "nginx"


def test_a_newer_release_gets_the_variable_that_it_needs(folder):
    run(folder)
    env = folder / ".env"
    env.write_text(env.read_text().replace("EDGE_GOMEMLIMIT=", "OLD="))
    made, written = run(folder)
    assert (made.changed, written) == (("EDGE_GOMEMLIMIT",), [".env"])


def test_another_size_changes_its_figures_only(folder):
    before, _ = run(folder)
    after, _ = run(folder, Wishes(size="nano"))
    figures = sizes.read(ROOT / "compose" / "sizes", "nano")
    assert set(after.changed) <= {*figures, "BOTSTEAD_SIZE"}
    assert sizes.parse((folder / ".env").read_text()) == {**before.settings, **figures, "BOTSTEAD_SIZE": "nano"}


def test_a_public_domain_is_certified_by_an_authority(folder):
    made, _ = run(folder, Wishes(domain="bots.hostname.org", https_port=8443))
    assert made.settings["BOTSTEAD_PUBLIC_URL"] == "https://bots.hostname.org:8443"
    assert made.settings["BOTSTEAD_TLS"] == "operator@bots.hostname.org"
    again, _ = run(folder, Wishes(email="internal"))
    assert again.settings["BOTSTEAD_TLS"] == "internal"
    assert again.settings["BOTSTEAD_DOMAIN"] == "bots.hostname.org"


@pytest.mark.parametrize(
    ("domain", "public"),
    [
        ("bots.hostname.org", True),
        ("localhost", False),
        ("a.local", False),
        ("10.0.0.1", False),
        ("::1", False),
        ("machine", False),
    ],
)
def test_who_certifies_a_name(domain, public):
    assert init.is_public(domain) is public


def test_a_taken_port_is_wrong_unless_it_is_ours(folder):
    taken = found(listening={443})
    assert status(init.plan(folder, Wishes(), told=TOLD, found=taken), "ports") == WRONG
    running = msgspec.structs.replace(TOLD, runs=True)
    assert status(init.plan(folder, Wishes(), told=running, found=taken), "ports") == OK
    assert status(init.plan(folder, Wishes(https_port=444), told=TOLD, found=taken), "ports") == OK


def test_an_old_engine_is_wrong(folder):
    old = msgspec.structs.replace(TOLD, engine="20.10.24")
    assert status(init.plan(folder, Wishes(), told=old, found=found()), "engine") == WRONG


def test_a_size_that_is_too_large_is_said(folder):
    assert status(init.plan(folder, Wishes(size="standard"), told=TOLD, found=found(GB)), "memory") == WARNING
    assert status(init.plan(folder, Wishes(), told=TOLD, found=found(GB // 2)), "memory") == WARNING


def test_where_a_name_leads():
    assert machine.leads("localhost").here
    assert machine.leads("nowhere.invalid") == Leads((), here=False)
    assert machine.name("a.org", Leads((), here=False), public=True)[0] == WRONG
    assert machine.name("a.org", Leads((), here=False), public=False)[0] == WARNING
    assert machine.name("a.org", Leads(("192.0.2.1",), here=False), public=True)[0] == WARNING


def test_listening_ports_are_read_from_the_kernel():
    table = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:1F90 00000000:0000 0A 0\n"
        "   1: 0100007F:01BB 0100007F:9999 01 0\n"
        "   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n"
    )
    assert machine.listening([table]) == {8080, 80}


def test_a_database_without_its_secrets_is_not_locked_out(folder):
    made = init.plan(folder, Wishes(), told=TOLD, found=found())
    with pytest.raises(ConfigurationError, match=r"backup.* docker volume rm elsewhere_postgres"):
        init.write(folder, made, told=msgspec.structs.replace(TOLD, database="elsewhere_postgres"))
    assert not (folder / "secrets").exists()


def test_an_outside_database_keeps_its_dsn(folder):
    run(folder)
    dsn = folder / "secrets" / "postgres_dsn"
    dsn.chmod(0o600)
    dsn.write_text("postgresql://elsewhere/botstead")
    assert "postgres_dsn" not in secrets.write(folder / "secrets", domain="a", database="")
    assert dsn.read_text() == "postgresql://elsewhere/botstead"


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "OTHER"), st.text()))
def test_what_is_written_is_what_is_read(values):
    readable = all(sign != "'" and (sign.isprintable() or sign == "\t") for value in values.values() for sign in value)
    if readable:
        assert sizes.parse(sizes.changed("# head\nOTHER=1\n", values)) == {"OTHER": "1", **values}
    else:
        with pytest.raises(ConfigurationError):
            sizes.changed("# head\nOTHER=1\n", values)


def test_the_command_speaks_json_and_stops_at_what_is_wrong(folder):
    told = msgspec.json.encode(msgspec.structs.replace(TOLD, engine="20.10.1")).decode()
    asked = ["--folder", str(folder), "--told", told, "--http-port", "1", "--https-port", "2", "--json"]
    stopped = CliRunner().invoke(command, asked)
    assert stopped.exit_code == 1
    assert not (folder / ".env").exists()
    assert json.loads(stopped.output)["written"] == []
    forced = CliRunner().invoke(command, [*asked, "--force"])
    assert forced.exit_code == 0, forced.output
    assert ".env" in json.loads(forced.output)["written"]


@pytest.fixture
def server():
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/well" else 503)
            self.end_headers()
            self.wfile.write(b"x" * 10_000)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening.server_port
        listening.shutdown()


def test_the_probe_believes_200_only(server):
    def probe(target):
        command = [sys.executable, "-I", "-S", str(ROOT / "compose" / "probe.py"), target]
        done = subprocess.run(
            command, check=False, env={"BOTSTEAD_METRICS_PORT": str(server)}, capture_output=True, text=True, timeout=20
        )
        return done.returncode, done.stderr

    assert probe("/well") == (0, "")
    assert probe(f"http://127.0.0.1:{server}/well") == (0, "")
    code, said = probe("/ill")
    assert code == 1
    assert "503" in said
    code, said = probe("http://127.0.0.1:1/well")
    assert code == 1
    assert "refused" in said
