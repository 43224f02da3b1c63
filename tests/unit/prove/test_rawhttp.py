"""Responses split as RFC 9112 says, and requests that go out as they were written."""

from __future__ import annotations

from botstead.processes.prove.rawhttp import request, split

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"


def test_each_response_is_found():
    answers, rest = split(OK + CHUNKED + OK + b"HTT")
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"{}"), (404, b"abcd"), (200, b"{}")]
    assert rest == b"HTT"


def test_half_a_response_is_none():
    for whole in (OK, CHUNKED):
        for length in range(len(whole)):
            assert split(whole[:length])[0] == []


def test_the_end_of_the_connection_ends_a_body_of_unknown_length():
    open_ended = b"HTTP/1.0 200 OK\r\n\r\nabc"
    assert split(open_ended)[0] == []
    assert split(open_ended, closed=True)[0][0].body == b"abc"


def test_an_answer_to_head_has_no_body():
    answers, rest = split(b"HTTP/1.1 405 No\r\nContent-Length: 9\r\n\r\n", head=True)
    assert ([answer.status for answer in answers], rest) == ([405], b"")


def test_nothing_is_checked():
    assert (
        request("POST", "/x", headers=[("A ", "\udcff")])
        == b"POST /x HTTP/1.1\r\nHost: localhost\r\nA : \xff\r\nContent-Length: 0\r\n\r\n"
    )
