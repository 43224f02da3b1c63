"""No trick makes the client open a connection to where the operator did not allow one."""

import asyncio
from collections.abc import Sequence

import pytest

from botstead.core.errors import EgressRefused, EgressUnsent
from botstead.core.messages import Call
from botstead.processes.prove.lures import INTERNAL, SPELLINGS
from botstead.runtime.egress import EgressClient
from botstead.runtime.egress.resolver import SystemResolver
from tests.integration.egress.provider import LOOPS, answering, both_paths, ok, provider, run


def resolving_to(*answers: Sequence[str]):
    """A resolver that gives these answers one after the other, and the last one for ever."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@both_paths
@pytest.mark.parametrize("loop", LOOPS)
def test_no_spelling_of_loopback_gets_through(method: str, loop: str) -> None:
    async def main() -> None:
        async with provider(answering(ok())) as trap:
            client = EgressClient(allow=["10.0.0.0/8", f"127.0.0.1:{trap.port + 1}"])
            for host in SPELLINGS:
                with pytest.raises((EgressRefused, EgressUnsent)):
                    await client.call(Call(method=method, url=trap.url("/", host), timeout=2.0))
            await client.close()
            assert trap.connections == 0

    run(main(), loop)


@both_paths
def test_a_name_that_leads_to_an_internal_address_is_refused(method: str) -> None:
    async def main() -> None:
        for address in INTERNAL:
            resolver, asked = resolving_to([address])
            client = EgressClient(allow=[], resolver=resolver)
            with pytest.raises(EgressRefused, match="BOTSTEAD_EGRESS_ALLOW"):
                await client.call(Call(method=method, url="http://innocent.example/", timeout=2.0))
            await client.close()
            assert asked == ["innocent.example"]

    run(main())


@both_paths
def test_one_bad_answer_among_good_ones_is_enough(method: str) -> None:
    async def main() -> None:
        async with provider(answering(ok())) as good:
            for answer in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "::1"]):
                resolver, _ = resolving_to(answer)
                client = EgressClient(allow=["127.0.0.1"], resolver=resolver)
                with pytest.raises(EgressRefused):
                    await client.call(Call(method=method, url=good.url("/", "mixed.example")))
                await client.close()
            assert good.connections == 0

    run(main())


@both_paths
def test_a_name_is_looked_up_once_a_connection_and_checked_each_time(method: str) -> None:
    async def main() -> None:
        closing = answering(ok(b"{}", "Connection: close"), close=True)
        async with (
            provider(closing) as good,
            provider(answering(ok()), host="127.0.0.2", port=good.port) as trap,
        ):
            resolver, asked = resolving_to(["127.0.0.1"], ["127.0.0.2"])
            client = EgressClient(allow=["127.0.0.1"], resolver=resolver)
            call = Call(method=method, url=good.url("/", "rebind.example"))
            assert (await client.call(call)).status == 200
            assert len(asked) == 1
            with pytest.raises(EgressRefused):
                await client.call(call)
            assert (good.connections, trap.connections) == (1, 0)
            await client.close()

    run(main())


@both_paths
def test_what_the_operator_lists_is_reached(method: str) -> None:
    async def main() -> None:
        async with provider(answering(ok())) as good:
            for allow in ("127.0.0.1", f"127.0.0.1:{good.port}", f"here.example:{good.port}"):
                resolver, _ = resolving_to(["127.0.0.1"])
                client = EgressClient(allow=[allow], resolver=resolver)
                assert (await client.call(Call(method=method, url=good.url("/", "here.example")))).status == 200
                await client.close()

    run(main())


@both_paths
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_like_any_other(method: str, status: int) -> None:
    async def main() -> None:
        async with provider(answering(ok())) as trap:
            moved = f"HTTP/1.1 {status} Moved\r\nLocation: {trap.url()}\r\nContent-Length: 0\r\n\r\n".encode()
            async with provider(answering(moved)) as good:
                client = EgressClient(allow=["127.0.0.1"])
                response = await client.call(good.call(method))
                await client.close()
            assert (response.status, response.headers["location"]) == (status, trap.url())
            assert trap.connections == 0

    run(main())


@both_paths
def test_the_environment_and_cookies_change_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with provider(answering(ok())) as proxy, provider(answering(ok(b"{}", "Set-Cookie: a=b; Path=/"))) as good:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url())
            client = EgressClient(allow=["127.0.0.1"])
            for _ in range(2):
                await client.call(good.call(method))
            await client.close()
            assert proxy.connections == 0
            assert not any(b"cookie" in request.lower() for request in good.requests)

    run(main())


@both_paths
def test_addresses_are_tried_in_turn(method: str) -> None:
    async def main() -> None:
        async with provider(answering(ok()), host="127.0.0.2") as good:
            resolver, _ = resolving_to(["127.0.0.1", "127.0.0.2"])
            client = EgressClient(allow=["127.0.0.1", "127.0.0.2"], resolver=resolver)
            assert (await client.call(Call(method=method, url=good.url("/", "two.example")))).status == 200
            await client.close()

    run(main())


@both_paths
def test_a_name_without_an_address_and_a_closed_port_are_unsent(method: str) -> None:
    async def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    async def main() -> None:
        async with provider(answering(ok())) as gone:
            pass
        for client, url in ((EgressClient(allow=[], resolver=nowhere), "http://x.example/"), (gone.client(), gone.url())):
            with pytest.raises(EgressUnsent):
                await client.call(Call(method=method, url=url))
            await client.close()

    run(main())


def test_a_slow_resolver_is_within_the_deadline() -> None:
    async def never(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async def main() -> None:
        client = EgressClient(allow=[], resolver=never)
        for method in ("POST", "GET", "PUT"):
            with pytest.raises(EgressUnsent):
                await client.call(Call(method=method, url="http://slow.example/", timeout=0.1))
        await client.close()

    run(main(), seconds=5)


def test_calls_that_ask_for_the_same_name_share_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        asked: list[object] = []

        async def getaddrinfo(host: object, *_: object, **__: object) -> list[object]:
            asked.append(host)
            await asyncio.sleep(0.05)
            raise OSError("nobody there")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        resolver = SystemResolver()
        given_up = asyncio.ensure_future(resolver("dead.example", 443))
        others = [asyncio.ensure_future(resolver("dead.example", 443)) for _ in range(5)]
        await asyncio.sleep(0)
        given_up.cancel()
        found = await asyncio.gather(given_up, *others, return_exceptions=True)
        assert asked == ["dead.example"]
        assert [type(error) for error in found] == [asyncio.CancelledError, *[OSError] * 5]
        with pytest.raises(OSError, match="nobody"):
            await resolver("dead.example", 443)
        assert len(asked) == 2

    run(main())
