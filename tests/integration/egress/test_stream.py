"""Answers that are read while they come: in pieces, within three deadlines and a limit, through the same guard."""

import asyncio

import pytest

from botstead.core.errors import EgressBroken, EgressRefused, EgressTimeout, EgressUnsent
from botstead.core.messages import Call
from botstead.core.secret import Secret
from botstead.processes.prove.lures import lures
from botstead.runtime.egress import EgressClient
from tests.integration.egress.provider import LOOPS, answering, ok, provider, run

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


async def read_all(stream) -> bytes:
    async with stream as answer:
        return b"".join([piece async for piece in answer])


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pieces_are_given_as_they_come(method: str, loop: str) -> None:
    async def main() -> None:
        read = asyncio.Semaphore(0)

        async def talk(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD + chunk(b"one"))
            await read.acquire()  # the second is sent only when the first was read
            writer.write(chunk(b"two") + chunk(b""))

        async with provider(talk) as good:
            client = good.client()
            call = good.call(method, "/v1", headers={"Authorization": "Bearer {secret:key}"})
            async with client.stream(call, {"key": Secret("s3cret")}, first=5, idle=5) as answer:
                assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
                pieces = []
                async for piece in answer:
                    pieces.append(piece)
                    read.release()
            assert pieces == [b"one", b"two"]
            assert b"Bearer s3cret" in good.requests[0]
            read.release()
            await client.call(good.call("PUT"))
            await client.close()
            assert good.connections == 1  # a body that was read to its end leaves its connection for the next call

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_leaving_early_ends_the_request_at_the_service(loop: str) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def talk(_request: bytes, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    writer.write(chunk(b"x" * 65_536))
                    await writer.drain()
            except ConnectionError:
                gone.set()
                raise

        async def begun(request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD)
            await talk(request, writer)

        async with provider(begun) as endless:
            client = endless.client()
            async with client.stream(endless.call("GET", limit=10**9), first=5, idle=5) as answer:
                async for _piece in answer:
                    break
            async with asyncio.timeout(5):
                await gone.wait()
            await client.close()

    run(main(), loop)


@pytest.mark.parametrize(
    ("sent", "options", "raised", "words"),
    [
        (
            b"",
            {"first": 1.5, "idle": 5},
            EgressTimeout,
            "did not answer within 1.5 s",
        ),  # long enough to connect on a busy machine
        (HEAD, {"first": 0.1, "idle": 5}, EgressTimeout, "fell silent"),
        (HEAD + chunk(b"one"), {"first": 5, "idle": 0.1}, EgressTimeout, "fell silent"),
        (HEAD + chunk(b"one"), {"first": 5, "idle": 5, "seconds": 0.2}, EgressTimeout, "too long"),
        (HEAD + chunk(b"x" * 2_000), {"first": 5, "idle": 5, "limit": 1_000}, EgressBroken, "larger than 1000 bytes"),
        (HEAD + b"zz\r\n", {"first": 5, "idle": 5}, EgressBroken, "broke before"),
    ],
    ids=["no head", "no first piece", "no second piece", "no end", "too large", "not chunked"],
)
def test_what_does_not_come_in_time_or_measure_is_an_error(sent, options, raised, words) -> None:
    async def main() -> None:
        async def talk(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(sent)

        async with provider(talk) as bad:
            client = bad.client()
            call = bad.call("POST", timeout=options.pop("seconds", 10.0), limit=options.pop("limit", 10_000))
            with pytest.raises(raised, match=words):
                await read_all(client.stream(call, **options))
            await client.close()

    run(main())


def test_an_error_stays_one_and_holds_no_secret() -> None:
    async def main() -> None:
        async with provider(answering(HEAD + chunk(b"one"), close=True)) as broken:
            client = broken.client()
            call = broken.call("POST", "/{secret:key}", timeout=5.0)
            async with client.stream(call, {"key": Secret("s3cret")}, first=5, idle=5) as answer:
                assert await anext(aiter(answer)) == b"one"
                for _ in range(2):
                    with pytest.raises(EgressBroken) as caught:
                        await anext(aiter(answer))
                    seen, error = [], caught.value
                    while error is not None:
                        seen.append(repr(error))
                        error = error.__context__
                    assert "s3cret" not in " ".join(seen)
            await client.close()

    run(main())


def test_a_stream_goes_through_the_guard() -> None:
    async def main() -> None:
        async with provider(answering(ok())) as trap:
            for lure in lures(trap.port, 1):
                client = EgressClient(allow=["127.0.0.1:1"], resolver=_first(lure.answers) if lure.answers else None)
                with pytest.raises((EgressRefused, EgressUnsent)):
                    async with client.stream(Call(method="POST", url=lure.url, timeout=2.0), first=2, idle=2):
                        pytest.fail(f"{lure.what} was reached")
                await client.close()
            assert trap.connections == 0

    run(main(), seconds=60)


def _first(answers):
    async def resolve(_host, _port):
        return answers[-1]

    return resolve
