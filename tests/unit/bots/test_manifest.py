"""The tables of `bot.toml` that declare outside services: what is read, and what each mistake is told."""

from __future__ import annotations

import contextlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.bots.manifest import Manifest, read_manifest
from botstead.core.declared import Auth, MailDeclared, RestDeclared, SlackDeclared
from botstead.core.errors import BotBroken

WHOLE = """
name = "shop"
deadline = 12

[rest.crm]
base = "https://crm.example.org/api/v2/"
auth = "oauth2"
token_url = "https://login.example.org/token"
client_id = "shop"
secret = "crm_client"
scope = "orders.read"
timeout = 5
tries = 2
cache = 60
stale = 600
idempotency_header = "Idempotency-Key"

[rest.stock]
base = "http://10.0.0.7:8080"

[mail]
url = "smtp://mail.example.org"
from = "Shop <shop@example.org>"
secret = "mail_password"

[slack]
secret = "slack"
"""


def read(tmp_path, text: str) -> Manifest:
    (tmp_path / "bot.toml").write_text(text)
    return read_manifest(tmp_path)


def broken(tmp_path, text: str) -> str:
    with pytest.raises(BotBroken) as raised:
        read(tmp_path, text)
    return raised.value.message.removeprefix(f"{tmp_path}/bot.toml ")


def test_every_table_is_read(tmp_path):
    manifest = read(tmp_path, WHOLE)
    assert manifest.rest["crm"] == RestDeclared(
        name="crm",
        base="https://crm.example.org/api/v2",
        auth=Auth.OAUTH2,
        token_url="https://login.example.org/token",
        client_id="shop",
        secret="crm_client",
        scope="orders.read",
        timeout=5.0,
        tries=2,
        cache=60.0,
        stale=600.0,
        idempotency_header="Idempotency-Key",
    )
    assert manifest.rest["stock"] == RestDeclared(name="stock", base="http://10.0.0.7:8080")
    assert manifest.mail == MailDeclared(url="smtp://mail.example.org", sender="Shop <shop@example.org>", secret="mail_password")
    assert manifest.slack == SlackDeclared(secret="slack")
    assert manifest.secrets == ("crm_client", "mail_password", "slack")
    assert (manifest.name, manifest.limits.deadline) == ("shop", 12.0)


REST = '\n[rest.crm]\nbase = "https://crm.example.org"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (REST + 'autth = "bearer"', "line 4: [rest.crm] unknown key autth. Did you mean auth?"),
        (REST + "zzz = 1", "line 4: [rest.crm] unknown key zzz. There are algorithm, auth, base"),
        ("[rest.crm]\nauth = 'none'", "line 1: [rest.crm] needs base."),
        (REST + 'auth = "bearer"', "line 4: [rest.crm] auth = 'bearer' needs secret."),
        (REST + 'auth = "basic"\nsecret = "crm"', "line 4: [rest.crm] auth = 'basic' needs user."),
        (REST + 'auth = "jwt"', "line 4: [rest.crm] auth is one of none, bearer, basic, header, query, oauth2, hmac, not 'jwt'."),
        (REST + 'secret = "crm"', "line 4: [rest.crm] secret has no meaning with auth = 'none'."),
        (REST + "stale = 5", "line 4: [rest.crm] stale has no meaning without cache."),
        (REST + "tries = 11", "line 4: [rest.crm] tries is a whole number from 1 to 10, not 11."),
        (REST + "[rest.b]\nbase = 'https://u:p@b.example.org'", "line 5: [rest.b] base is an address such as"),
        ("[rest.b]\nbase = 'ftp://b.example.org'", "line 2: [rest.b] base is an address such as https://example.org"),
        ("[rest.b]\nbase = 'https://b.example.org?key=1'", "line 2: [rest.b] base is an address"),
        ("[rest.Crm]\nbase = 'https://b.example.org'", "line 1: [rest.Crm]: a name has small letters, digits and underscores."),
        ("rest = 1", "line 1: is no table; write [rest.NAME]."),
        ("[rest]\ncrm = 1", "line 1: [rest.crm] is no table; write [rest.crm]."),
        ("mail = 'smtp://a'", "line 1: [mail] is no table; write [mail]."),
        ("[mail]\nurl = 'smtp://a.example.org'", "line 1: [mail] needs from."),
        ("[mail]\nurl = 'https://a'\nfrom = 'a@b.org'", "line 2: [mail] url is an address such as smtps://example.org"),
        ("[mail]\nurl = 'smtp://a/x'\nfrom = 'a@b.org'", "line 2: [mail] url has no path."),
        ("[mail]\nurl = 'smtp://a'\nfrom = 'shop'", "line 3: [mail] from is a mail address, such as"),
        (
            "[mail]\nurl = 'smtp://a'\nfrom = 'a@b.org'\nsecret = 'p'\nstarttls = false",
            "line 5: [mail] a password is never sent without TLS",
        ),
        ("[slack]\nbase = 'https://a'", "line 1: [slack] needs secret."),
    ],
)
def test_a_mistake_is_told_with_line_and_what_is_near(tmp_path, text, message):
    assert broken(tmp_path, text).startswith(message)


def test_a_secret_written_into_the_file_is_refused_and_not_repeated(tmp_path):
    said = broken(tmp_path, "[slack]\nsecret = 'xoxb-1234567890-canary'")
    assert said.startswith("line 2: [slack] secret is the name of a secret")
    assert "canary" not in said


def test_a_password_in_an_address_is_not_repeated(tmp_path):
    assert "canary" not in broken(tmp_path, "[rest.b]\nbase = 'https://u:canary@b.example.org'")


def test_the_line_is_that_of_the_right_table(tmp_path):
    text = (
        '[rest.a]\nbase = "https://a.example.org"\ntimeout = 1\n\n[ rest . "b" ]\nbase = "https://b.example.org"\ntimeout = -1\n'
    )
    assert broken(tmp_path, text).startswith("line 7: [rest.b] timeout is a number of seconds")


@given(st.dictionaries(st.sampled_from(["rest", "mail", "slack"]), st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 5), st.text(max_size=5)),
    lambda inner: st.dictionaries(st.sampled_from(["base", "auth", "secret", "url", "from", "crm", "tries"]), inner, max_size=3),
    max_leaves=6,
)))  # fmt: skip
def test_whatever_stands_there_is_read_or_refused_in_our_words(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("bot")
    (folder / "bot.toml").write_text(_toml(values))
    with contextlib.suppress(BotBroken):
        assert isinstance(read_manifest(folder), Manifest)


def _toml(values: dict) -> str:
    """Write a document as inline values, which every parser reads."""

    def written(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key} = {written(inner)}" for key, inner in value.items()) + "}"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return str(value)
        return '"' + "".join(f"\\U{ord(letter):08X}" for letter in str(value)) + '"'

    text = "\n".join(f"{key} = {written(value)}" for key, value in values.items())
    assert tomllib.loads(text) == values
    return text
