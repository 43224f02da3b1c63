"""What the edges read besides their configuration: each takes the login that was written for it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import stat

from cryptography import x509
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from botstead.processes.composed import edges

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def test_each_edge_gets_the_login_in_its_own_form(tmp_path):
    edges.write(tmp_path, domain="bots.example.org", password="secret-1")
    user, caddy = (tmp_path / "operator_caddy").read_text().split()
    assert user == "operator"
    Argon2id.verify_phc_encoded(b"secret-1", caddy)
    assert (tmp_path / "operator_haproxy").read_text().split()[-2:] == ["insecure-password", "secret-1"]
    user, _, nginx = (tmp_path / "operator_nginx").read_text().strip().partition(":")
    salted = base64.b64decode(nginx.removeprefix("{SSHA}"))
    assert user == "operator"
    assert salted[:20] == hashlib.sha1(b"secret-1" + salted[20:]).digest()


def test_anybody_in_the_folder_can_read_and_nobody_write(tmp_path):
    written = edges.write(tmp_path, domain="localhost", password="x")
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in written} == {0o444}


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "own.pem").write_text("the operator's")
    assert set(edges.write(tmp_path, domain="localhost", password="x")) == {
        "operator_caddy",
        "operator_haproxy",
        "operator_nginx",
    }
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert edges.write(tmp_path, domain="elsewhere", password="y") == []
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_the_certificate_is_for_the_name_and_its_key_is_with_it():
    for domain, kind in (("bots.example.org", x509.DNSName), ("192.0.2.7", x509.IPAddress), ("2001:db8::7", x509.IPAddress)):
        pem = edges.certificate(domain, now=NOW)
        made = x509.load_pem_x509_certificate(pem)
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(kind)
        assert [str(name) for name in names] == [domain]
        assert made.public_key() == load_pem_private_key(pem, None).public_key()
        assert made.not_valid_before_utc <= NOW < made.not_valid_after_utc <= NOW + dt.timedelta(days=825)
