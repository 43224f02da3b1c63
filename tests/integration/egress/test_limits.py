"""However a provider misbehaves, a call ends in time, in bounded memory, with an error that says whether it was sent."""

import asyncio
import datetime as dt
import gzip
import random
import resource
import socket
import ssl
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from botstead.core.errors import EgressBroken, EgressError, EgressTimeout, EgressUnsent
from botstead.core.messages import Call
from botstead.pipeline import delivery
from botstead.runtime.egress import EgressClient, client
from tests.integration.egress.provider import LOOPS, answering, both_paths, ok, provider, run

MEGABYTE = 1_048_576


def elapsed() -> float:
    return asyncio.get_running_loop().time()


@both_paths
@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_comes_back_whole(method: str, loop: str) -> None:
    async def main() -> None:
        raw = ok(b'{"a":1}', "X-One: 1", "X-Two: a", "x-two: b")
        async with provider(answering(raw)) as good:
            client = good.client()
            for _ in range(3):
                response = await client.call(good.call(method, "/a?b=%20c", headers={"X-Mine": "yes"}))
                assert (response.status, response.json()) == (200, {"a": 1})
                assert response.headers == {"content-length": "7", "x-one": "1", "x-two": "a, b"}
            await client.close()
            await client.close()
            assert good.connections == 1
            first = good.requests[0].lower()
            assert first.startswith(f"{method.lower()} /a?b=%20c http/1.1\r\n".encode())
            assert f"host: 127.0.0.1:{good.port}\r\n".encode() in first
            assert b"accept-encoding: identity\r\n" in first
            assert b"x-mine: yes\r\n" in first
            assert first.endswith(b"{}" if method == "POST" else b"\r\n\r\n")

    run(main(), loop)


@both_paths
@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_that_drips_ends_at_the_deadline(method: str, loop: str) -> None:
    async def drip(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.2)

    async def main() -> None:
        async with provider(drip) as slow:
            client, began = slow.client(), elapsed()
            with pytest.raises(EgressTimeout, match="may have arrived"):
                await client.call(slow.call(method, timeout=0.5))
            assert elapsed() - began < 1.0
            await client.close()

    run(main(), loop)


@both_paths
def test_headers_that_drip_end_at_the_deadline(method: str) -> None:
    async def drip(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(1000):
            writer.write(b"x: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def main() -> None:
        async with provider(drip) as slow:
            client = slow.client()
            with pytest.raises(EgressTimeout):
                await client.call(slow.call(method, timeout=0.3))
            await client.close()

    run(main())


@both_paths
def test_a_server_that_never_answers_is_a_timeout(method: str) -> None:
    async def main() -> None:
        async with provider(answering(b"")) as silent:
            client = silent.client()
            with pytest.raises(EgressTimeout):
                await client.call(silent.call(method, timeout=0.2))
            await client.close()
            assert len(silent.requests) == 1

    run(main())


@both_paths
def test_a_connection_that_never_gets_ready_is_unsent(method: str) -> None:
    """A TLS handshake that nobody answers."""

    async def main() -> None:
        async with provider(answering(b"")) as silent:
            client = silent.client()
            with pytest.raises(EgressUnsent):
                await client.call(Call(method=method, url=silent.url(scheme="https"), timeout=0.3))
            await client.close()

    run(main())


@both_paths
@pytest.mark.parametrize("length", ["101", "99999999999999999999"])
def test_a_body_that_says_it_is_too_large_is_not_waited_for(method: str, length: str) -> None:
    async def main() -> None:
        async with provider(answering(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())) as boastful:
            client = boastful.client()
            with pytest.raises(EgressBroken):
                await client.call(boastful.call(method, limit=100, timeout=20.0))
            await client.close()

    run(main(), seconds=5.0)


@both_paths
@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
def test_a_huge_body_is_cut_off_in_little_memory(method: str, framing: str) -> None:
    async def pour(_request: bytes, writer: asyncio.StreamWriter) -> None:
        piece = bytes(MEGABYTE)
        header = {"length": f"Content-Length: {100 * MEGABYTE}\r\n", "chunked": "Transfer-Encoding: chunked\r\n"}.get(framing, "")
        writer.write(f"HTTP/1.1 200 OK\r\n{header}\r\n".encode())
        for _ in range(100):
            writer.write(b"100000\r\n%b\r\n" % piece if framing == "chunked" else piece)
            await writer.drain()
        writer.close()

    async def main() -> None:
        async with provider(pour) as huge:
            client = huge.client()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for limit in (1, 1000, MEGABYTE):
                with pytest.raises(EgressBroken, match=f"larger than {limit} bytes"):
                    await client.call(huge.call(method, limit=limit, timeout=10.0))
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
            await client.close()

    run(main())


@both_paths
def test_a_body_of_exactly_the_limit_is_taken(method: str) -> None:
    async def main() -> None:
        async with provider(answering(ok(b"x" * 1000))) as good:
            client = good.client()
            assert len((await client.call(good.call(method, limit=1000))).body) == 1000
            with pytest.raises(EgressBroken):
                await client.call(good.call(method, limit=999))
            await client.close()

    run(main())


@both_paths
def test_a_compressed_body_is_not_unpacked(method: str) -> None:
    bomb = gzip.compress(bytes(50 * MEGABYTE))

    async def main() -> None:
        async with provider(answering(ok(bomb, "Content-Encoding: gzip"))) as hostile:
            client = hostile.client()
            assert (await client.call(hostile.call(method))).body == bomb
            await client.close()

    run(main())


@both_paths
def test_endless_headers_are_cut_off(method: str) -> None:
    async def main() -> None:
        endless = b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"y" * 200_000 + b"\r\n\r\n"
        async with provider(answering(endless)) as hostile:
            client = hostile.client()
            with pytest.raises(EgressBroken):
                await client.call(hostile.call(method))
            await client.close()

    run(main())


BROKEN = {
    "nothing": b"",
    "garbage": b"\x00\x01\x02 not http\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n123",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@both_paths
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_may_have_arrived(method: str, loop: str, raw: bytes) -> None:
    async def main() -> None:
        async with provider(answering(raw, close=True)) as hostile:
            client = hostile.client()
            with pytest.raises(EgressBroken):
                await client.call(hostile.call(method, timeout=3.0))
            await client.close()

    run(main(), loop)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_the_lean_path_takes_no_ambiguous_answer(raw: bytes) -> None:
    async def main() -> None:
        async with provider(answering(raw)) as hostile:
            client = hostile.client()
            with pytest.raises(EgressBroken):
                await client.call(hostile.call("POST", timeout=3.0))
            await client.close()

    run(main())


@both_paths
def test_a_reset_in_the_body_is_broken(method: str) -> None:
    async def reset(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def main() -> None:
        async with provider(reset) as hostile:
            client = hostile.client()
            with pytest.raises(EgressBroken):
                await client.call(hostile.call(method, timeout=3.0))
            await client.close()

    run(main())


WHOLE = {
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + ok(b"hi"), b"hi"),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\nX-T: 1\r\n\r\n", b"hi"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
}


@both_paths
@pytest.mark.parametrize(("raw", "body"), WHOLE.values(), ids=WHOLE.keys())
def test_every_proper_framing_is_understood(method: str, raw: bytes, body: bytes) -> None:
    async def main() -> None:
        async with provider(answering(raw)) as good:
            client = good.client()
            for _ in range(2):
                assert (await client.call(good.call(method, timeout=3.0))).body == body
            await client.close()

    run(main())


@both_paths
@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_may_end_with_the_connection(method: str, loop: str) -> None:
    async def main() -> None:
        async with provider(answering(b"HTTP/1.1 200 OK\r\n\r\nhi", close=True)) as good:
            client = good.client()
            for _ in range(2):
                assert (await client.call(good.call(method, timeout=3.0))).body == b"hi"
            await client.close()

    run(main(), loop)


def test_a_second_answer_is_never_taken_for_the_next_one() -> None:
    """What a hostile server sends ahead must not answer the next call, perhaps another bot's."""

    async def main() -> None:
        planted = ok(b"first") + ok(b"planted")
        async with provider(answering(planted)) as hostile:
            client = hostile.client()
            for _ in range(3):
                assert (await client.call(hostile.call("POST"))).body == b"first"
            assert hostile.connections == 3
            await client.close()

    run(main())


def test_what_arrives_between_two_calls_ends_the_connection() -> None:
    later = asyncio.Event

    async def main() -> None:
        sent = later()

        async def talk(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(ok(b"first"))
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(ok(b"planted"))
            await writer.drain()
            sent.set()

        async with provider(talk) as hostile:
            client = hostile.client()
            assert (await client.call(hostile.call("POST"))).body == b"first"
            await sent.wait()
            await asyncio.sleep(0.02)
            assert (await client.call(hostile.call("POST"))).body == b"first"
            assert hostile.connections == 2
            await client.close()

    run(main())


@both_paths
@pytest.mark.parametrize("loop", LOOPS)
def test_cancelled_calls_leave_nothing_behind(method: str, loop: str) -> None:
    chance = random.Random(3)

    async def sluggish(_request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(chance.uniform(0, 0.05))
        writer.write(ok(b"late"))

    async def main() -> None:
        async with provider(sluggish) as slow:
            client = slow.client(concurrency=32)
            ended = {"answered": 0, "failed": 0}

            async def once() -> None:
                try:
                    await client.call(slow.call(method, timeout=chance.uniform(0, 0.05)))
                    ended["answered"] += 1
                except EgressError:
                    ended["failed"] += 1

            for _ in range(10):
                await asyncio.gather(*(once() for _ in range(100)))
            assert ended["answered"] + ended["failed"] == 1000
            assert ended["failed"] > 100
            answers = await asyncio.gather(*(client.call(slow.call(method, timeout=5.0)) for _ in range(20)))
            assert [answer.body for answer in answers] == [b"late"] * 20
            await client.close()

    run(main(), loop, seconds=30)


@both_paths
def test_cancelling_passes_through_and_frees_the_place(method: str) -> None:
    async def main() -> None:
        async with provider(answering(b"")) as silent:
            client = silent.client(concurrency=1)
            for _ in range(3):
                task = asyncio.ensure_future(client.call(silent.call(method)))
                await silent.asked.acquire()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await client.close()

    run(main())


@both_paths
def test_a_slow_service_fills_its_own_places_only(method: str) -> None:
    async def main() -> None:
        async with provider(answering(b"")) as silent, provider(answering(ok())) as good:
            client = EgressClient(allow=["127.0.0.1"], concurrency=2)
            held = [asyncio.ensure_future(client.call(silent.call(method, service="slow", timeout=5))) for _ in range(2)]
            for _ in held:
                await silent.asked.acquire()
            with pytest.raises(EgressUnsent):
                await client.call(silent.call(method, service="slow", timeout=0.1))
            assert len(silent.requests) == 2
            assert (await client.call(good.call(method, service="fast", timeout=5))).status == 200
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
            await client.close()

    run(main())


def test_too_many_waiting_calls_are_turned_away_at_once() -> None:
    async def main() -> None:
        async with provider(answering(b"")) as silent:
            client = silent.client(concurrency=1)
            held = [asyncio.ensure_future(client.call(silent.call("POST", service="slow", timeout=30))) for _ in range(17)]
            await asyncio.sleep(0)
            with pytest.raises(EgressUnsent, match="Too many calls to slow"):
                await client.call(silent.call("POST", service="slow", timeout=30))
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
            await client.close()

    run(main())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@both_paths
@pytest.mark.parametrize("loop", LOOPS)
def test_tls_is_checked(method: str, loop: str, certificate: Path) -> None:
    async def main() -> None:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(certificate)
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with provider(answering(ok()), tls=server) as good:
            call = Call(method=method, url=good.url(scheme="https"), timeout=5)
            client = good.client(tls=trusting)
            for _ in range(2):
                assert (await client.call(call)).status == 200
            assert good.connections == 1
            await client.close()
            stranger = good.client()
            with pytest.raises(EgressUnsent):
                await stranger.call(call)
            await stranger.close()
            other = EgressClient(allow=["127.0.0.1"], tls=trusting, resolver=_loopback)
            with pytest.raises(EgressUnsent):
                await other.call(Call(method=method, url=good.url("/", "other.example", "https"), timeout=5))
            await other.close()
            assert len(good.requests) == 2

    run(main(), loop)


async def _loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def test_there_are_more_places_than_one_network_can_have_sends() -> None:
    """Else the slow calls of one bot, which fill its channel's places, would fill those of its whole network too."""
    assert client.PLACES >= delivery.SENDERS + delivery.GESTURES
