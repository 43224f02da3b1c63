"""Who is believed, and how often: forged signatures, replays, and the same delivery many times over."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from botstead.processes.prove import deliveries
from botstead.processes.prove.deliveries import JSON, TELEGRAM_SECRET, Signed
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import CHAIN
from botstead.processes.prove.rawhttp import Line, request, say

if TYPE_CHECKING:
    import random

    from botstead.processes.prove.installation import Hook, Installation
    from botstead.processes.prove.stage import Stage

CHAIN_BOTS = ("chain", "other")
LATE = 24 * 3_600
LINES = 8
"""Connections that send forgeries at once."""


async def _together(ports: list[int], asked: bytes, copies: int) -> list[int]:
    """Send a request many times at once, at every process; returns the statuses."""
    heard = await asyncio.gather(*(say(ports[each % len(ports)], asked, seconds=10) for each in range(copies)))
    return [status for each in heard for status in each.statuses]


@experiment("E21", "The same delivery again, at once, late, or changed, takes effect once", promises=("P2",), minutes=1)
async def duplicates(stage: Stage) -> None:
    """Deliver the same ten times at once to two API processes, in the wrong order, late, changed, and to another bot."""
    messages = 200 if stage.full else 20
    async with installation(stage, api=2, worker=1, bots=dict.fromkeys(CHAIN_BOTS, CHAIN)) as running:
        first, other = running.hooks
        statuses: Counter[int] = Counter()
        numbers = list(range(1, messages + 1))
        stage.chance.shuffle(numbers)  # a provider that repeats does so out of order
        for number in numbers:
            statuses.update(await _together(running.ports(), deliveries.message(first, number, number % 5 + 1, f"m{number}"), 10))
        for number in numbers:  # the same ids, other words: the first wins
            statuses.update(
                await _together(running.ports(), deliveries.message(first, number, number % 5 + 1, f"changed{number}"), 1)
            )
        for number in numbers:  # the same ids at another bot are other messages
            statuses.update(await _together(running.ports(), deliveries.message(other, number, number % 5 + 1, f"o{number}"), 1))
        late = deliveries.update(messages + 1, 1, "late")
        late["message"]["date"] -= LATE
        statuses.update(await _together(running.ports(), deliveries.telegram(first, msgspec.json.encode(late)), 10))
        wanted = [*(f"m{number}" for number in numbers), *(f"o{number}" for number in numbers), "late"]
        await running.until(lambda: all(word in _words(running) for word in wanted), "everything answered")
        said = _words(running)
        stage.none("P2", "effects other than one", [f"{word}: {said[word]}" for word in wanted if said[word] != 1])
        stage.none("P2", "changed copies that took effect", [word for word in said if word.startswith("changed")])
        stage.none("P2", "answers other than 200", [f"{status}: {count}" for status, count in statuses.items() if status != 200])


def _words(running: Installation) -> Counter[str]:
    return Counter(word for sent in running.provider.sent() for word in sent.text.split())


def forged_tokens(hook: Hook, others: Hook, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Return deliveries to a Telegram hook that Telegram did not send, without end.

    Args:
        hook: what is attacked.
        others: another bot's, whose secret is no use here.
        chance: what chooses.
    """
    true = hook.secret
    number = 0
    while True:
        number += 1
        body = msgspec.json.encode(deliveries.update(number, 7, f"forged{number}"))
        at = chance.randrange(len(true))
        changed = true[:at] + chance.choice([each for each in "abcXYZ019_-" if each != true[at]]) + true[at + 1 :]
        tokens: dict[str, list[str]] = {
            "none": [],
            "empty": [""],
            "truncated": [true[: chance.randrange(1, len(true))]],
            "longer": [true + chance.choice("ab0-")],
            "one character changed": [changed],
            "other case": [true.swapcase()],
            "another bot's": [others.secret],
            "twice": [true, true],
            "wrong, then right": ["wrong", true],
            "list": [f"{changed},{true}"],
            "quoted": [f'"{true}"'],
            "full-width": ["".join(chr(ord(each) + 0xFEE0) for each in true)],
            "not UTF-8": [true + "\udcff"],
            "enormous": [true * 40],
        }
        for name, given in tokens.items():
            if given != [true]:
                headers = [JSON, *((TELEGRAM_SECRET, token) for token in given)]
                yield f"telegram, {name}", request("POST", hook.path, headers=headers, body=body)
        elsewhere = f"{hook.path}?{TELEGRAM_SECRET.lower()}={true}"
        yield "telegram, in the query", request("POST", elsewhere, headers=[JSON], body=body)


def forged_signatures(channel: Signed, others: Signed, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Return deliveries to a signed hook that nobody who knows the secret signed so, without end.

    Args:
        channel: what is attacked.
        others: another bot's, whose secret is no use here.
        chance: what chooses.
    """
    number = 0
    while True:
        number += 1
        body = deliveries.event("forgeries", f"forged{number}")
        true = deliveries.signature(channel, body, id=f"forged-{number}", at=time.time())
        for name, change in _changed_headers(
            true, deliveries.signature(others, body, id=f"forged-{number}", at=time.time()), chance
        ):
            yield f"signed, {name}", _with(channel, true | change, body)
        for name, altered in _changed_bodies(body, chance):
            yield f"signed, {name}", _with(channel, true, altered)
        for name, left_out in ((f"without {key}", key) for key in true):
            yield f"signed, {name}", _with(channel, {key: value for key, value in true.items() if key != left_out}, body)
        yield "signed, for another hook", _with(others, true, body)
        for name, value in _other_algorithms(channel, true, body):
            yield f"signed, {name}", _with(channel, true | {"webhook-signature": value}, body)


def _with(channel: Signed, headers: dict[str, str], body: bytes) -> bytes:
    return request("POST", channel.path, headers=[JSON, *headers.items()], body=body)


def _changed_headers(true: dict[str, str], others: dict[str, str], chance: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
    signed, at, number = true["webhook-signature"], true["webhook-timestamp"], true["webhook-id"]
    version, _, mac = signed.partition(",")
    place = chance.randrange(len(mac) - 3)  # the last characters of base64 hold bits that mean nothing
    other = chance.choice([each for each in "ABCxyz0189" if each != mac[place]])
    signatures = {
        "empty": "",
        "truncated": signed[: chance.randrange(1, len(signed))],
        "one character changed": f"{version},{mac[:place]}{other}{mac[place + 1 :]}",
        "without its version": mac,
        "another version": f"v2,{mac}",
        "public-key version": f"v1a,{mac}",
        "version in capitals": f"V1,{mac}",
        "another bot's": others["webhook-signature"],
        "many wrong ones": " ".join(f"v1,{mac[::-1]}" for _ in range(12)),
        "the right one behind 5,000 wrong bytes": " ".join([f"v1,{mac[::-1]}"] * 100 + [signed]),
        "separated by commas": f"v1,{mac[::-1]},{signed}",
        "hex": f"v1,{base64.b64decode(mac).hex()}",
        "hex in capitals": f"v1,{base64.b64decode(mac).hex().upper()}",
        "for URLs, unpadded": f"v1,{mac.replace('+', '-').replace('/', '_').rstrip('=')}",
        "algorithm none": "none,",
    }
    yield from ((name, {"webhook-signature": value}) for name, value in signatures.items())
    digits = "".join(chr(0x0660 + int(each)) for each in at)
    times = {
        "another time": str(int(at) - 1),
        "plus sign": f"+{at}",
        "fraction": f"{at}.0",
        "Arabic digits": digits,
        "no time": "",
        "hex time": hex(int(at)),
    }
    yield from ((name, {"webhook-timestamp": value}) for name, value in times.items())
    yield "another id", {"webhook-id": f"{number}x"}
    yield "dots moved", {"webhook-id": f"{number}.{at}", "webhook-timestamp": at}


def _changed_bodies(body: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    place = chance.randrange(len(body))
    yield "a bit of the body changed", body[:place] + bytes([body[place] ^ (1 << chance.randrange(8))]) + body[place + 1 :]
    yield "the body written anew", msgspec.json.format(body, indent=2)
    yield "the body with a line end", body + b"\n"
    yield "the body with a byte order mark", b"\xef\xbb\xbf" + body
    yield "no body", b""


def _other_algorithms(channel: Signed, true: dict[str, str], body: bytes) -> Iterator[tuple[str, str]]:
    """Sign correctly, but otherwise than agreed."""
    text = channel.secret.removeprefix("whsec_")
    key = base64.b64decode(text)
    content = f"{true['webhook-id']}.{true['webhook-timestamp']}.".encode() + body
    for name in ("sha1", "sha512", "md5"):
        yield f"HMAC of {name}", "v1," + base64.b64encode(hmac.digest(key, content, name)).decode()
    yield "the body alone", "v1," + base64.b64encode(hmac.digest(key, body, "sha256")).decode()
    yield "the secret's text as key", "v1," + base64.b64encode(hmac.digest(channel.secret.encode(), content, "sha256")).decode()
    yield "no key", "v1," + base64.b64encode(hmac.digest(b"", content, "sha256")).decode()
    yield "hash without a key", "v1," + base64.b64encode(hashlib.sha256(key + content).digest()).decode()


@experiment("E26", "No forged delivery is believed", promises=("P17",), minutes=2)
async def forgeries(stage: Stage) -> None:
    """Forge deliveries of each kind of channel in every way we know."""
    wanted = 10_000 if stage.full else 1_000
    async with installation(stage, api=1, worker=1, bots=dict.fromkeys(CHAIN_BOTS, CHAIN)) as running:
        first, other = running.hooks
        signed = await deliveries.signed_channel(running, first.bot)
        others = await deliveries.signed_channel(running, other.bot)
        accepted, wrong = [], []
        sent: Counter[str] = Counter()
        for source in (forged_tokens(first, other, stage.chance), forged_signatures(signed, others, stage.chance)):
            found = await _send_all(running, source, wanted // 2)
            for name, status in found:
                sent[name] += 1
                accepted += [f"{name}: {status}"] if status < 400 else []
                wrong += [f"{name}: {status}"] if status >= 500 else []
        genuine = await say(running.ports()[0], deliveries.message(first, 1_000_000, 8, "genuine"))
        genuine_signed = await say(running.ports()[0], deliveries.webhook(signed, deliveries.event("genuine", "x"), id="genuine"))
        stage.none("P17", "forgeries accepted", accepted)
        stage.none("P17", "forgeries answered 5xx", wrong)
        stage.at_least("P17", "forgeries sent", sent.total(), wanted)
        stage.at_least("P17", "genuine deliveries accepted", [*genuine.statuses, *genuine_signed.statuses].count(200), 2)
        await _visitors(stage, running)
        await running.until(lambda: deliveries.times(running, "genuine") == 1, "the genuine delivery answered")
        stage.none("P17", "forgeries that took effect", [word for word in _words(running) if word.startswith("forged")])


async def _send_all(running: Installation, source: Iterator[tuple[str, bytes]], many: int) -> list[tuple[str, int]]:
    """Send so many forgeries on a few connections; returns names and statuses."""
    found: list[tuple[str, int]] = []
    left = iter(range(many))

    async def one() -> None:
        line = Line(running.ports()[0])
        for _ in left:
            name, asked = next(source)
            try:
                found.append((name, (await line.ask(asked, seconds=10)).status))
            except ConnectionError:
                found.append((name, 400))  # hung up on: not believed
        line.close()

    await asyncio.gather(*(one() for _ in range(LINES)))
    return found


async def _visitors(stage: Stage, running: Installation) -> None:
    """Try to speak as another visitor, or from the page of another site."""
    path = f"/chat/{running.hooks[0].bot}/messages"
    body = b'{"text": "forged-visitor"}'
    known = "0b2e4f6a-1111-4222-8333-444455556666"
    forged = {
        "no id": [("X-Visitor", "nobody")],
        "empty": [("X-Visitor", "")],
        "two": [("X-Visitor", known), ("X-Visitor", known)],
        "full-width": [("X-Visitor", known.replace("0", "\uff10"))],
        "truncated": [("X-Visitor", known[:-1])],
        "another site's page": [("X-Visitor", known), ("Sec-Fetch-Site", "cross-site")],
        "another site's origin": [("X-Visitor", known), ("Origin", "https://evil.example")],
        "origin null": [("X-Visitor", known), ("Origin", "null")],
    }
    accepted = []
    for name, headers in forged.items():
        heard = await say(running.ports()[0], request("POST", path, headers=[JSON, *headers], body=body))
        accepted += [f"{name}: {heard.statuses}"] if any(not 400 <= status < 500 for status in heard.statuses) else []
    stage.none("P17", "forged visitors accepted", accepted)


@experiment("E27", "A replayed delivery is refused when old, and takes effect once when not", promises=("P17", "P2"), minutes=1)
async def replays(stage: Stage) -> None:
    """Deliver signed requests that are 301 and 299 s old, from the future, twice at once, and under another id."""
    async with installation(stage, api=2, worker=1) as running:
        channel = await deliveries.signed_channel(running, running.hooks[0].bot)
        now, body, ports = time.time(), deliveries.event("replays", "once"), running.ports()
        for name, at in {"301 s old": now - 301, "a day old": now - LATE, "302 s ahead": now + 302}.items():
            statuses = await _together(ports, deliveries.webhook(channel, body, id=name.replace(" ", "-"), at=at), 2)
            stage.none("P17", f"accepted {name}", [str(status) for status in statuses if status != 401])
        young = deliveries.webhook(channel, body, id="young", at=time.time() - 297)
        statuses = await _together(ports, young, 2) + await _together(ports, young, 2)
        stage.none("P17", "refused though fresh", [str(status) for status in statuses if status != 200])
        other = young.replace(b"webhook-id: young", b"webhook-id: older", 1)
        stage.none(
            "P17", "accepted under another id", [str(status) for status in await _together(ports, other, 2) if status != 401]
        )
        stage.at_most("P2", "effects of four copies", await _received(running, channel), 1)
        stage.at_least("P2", "effects at all", await _received(running, channel), 1)


async def _received(running: Installation, channel: Signed) -> int:
    """Count the messages that a signed channel has taken."""
    _, found = await running.api("GET", f"/v1/conversations?channel={channel.id}")
    count = 0
    for each in found["items"]:
        _, story = await running.api("GET", f"/v1/conversations/{each['id']}/messages")
        count += sum(item.get("direction") == "in" for item in story["items"])
    return count
