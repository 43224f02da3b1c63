"""The provider remembers before it answers, knows bots apart, and goes wrong in the way that it was told to."""

from __future__ import annotations

import asyncio
import gzip
import sys
import time
from contextlib import asynccontextmanager

import msgspec
import pytest

from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import free_ports
from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import JSON
from botstead.processes.prove.fault import Fault
from botstead.processes.prove.rawhttp import request, say
from botstead.processes.prove.replies import Provider
from botstead.processes.prove.slot import Slot

ONE, OTHER = "1:a", "2:b"


@asynccontextmanager
async def provider(folder):
    port = free_ports(1)[0]
    found = Provider(port, folder / "log.jsonl")
    command = (sys.executable, "-m", "botstead.processes.prove.provider", str(port), str(found.log))
    program = Program(role="provider", instance="provider", command=command, environment={}, folder=folder)
    slot = Slot(program, log=folder / "out.log", said="provider_ready")
    slot.start()
    try:
        await slot.becomes_ready()
        yield found, slot
    finally:
        slot.kill()


def send(token, text, chat=5):
    return request("POST", f"/bot{token}/sendMessage", headers=[JSON], body=msgspec.json.encode({"chat_id": chat, "text": text}))


def playing(folder, story):
    async def play():
        async with asyncio.timeout(20), provider(folder) as (found, slot):
            await story(found, slot, Client())

    asyncio.run(play())


def test_what_was_answered_is_in_the_log_of_a_killed_provider(tmp_path):
    async def story(found, slot, client):
        answers = await asyncio.gather(*(client.ask(found.port, send(ONE, f"t{n}")) for n in range(50)))
        slot.kill()
        assert {status for status, _ in answers} == {200}
        assert len({msgspec.json.decode(body)["result"]["message_id"] for _, body in answers}) == 50
        assert {entry.text for entry in found.sent()} == {f"t{n}" for n in range(50)}
        assert all((entry.token, entry.chat) == (ONE, "5") for entry in found.sent())

    playing(tmp_path, story)


def test_a_fault_strikes_one_bot_as_often_as_told_and_is_remembered(tmp_path):
    async def story(found, slot, client):
        await found.faults(ONE, [Fault(status=429, retry_after=7, times=1)])
        assert (await client.ask(found.port, send(OTHER, "fine")))[0] == 200
        heard = await say(found.port, send(ONE, "later"))
        assert heard.statuses == [429]
        assert heard.answers[0].headers["retry-after"] == "7"
        assert msgspec.json.decode(heard.answers[0].body)["parameters"] == {"retry_after": 7}
        assert (await client.ask(found.port, send(ONE, "now")))[0] == 200
        assert [entry.text for entry in found.sent()] == ["fine", "now"]
        assert [entry.text for entry in found.attempts()] == ["fine", "later", "now"]

    playing(tmp_path, story)


@pytest.mark.parametrize(
    ("fault", "status", "effect"),
    [
        (Fault(kind="foreign", status=502), 502, False),
        (Fault(kind="redirect", location="http://127.0.0.1:9/"), 302, False),
        (Fault(kind="slow", seconds=0.2), 200, True),
        (Fault(kind="gzip", size=1_000_000), 200, True),
        (Fault(kind="bomb", size=5_000_000), 200, True),
        (Fault(kind="close"), None, True),
        (Fault(kind="close", applied=False), None, False),
        (Fault(kind="hang", seconds=0.2), None, True),
        (Fault(kind="half_open", seconds=0.2), None, False),
    ],
)
def test_each_kind_goes_wrong_in_its_own_way(tmp_path, fault, status, effect):
    async def story(found, slot, client):
        await found.faults("", [fault])
        heard = await say(found.port, send(ONE, "x"))
        assert heard.statuses == ([] if status is None else [status])
        assert bool(found.sent()) is effect
        if fault.kind == "gzip":
            assert len(gzip.decompress(heard.answers[0].body)) == fault.size > 500 * len(heard.answers[0].body)
        if fault.kind == "bomb":
            assert len(heard.answers[0].body) == fault.size

    playing(tmp_path, story)


def test_a_drip_is_a_byte_a_second(tmp_path):
    async def story(found, slot, client):
        await found.faults(ONE, [Fault(kind="drip")])
        began = time.monotonic()
        heard = await say(found.port, send(ONE, "x"), seconds=2.5)
        assert heard.statuses == []
        assert 2 <= len(heard.rest.partition(b"\r\n\r\n")[2]) <= 3
        assert time.monotonic() - began < 4

    playing(tmp_path, story)


def test_a_client_that_leaves_breaks_nothing_for_the_others(tmp_path):
    async def story(found, slot, client):
        async def leave():
            _, writer = await asyncio.open_connection("127.0.0.1", found.port)
            writer.write(send(ONE, "gone"))
            await writer.drain()
            writer.transport.abort()

        for _ in range(20):
            await asyncio.gather(*(leave() for _ in range(5)), *(client.ask(found.port, send(OTHER, "x")) for _ in range(5)))
        assert sum(entry.token == OTHER for entry in found.sent()) == 100

    playing(tmp_path, story)
