"""A URL means one thing here, and a secret reaches only its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import EgressRefused
from botstead.core.messages import Call
from botstead.core.secret import Secret
from botstead.runtime.egress.request import Origin, filled_headers, filled_path, target_of


@pytest.mark.parametrize(
    ("url", "origin", "authority", "path"),
    [
        ("https://Api.Example.ORG", Origin(tls=True, host="api.example.org", port=443), "api.example.org", "/"),
        ("http://h:80/a?b=c#d", Origin(tls=False, host="h", port=80), "h", "/a?b=c"),
        ("http://h?q=1", Origin(tls=False, host="h", port=80), "h", "/?q=1"),
        ("https://1.2.3.4:8443/x", Origin(tls=True, host="1.2.3.4", port=8443), "1.2.3.4:8443", "/x"),
        ("https://[2606:4700:0:0::1]/x", Origin(tls=True, host="2606:4700::1", port=443), "[2606:4700::1]", "/x"),
        ("https://h/Zürich 1?q=%20ä", Origin(tls=True, host="h", port=443), "h", "/Z%C3%BCrich%201?q=%20%C3%A4"),
        ("https://h/bot{secret:t}/a b", Origin(tls=True, host="h", port=443), "h", "/bot{secret:t}/a%20b"),
    ],
)
def test_a_plain_url_is_taken_apart(url: str, origin: Origin, authority: str, path: str) -> None:
    assert target_of(url) == (origin, authority, path)


DISGUISED = """
ftp://h/ file:///etc/passwd //h/ h/ http:///x http://user@h/ http://user:pw@h/ http://h\\@evil/ http://h:0/ http://h:65536/
http://h:x/ http://2130706433/ http://0x7f000001/ http://0x7f.1/ http://0177.0.0.1/ http://127.1/ http://127.0.0.1./
http://1.2.3.4.5/ http://256.1.1.1/ http://0/ http://１２７.0.0.1/ http://ⓛocalhost/ http://[::1%25eth0]/ http://[::1/ http://]/
http://[::g]/ http://h%00/ http://%31%32%37.0.0.1/ http://{secret:host}/ http://h,evil/ http://h;evil/
"""
SPLIT = ["http://h/\r\nX: 1", "http://h /", " http://h/", "http://h\n/", "http://h/\x00", ""]


@pytest.mark.parametrize("url", [*DISGUISED.split(), *SPLIT])
def test_a_url_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(EgressRefused):
        target_of(url)


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"https://h/{text}"):
        try:
            target = target_of(url)
        except EgressRefused:
            continue
        assert target.path.isascii()
        assert not set(target.path) & set(' \r\n\t\x00#\\<>"')
        assert target.path.startswith("/")


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_a_secret_cannot_change_the_structure_of_a_path(value: str) -> None:
    path = filled_path("/bot{secret:t}/send?x={secret:t}", {"t": Secret(value)})
    assert path.count("/") == 2
    assert path.count("?") == 1
    assert path.isascii()
    assert not set(path) & set(" #&")


def test_a_telegram_token_stays_as_it_is() -> None:
    assert filled_path("/bot{secret:token}/getMe", {"token": Secret("123:AA-b_c")}) == "/bot123:AA-b_c/getMe"


def headers(secrets: dict[str, Secret], **given_headers: str) -> list[tuple[str, str]]:
    named = {name.replace("_", "-"): value for name, value in given_headers.items()}
    return filled_headers(Call(method="GET", url="http://h/", headers=named), secrets)


def test_a_header_is_filled_in() -> None:
    assert headers({"key": Secret("s3cret")}, authorization="Bearer {secret:key}") == [("authorization", "Bearer s3cret")]


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "a\x00b", "a\x7f"])
def test_a_secret_with_a_line_break_is_refused_everywhere(value: str) -> None:
    with pytest.raises(EgressRefused, match="key"):
        headers({"key": Secret(value)}, authorization="Bearer {secret:key}")
    with pytest.raises(EgressRefused, match="key"):
        filled_path("/{secret:key}", {"key": Secret(value)})


def test_an_unknown_placeholder_is_named() -> None:
    with pytest.raises(EgressRefused, match="«token»"):
        filled_path("/bot{secret:token}", {"other": Secret("x")})
    with pytest.raises(EgressRefused, match="«token»"):
        headers({}, authorization="{secret:token}")


@pytest.mark.parametrize("value", ["a\r\nb", "ü", "a\x00"])
def test_a_header_value_is_printable_ascii(value: str) -> None:
    with pytest.raises(EgressRefused):
        headers({}, x=value)


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "connection", "Accept-Encoding", "x y", "x:", ""]
)
def test_headers_that_frame_a_request_are_not_for_callers(name: str) -> None:
    with pytest.raises(EgressRefused):
        filled_headers(Call(method="GET", url="http://h/", headers={name: "1"}), {})
