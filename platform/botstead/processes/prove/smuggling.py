"""Requests that two servers may read differently, each with a whole second request hidden where one of them might find it.

What is hidden must never be served: whoever takes it for a request of its own has been led past the checks of the other one.
Sources: RFC 9112 (https://www.rfc-editor.org/rfc/rfc9112) sections 2.2, 3.2, 5.1, 6 and 7.1; RFC 9110 section 7.6.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

OUTER = "/hooks/nobody"
"""A hook that does not exist: what is answered to the outer request is a refusal, whoever answers."""
CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"
LAST = b"00000000000000000000000000000000"

ODD_CODINGS = {
    "blank before the colon": b"Transfer-Encoding : chunked",
    "NUL in the name": b"Transfer-Encoding\x00: chunked",
    "vertical tab": b"Transfer-Encoding:\x0bchunked",
    "NUL behind": b"Transfer-Encoding: chunked\x00",
    "in quotes": b'Transfer-Encoding: "chunked"',
    "unknown": b"Transfer-Encoding: xchunked",
    "identity": b"Transfer-Encoding: identity",
    "nothing": b"Transfer-Encoding:",
    "a comma": b"Transfer-Encoding: ,chunked",
    "a semicolon": b"Transfer-Encoding: chunked;q=1",
    "chunked, identity": b"Transfer-Encoding: chunked, identity",
    "identity, chunked": b"Transfer-Encoding: identity, chunked",
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked",
    "chunked twice": b"Transfer-Encoding: chunked, chunked",
    "Kelvin sign": "Transfer-Encoding: chun\u212aed".encode(),
    "on the next line": b"Transfer-Encoding:\r\n chunked",
    "folded into another": b"X-Other: x\r\n Transfer-Encoding: chunked",
    "behind a bare line feed": b"X-Other: x\nTransfer-Encoding: chunked",
    "behind a bare carriage return": b"X-Other: x\rTransfer-Encoding: chunked",
    "behind two carriage returns": b"X-Other: x\r\r\nTransfer-Encoding: chunked",
    "two headers, the second unknown": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "two headers, the first unknown": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "two headers, alike": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
}
"""Ways to write a transfer coding that one server takes for chunked and another does not."""


def framed(lines: Sequence[bytes], body: bytes, *, first: bytes = b"POST %b HTTP/1.1", host: bytes = b"Host: localhost") -> bytes:
    """Return a request as it is, whatever its lines say.

    Args:
        lines: of the head, as they are.
        body: whatever stands behind the head.
        first: the request line; "%b" becomes the path.
        host: the line Host, empty for none.
    """
    first = first.replace(b"%b", OUTER.encode())
    return b"\r\n".join([first, *([host] if host else []), *lines]) + b"\r\n\r\n" + body


def _length(value: int | str) -> bytes:
    return f"Content-Length: {value}".encode("utf-8", "surrogateescape")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def both_lengths(hidden: bytes) -> Iterator[tuple[str, bytes]]:
    """Return requests with Content-Length and Transfer-Encoding, in every spelling of the second.

    Args:
        hidden: a whole request.
    """
    short, long = END + hidden, _chunk(hidden) + END
    inside = len(long.partition(b"\r\n")[0]) + 2
    for name, line in {"plain": CHUNKED, "capitals": b"TRANSFER-ENCODING: CHUNKED"}.items():
        yield f"both lengths, {name}: the chunks end first", framed([_length(len(short)), line], short)
        yield f"both lengths, {name}: the length ends first", framed([_length(inside), line], long)
        yield f"both lengths, {name}: chunked stands first", framed([line, _length(len(short))], short)
    for name, line in ODD_CODINGS.items():
        yield f"coding with {name}", framed([_length(len(short)), line], short)
    yield "chunked in HTTP/1.0", framed([_length(len(short)), CHUNKED], short, first=b"POST %b HTTP/1.0")
    yield "coding without a length: identity", framed([b"Transfer-Encoding: identity"], short)
    yield "coding without a length: gzip", framed([b"Transfer-Encoding: gzip"], short)


def lengths(hidden: bytes) -> Iterator[tuple[str, bytes]]:
    """Return requests whose Content-Length can be read in two ways.

    Args:
        hidden: a whole request.
    """
    size = len(hidden)
    yield "two lengths, the first one larger", framed([_length(size), _length(0)], hidden)
    yield "two lengths, the second one larger", framed([_length(0), _length(size)], hidden)
    values: dict[str, int | str] = {
        "list": f"{size}, 0",
        "list that begins with 0": f"0, {size}",
        "plus sign": f"+{size}",
        "minus sign": f"-{size}",
        "minus nothing": "-0",
        "hex": hex(size),
        "exponent": f"{size}e0",
        "underscore": f"{size:_}_0",
        "fraction": f"{size}.0",
        "two numbers": f"{size} 0",
        "NUL behind": f"{size}\0",
        "vertical tab": f"\v{size}",
        "quotes": f'"{size}"',
        "Arabic digits": "".join(chr(0x0660 + int(each)) for each in str(size)),
        "beyond 64 bits": 2**64 + size,
        "beyond 32 bits and back": f"{2**32 * 2**32}",
        "nothing": "",
    }
    yield from ((f"length with {name}", framed([_length(value)], hidden)) for name, value in values.items())
    yield "length with blank before the colon", framed([b"Content-Length : %d" % size], hidden)
    yield "length folded", framed([b"Content-Length:\r\n %d" % size], hidden)
    yield "length behind a bare line feed", framed([b"X-Other: x\nContent-Length: %d" % size], hidden)
    yield "length behind a bare carriage return", framed([b"X-Other: x\rContent-Length: %d" % size], hidden)


def chunks(hidden: bytes) -> Iterator[tuple[str, bytes]]:
    """Return requests whose chunks can be read in two ways.

    Args:
        hidden: a whole request.
    """
    size = len(hidden)
    bodies = {
        "size with a minus sign": b"-1\r\n" + hidden,
        "size with a plus sign": b"+0\r\n\r\n" + hidden,
        "size with 0x": b"0x0\r\n\r\n" + hidden,
        "size with a blank before it": b" 0\r\n\r\n" + hidden,
        "size with an underscore": b"0_0\r\n\r\n" + hidden,
        "size beyond 64 bits": b"10000000000000000\r\n\r\n" + hidden,
        "no size": b"\r\n\r\n" + hidden,
        "size ended by a bare line feed": b"0\n\r\n" + hidden,
        "size ended by a bare carriage return": b"0\r\r\n" + hidden,
        "size ended by two carriage returns": b"%x\r\r\n" % size + hidden + b"\r\n" + END,
        "extension with a bare line feed": b"1;x\n" + b"x\r\n" + END + hidden,
        "extension with a bare carriage return": b"1;x\ry\r\nx\r\n" + END[:-2] + b"X: y\r" + END + hidden,
        "extension with NUL": b"1;\x00\r\nx\r\n" + b"0;\x00\r\n\r\n" + hidden,
        "data longer than its size": b"1\r\nxx" + END + hidden,
        "data ended by other bytes": b"1\r\nx##" + END + hidden,
        "data ended by a bare line feed": b"1\r\nx\n" + END + hidden,
        "data ended by a bare carriage return": b"1\r\nx\r" + END + hidden,
        "end followed by a bare line feed": b"0\r\n\n" + hidden,
        "trailer without a name": b"0\r\n: x\r\n\r\n" + hidden,
        "trailer with a bare line feed": b"0\r\nX: y\n\r\n" + hidden,
        "trailer with a blank before the colon": b"0\r\nX : y\r\n\r\n" + hidden,
        "trailer folded": b"0\r\nX: y\r\n z\r\n\r\n" + hidden,
    }
    yield from ((f"chunks: {name}", framed([CHUNKED], body)) for name, body in bodies.items())


def hidden_bodies(hidden: bytes) -> Iterator[tuple[str, bytes]]:
    """Return requests that rarely have a body, with one; a server that does not read it finds a request there.

    Args:
        hidden: a whole request.
    """
    size = _length(len(hidden))
    for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE", b"BREW"):
        yield f"body of {method.decode()}", framed([size], hidden, first=method + b" %b HTTP/1.1")
    yield "body of GET in chunks", framed([CHUNKED], _chunk(hidden) + END, first=b"GET %b HTTP/1.1")
    yield "body of a chunk", framed([CHUNKED], _chunk(hidden) + END)
    yield "body after Expect", framed([size, b"Expect: 100-continue"], hidden)
    yield "body after an unknown Expect", framed([size, b"Expect: y 100-continue"], hidden)
    yield (
        "upgrade to h2c",
        framed([size, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"], hidden),
    )
    yield (
        "upgrade to WebSocket",
        framed(
            [
                size,
                b"Connection: Upgrade",
                b"Upgrade: websocket",
                b"Sec-WebSocket-Version: 13",
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            ],
            hidden,
            first=b"GET %b HTTP/1.1",
        ),
    )
    for line in (b"Content-Length", b"Transfer-Encoding", b"Host"):
        yield f"hop by hop {line.decode()}", framed([size, b"Connection: keep-alive, " + line], hidden)
    injected = OUTER.encode() + b"%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0a"
    yield "encoded line ends in the path", framed([size], hidden, first=b"POST " + injected + b" HTTP/1.1")


def heads(request: bytes) -> Iterator[tuple[str, bytes]]:
    """Return a request with a head that has to be refused, whatever its body.

    Args:
        request: a whole request that would be served, with the line "Host: localhost".
    """
    line, rest = request.split(b"\r\n", 1)
    method, path, version = line.split(b" ")
    host = b"Host: localhost\r\n"
    lines = {
        "NUL in the path": b"%b %b\x00 %b" % (method, path, version),
        "tabs in the request line": b"%b\t%b\t%b" % (method, path, version),
        "a word too many": b"%b %b x %b" % (method, path, version),
        "no such version": b"%b %b HTTP/1.1x" % (method, path),
        "bare carriage return in the request line": b"%b %b\r %b" % (method, path, version),
    }
    yield from ((name, changed + b"\r\n" + rest) for name, changed in lines.items())
    hosts = {
        "two Hosts, alike": host + host,
        "two Hosts": host + b"Host: evil.example\r\n",
        "two Hosts, the other first": b"Host: evil.example\r\n" + host,
        "Host with a path": b"Host: localhost/x\r\n",
        "Host with a name before it": b"Host: a@localhost\r\n",
        "Host with a blank": b"Host: local host\r\n",
        "no Host": b"",
    }
    yield from ((name, line + b"\r\n" + rest.replace(host, changed, 1)) for name, changed in hosts.items())
    added = {
        "blank before the colon": b"X-Other : x\r\n",
        "no colon": b"X-Other\r\n",
        "no name": b": x\r\n",
        "NUL in a value": b"X-Other: x\x00y\r\n",
        "NUL in a name": b"X-Ot\x00her: x\r\n",
        "bare carriage return in a value": b"X-Other: x\ry\r\n",
        "delete in a name": b"X-\x7f: x\r\n",
        "brackets in a name": b"X-(Other): x\r\n",
    }
    yield from ((name, line + b"\r\n" + rest.replace(host, host + more, 1)) for name, more in added.items())
    yield "first line folded", line + b"\r\n " + rest


def tricks(hidden: bytes) -> Iterator[tuple[str, bytes]]:
    """Return every request here, by name.

    Args:
        hidden: a whole request, with the line "Host: localhost"; a bare copy of it is served.
    """
    yield from both_lengths(hidden)
    yield from lengths(hidden)
    yield from chunks(hidden)
    yield from hidden_bodies(hidden)
    yield from heads(hidden)
