"""What goes wrong with a payment provider: said one by one, or drawn by chance from a seed."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

LONGEST = 60.0


class ProviderFault(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Something that goes wrong with one request.

    Args:
        kind: answer (an error status), hang (no answer for `seconds`, then the connection breaks), close (it breaks at once), slow
            (the right answer after `seconds`), broken (a body that ends too early), nonsense (a body that is no JSON).
        on: what it waits for, the beginning of `POST /v1/refunds`; empty: any request.
        applied: whether the request takes effect before.
        stored: whether an error is what every repetition under the same key gets, as Stripe does.
        status: with answer.
        retry_after: with answer; 0: says nothing.
        advice: with answer: `Stripe-Should-Retry`, when not empty.
        seconds: with hang and slow.
        times: how many requests.
    """

    kind: str = "answer"
    on: str = ""
    applied: bool = False
    stored: bool = False
    status: int = 500
    retry_after: int = 0
    advice: str = ""
    seconds: float = 30.0
    times: int = 1


class Chaos(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Chances from 0 to 1, of every request and of every webhook.

    Args:
        seed: of the dice.
        requests: how likely each of `ProviderFault` is: `{"close": 0.02}`; half of them take effect before.
        seconds: of hang and slow.
        lost: a webhook is never sent.
        doubled: it is sent twice.
        late: it is sent after up to `delay` seconds, so that others overtake it.
        delay: seconds.
    """

    seed: int = 0
    requests: dict[str, float] = {}
    seconds: float = 2.0
    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    delay: float = 1.0


class Trouble:
    """Decides which request goes wrong, and how."""

    def __init__(self) -> None:
        self.faults: deque[ProviderFault] = deque()
        self.done: list[ProviderFault] = []
        self.chaos(Chaos())

    def chaos(self, chaos: Chaos) -> None:
        """Let chance decide from now on, besides the faults that were said."""
        self.chance, self.dice = chaos, random.Random(chaos.seed)

    def next(self, request: web.Request, *, known: bool = False) -> ProviderFault | None:
        """The fault for a request, if any; one that is stored under a key strikes only a key that is not `known`."""
        what = f"{request.method} {request.path}"
        for fault in self.faults:
            if what.startswith(fault.on) and not (fault.stored and known):
                fault.times -= 1
                if fault.times < 1:
                    self.faults.remove(fault)
                self.done.append(fault)
                return fault
        return self._drawn()

    def _drawn(self) -> ProviderFault | None:
        left = self.dice.random()
        for kind, share in self.chance.requests.items():
            if left < share:
                status = self.dice.choice([500, 502, 503, 429])
                applied = status != 429 and self.dice.random() < 0.5
                fault = ProviderFault(kind=kind, applied=applied, status=status, seconds=self.chance.seconds)
                self.done.append(fault)
                return fault
            left -= share
        return None


async def suffer(
    fault: ProviderFault, request: web.Request, body: bytes, answer: Callable[[], Awaitable[web.Response]]
) -> web.StreamResponse:
    """Let a request go wrong.

    Args:
        fault: how.
        request: the request.
        body: of the error that it answers with.
        answer: does what was asked for.
    """
    done = await answer() if fault.applied or fault.kind in {"slow", "broken", "nonsense"} else None
    match fault.kind:
        case "answer":
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
            headers |= {"Stripe-Should-Retry": fault.advice} if fault.advice else {}
            return web.Response(status=fault.status, body=body, headers=headers, content_type="application/json")
        case "slow":
            await asyncio.sleep(min(fault.seconds, LONGEST))
            assert done
            return done
        case "nonsense":
            return web.Response(body=b"<html>Bad Gateway</html>", content_type="text/html")
        case "broken":
            assert done
            assert isinstance(done.body, bytes)
            stream = web.StreamResponse(headers={"Content-Length": str(len(done.body)), "Content-Type": "application/json"})
            await stream.prepare(request)
            await stream.write(done.body[: len(done.body) // 2])
        case "hang":
            await asyncio.sleep(min(fault.seconds, LONGEST))
    if request.transport:
        request.transport.abort()
    raise ConnectionAbortedError
