"""The load generator counts and times what really happened: held to a target that is late, refuses, repeats or is silent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil

import pytest

from tests.bench.load import Load
from tests.bench.processes import cpu_seconds, family, memory_mb
from tests.bench.targets import free_port

pytestmark = pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="there is no C compiler here")
SECRET, PATH = "s-1", "/hooks/abc"


class Echo:
    """A target: acknowledges each update after `delay` seconds, then says its text `times` times."""

    def __init__(
        self, api_port: int, *, delay: float = 0.0, times: int = 1, refuse_every: int = 0, hang_up_every: int = 0
    ) -> None:
        self.api_port = api_port
        self.delay, self.times, self.refuse_every, self.hang_up_every = delay, times, refuse_every, hang_up_every
        self.requests: list[tuple[str, dict]] = []
        self.replies: set[asyncio.Task] = set()
        self.served: set[asyncio.Task] = set()

    async def serve(self, reader, writer) -> None:
        self.served.add(asyncio.current_task())
        while head := await self._head(reader):
            length = int(re.search(rb"Content-Length: (\d+)", head)[1])
            update = json.loads(await reader.readexactly(length))
            self.requests.append((head.decode(), update))
            refused = self.refuse_every and len(self.requests) % self.refuse_every == 0
            if self.hang_up_every and len(self.requests) % self.hang_up_every == 0:
                break
            await asyncio.sleep(self.delay)
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % (503 if refused else 200))
            for _ in range(0 if refused else self.times):
                task = asyncio.create_task(self._say(update["message"]))
                self.replies.add(task)
                task.add_done_callback(self.replies.discard)
        writer.close()
        await writer.wait_closed()

    @staticmethod
    async def _head(reader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def _say(self, message: dict) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.api_port)
        body = json.dumps({"chat_id": message["chat"]["id"], "text": message["text"]}).encode()
        writer.write(b"POST /bot1:x/sendMessage HTTP/1.1\r\nHost: x\r\ncontent-length: %d\r\n\r\n" % len(body))
        await asyncio.sleep(0)
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()


def measure(
    count: int, *, rate: float = 0.0, connections: int = 4, phases: int = 1, paths=(PATH,), chats: int = 1_000, **behaviour
):
    """What the generator says of a target, and the target itself."""

    async def run():
        api_port = free_port()
        target = Echo(api_port, **behaviour)
        server = await asyncio.start_server(target.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        load = Load(port=port, paths=paths, secret=SECRET, api_port=api_port, seed=1, chats=chats)
        try:
            for _ in range(phases):
                seen = await asyncio.to_thread(load.run, count, rate=rate, connections=connections)
            await asyncio.gather(*target.replies)
        finally:
            load.close()
            server.close()
            await asyncio.gather(*target.served)
        return seen, target

    return asyncio.run(run())


def test_each_update_is_delivered_once_and_its_reply_seen() -> None:
    seen, target = measure(50)
    assert (seen["acknowledged"], seen["replied"], seen["refused"], seen["repeated"], seen["broken"]) == (50, 50, 0, 0, 0)
    heads, updates = zip(*target.requests, strict=True)
    assert all(head.startswith(f"POST {PATH} ") and f"Secret-Token: {SECRET}" in head for head in heads)
    assert len({update["update_id"] for update in updates}) == 50
    assert len({update["message"]["chat"]["id"] for update in updates}) > 25


def test_a_chat_always_belongs_to_the_same_path() -> None:
    _, target = measure(60, paths=["/hooks/a", "/hooks/b", "/hooks/c"], chats=9)
    homes = {(update["message"]["chat"]["id"], head.split()[1]) for head, update in target.requests}
    assert len({chat for chat, _ in homes}) == len(homes) == 9
    assert {path for _, path in homes} == {"/hooks/a", "/hooks/b", "/hooks/c"}


def test_no_update_of_a_later_phase_is_taken_for_a_duplicate() -> None:
    _, target = measure(20, phases=3)
    assert len({update["update_id"] for _, update in target.requests}) == 60


def test_refusals_and_repeated_replies_are_told_apart() -> None:
    seen, _ = measure(40, refuse_every=4)
    assert (seen["acknowledged"], seen["refused"], seen["replied"]) == (30, 10, 30)
    seen, _ = measure(40, times=2)
    assert seen["replied"] == 40
    assert seen["repeated"] + seen["stray"] <= 40
    assert seen["repeated"] > 0


def test_a_broken_delivery_is_counted_once_and_the_others_go_on() -> None:
    seen, _ = measure(40, hang_up_every=4)
    assert (seen["acknowledged"], seen["broken"], seen["replied"]) == (30, 10, 30)


def test_times_count_from_when_an_update_was_due() -> None:
    seen, _ = measure(20, rate=200, connections=1, delay=0.02)
    # Due every 5 ms and served one at a time in 20 ms: the last one waits for all the others.
    assert seen["ack_p50_ms"] > 100
    assert seen["ack_max_ms"] > 250


def test_a_process_is_counted_with_its_children() -> None:
    assert family(os.getpid())[0] == os.getpid()
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) < before + 0.05:
        sum(range(10_000))
    assert memory_mb(os.getpid()) > 5
