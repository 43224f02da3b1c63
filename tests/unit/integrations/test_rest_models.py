"""Whatever a path holds, a call stays below the service's base, or is not made."""

from __future__ import annotations

import contextlib
import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.declared import Auth, RestDeclared
from botstead.core.errors import EgressRefused
from botstead.core.secret import Secret
from botstead.integrations.rest.auth import basic, signature
from botstead.integrations.rest.errors import RestInvalid
from botstead.integrations.rest.models import address
from botstead.runtime.egress.request import filled_path, target_of

BASE = "https://crm.example.org:8443/api/v2"
TRICKY = st.text(st.sampled_from("./\\%2eE5cF;?#@:{}abc ö\x00\n"), max_size=20)


@pytest.mark.parametrize(
    ("path", "params", "url"),
    [
        ("orders/7", None, "/orders/7"),
        ("/orders/7", None, "/orders/7"),
        ("", None, ""),
        ("orders/7/", None, "/orders/7/"),
        ("orders/Österreich 1", {"q": ["a b", "&"], "n": 1}, "/orders/%C3%96sterreich%201?q=a+b&q=%26&n=1"),
        (("orders", "a/b ?#%"), None, "/orders/a%2Fb%20%3F%23%25"),
        ("files/{secret:auth}", {"x": "{secret:auth}"}, "/files/%7Bsecret:auth%7D?x=%7Bsecret%3Aauth%7D"),
        ("a%20b/...", None, "/a%20b/..."),
    ],
)
def test_a_path_is_joined(path, params, url):
    assert address(BASE, path, params) == BASE + url


@pytest.mark.parametrize(
    "path",
    ["../admin", "a/../../b", "a/%2e%2e/b", "a/%252e%252E/b", "..;/admin", "a\\..\\b", "//evil.example/", "/../x", "https://evil.example/",
     "a?b=c", "a#b", "a//b", "a%2", "a\nb", "a/./b", "\ud800", ("a", ".."), ("a", ""), ("%2e%2e", "b"), ("..%2fadmin",)],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(path):
    with pytest.raises(RestInvalid):
        address(BASE, path, None)


@given(st.one_of(TRICKY, st.text(max_size=20), st.lists(TRICKY, min_size=1, max_size=3)))
def test_no_path_leaves_the_base(path):
    with contextlib.suppress(RestInvalid):
        target = target_of(address(BASE, path, None))
        assert (target.origin.tls, target.origin.host, target.origin.port) == (True, "crm.example.org", 8443)
        seen = filled_path(target.path, {"auth": Secret("canary"), "secret": Secret("canary")})
        assert "canary" not in seen
        assert "?" not in seen
        for _ in range(6):
            resolved = posixpath.normpath(seen.replace("\\", "/"))
            assert resolved == "/api/v2" or resolved.startswith("/api/v2/"), seen
            seen = unquote(seen)


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_query_adds_a_parameter_or_a_placeholder(name, value):
    with contextlib.suppress(RestInvalid, EgressRefused):
        url = address(BASE, "a", {name: value})
        assert url.count("?") == 1
        assert "&" not in url
        assert "{" not in url


def test_a_signature_and_a_basic_login_are_those_of_their_standards():
    declared = RestDeclared(name="a", base=BASE, auth=Auth.HMAC, secret="s", header="x-signature")
    body, key = b"what do ya want for nothing?", Secret("Jefe")  # RFC 4231, test case 2
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature(declared, key, body).reveal() == expected
    assert basic("Aladdin", Secret("open sesame")).reveal() == "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617, section 2
