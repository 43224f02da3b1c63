"""Runs `botstead configure` as compose/observability.yaml does."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from botstead.processes.cli.configure import configure
from tests.compose.rendered import SITE, rendered

ALL = "scheduler,scale,grafana,traces,logs,exporters"


def mounted(tmp_path: Path) -> Path:
    """What the service is given, found by the words of the compose file."""
    for mount in rendered()["services"]["configure"]["volumes"]:
        if mount["target"].startswith("/given"):
            target = tmp_path / mount["target"].removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(mount["source"])
    return _real(tmp_path / "given")


def _real(folder: Path) -> Path:
    """A copy without links: the container sees none."""
    for path in [path for path in folder.rglob("*") if path.is_symlink()]:
        source = path.resolve()
        path.unlink()
        if source.is_dir():
            path.mkdir()
            for each in source.iterdir():
                (path / each.name).write_text(each.read_text())
        else:
            path.write_text(source.read_text())
    return folder


def written(tmp_path: Path, given: Path, profiles: str, receivers: str = "") -> Path:
    into, told = tmp_path / "configured", tmp_path / "receivers"
    told.mkdir(exist_ok=True)
    for name in ("telegram", "slack", "discord", "mail", "token", "ping"):
        (told / name).write_text("secret-" + name)
    if receivers:
        (told / "receivers.yml").write_text(receivers.replace("/receivers/", f"{told}/"))
    done = call("--profiles", profiles, "--into", into, "--receivers", told, "--given", given)
    assert done.exit_code == 0, done.output
    return into


def call(*arguments: object):
    return CliRunner().invoke(configure, list(map(str, arguments)), env={"BOTSTEAD_PUBLIC_URL": SITE["BOTSTEAD_PUBLIC_URL"]})
