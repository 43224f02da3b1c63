"""A secret is on the wire and nowhere else: not in a log record, not in an exception, not in what shows itself."""

import asyncio
import logging
import traceback
from collections.abc import Iterator

import pytest

from botstead.core.errors import EgressError
from botstead.core.messages import Call
from botstead.core.secret import Secret
from botstead.runtime.egress import EgressClient
from tests.integration.egress.provider import answering, both_paths, ok, provider, run

CANARY = "123456789:AAcanary-Canary_canary-Canary_canary"
SECRETS = {"token": Secret(CANARY), "broken": Secret(CANARY + "\r\n")}
PATH = "/bot{secret:token}/send?key={secret:token}"
HEADERS = {"authorization": "Bearer {secret:token}"}


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Every logger down to DEBUG, those of the HTTP libraries included."""
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore", "aiohttp", "aiohttp.client", "asyncio"):
            caplog.set_level(logging.DEBUG, logger=name)
        yield caplog


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if error.__cause__ is not None:
            yield from chain(error.__cause__)
        error = error.__context__


def shown(error: BaseException) -> str:
    """Everything that a log or an error page could show of an exception."""
    parts = ["".join(traceback.format_exception(error))]
    for one in chain(error):
        parts += [str(one), repr(one), repr(one.args), repr(getattr(one, "request", "")), repr(vars(one))]
        request = getattr(one, "_request", None)
        if request is not None:
            parts += [str(request.url), repr(request.headers.raw), repr(request.extensions)]
    return "\n".join(parts)


@both_paths
def test_the_provider_gets_the_secret(method: str) -> None:
    async def main() -> None:
        async with provider(answering(ok())) as good:
            client = good.client()
            await client.call(good.call(method, PATH, headers=HEADERS), SECRETS)
            await client.close()
            assert good.requests[0].count(CANARY.encode()) == 3
            assert b"secret:" not in good.requests[0]

    run(main())


FAULTS = {
    "success": ok(),
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "server error": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    "silence": None,
    "closed": b"",
    "garbage": b"garbage\r\n\r\n",
    "half": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    "too large": ok(b"x" * 5000),
    "bad header": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
}


@both_paths
@pytest.mark.parametrize("raw", FAULTS.values(), ids=FAULTS.keys())
def test_whatever_happens_the_secret_is_not_shown(
    method: str, raw: bytes | None, everything_logged: pytest.LogCaptureFixture
) -> None:
    texts: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        asyncio.get_running_loop().slow_callback_duration = 0.0001
        async with provider(answering(raw or b"", close=raw is not None and raw != FAULTS["success"])) as bad:
            client = bad.client()
            call = bad.call(method, PATH, headers=HEADERS, timeout=0.5, limit=1000)
            try:
                texts.append(repr(await client.call(call, SECRETS)))
            except EgressError as error:
                texts.append(shown(error))
            texts.append(repr(client) + repr(vars(client)) + repr(call))
            await client.close()

    run(main())
    logged = "\n".join(f"{record.getMessage()} {record.args} {record.exc_info}" for record in everything_logged.records)
    assert CANARY not in "\n".join([*texts, logged, everything_logged.text])
    assert len(texts) == 2


@both_paths
@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:1" + PATH, {}),
        ("http://nowhere.invalid" + PATH, {}),
        ("https://127.0.0.1:{port}" + PATH, {}),
        ("http://127.0.0.1:{port}/{{secret:missing}}" + PATH, {}),
        ("http://127.0.0.1:{port}/{{secret:broken}}", {}),
        ("http://127.0.0.1:{port}/", {"x": "{secret:broken}"}),
        ("http://127.0.0.1:{port}" + PATH, {"host": "{secret:token}"}),
        ("http://{{secret:token}}/", {}),
        ("http://{{secret:token}}@127.0.0.1:{port}/", {}),
    ],
)
def test_a_call_that_is_never_sent_does_not_show_it_either(
    method: str, url: str, headers: dict[str, str], everything_logged: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with provider(answering(ok())) as good:
            client = EgressClient(allow=["127.0.0.1"])
            filled = url.replace("{port}", str(good.port)).replace("{{", "{").replace("}}", "}")
            with pytest.raises(EgressError) as refused:
                await client.call(Call(method=method, url=filled, headers=headers, timeout=1.0), SECRETS)
            assert CANARY not in shown(refused.value)
            await client.close()
            assert good.requests == []

    run(main())
    assert CANARY not in everything_logged.text
