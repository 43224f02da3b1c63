"""The data folder and what must hold before anything starts on it."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from botstead.core.errors import ConfigurationError
from botstead.processes.embedded import folder


def test_makes_the_folder_for_its_owner_only(tmp_path):
    made = folder.prepare(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert list(made.iterdir()) == [made / "logs"]


def test_says_where_it_cannot_write(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be written \(Not a directory\).*--data\.$"):
        folder.prepare(tmp_path / "file" / "data")


def test_wants_room_on_the_disk(tmp_path):
    with pytest.raises(ConfigurationError, match=r"MB free and 10000000000 MB are needed: free some space"):
        folder.prepare(tmp_path, needed=10**16)


def test_only_one_holds_the_lock(tmp_path):
    first, second = folder.Lock(tmp_path), folder.Lock(tmp_path)
    assert folder.holder(tmp_path) is None
    first.take()
    assert folder.holder(tmp_path) == os.getpid()
    with pytest.raises(ConfigurationError, match=rf"already runs on .* \(process {os.getpid()}\)"):
        second.take()
    first.release()
    assert folder.holder(tmp_path) is None
    second.take()
    second.release()


def test_free_ports_are_free_and_differ():
    ports = folder.free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        folder.require_free("127.0.0.1", port)


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} is taken by another program: give another one with --port"):
            folder.require_free("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ConfigurationError, match="cannot be used"):
        folder.require_free("192.0.2.1", 8080)


def test_a_password_is_made_once_and_kept(tmp_path):
    file = tmp_path / "password"
    made = folder.password(file)
    assert len(made) >= 32
    assert folder.password(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_private_unless_said_otherwise(tmp_path):
    for name, mode in (("private", {}), ("shared", {"mode": 0o444})):
        folder.write_whole(tmp_path / name, b"one", **mode)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("private", "shared")] == [0o600, 0o444]


def test_readers_see_a_file_whole(tmp_path):
    file = tmp_path / "file"
    folder.write_whole(file, b"one")
    before = file.stat().st_ino
    folder.write_whole(file, b"two")
    assert file.read_bytes() == b"two"
    assert file.stat().st_ino != before
