"""Sends spans to an OpenTelemetry collector by OTLP over HTTP, in the background, and rather loses some than waits.

What does not fit is dropped and counted. A collector that is away, slow or busy is tried again, at the time that it names or
after a doubled wait; meanwhile the queue fills, and its bound holds.
Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from botstead.core.errors import EgressError
from botstead.core.messages import Call, Response
from botstead.core.ports import Egress
from botstead.core.secret import Secret
from botstead.telemetry import otlp
from botstead.telemetry.catalog import TRACE_SPANS
from botstead.telemetry.logs import event
from botstead.telemetry.spans import Span

QUEUE: Final = 4_096
"""Spans that wait; further ones are dropped."""
BATCH: Final = 256
"""Spans in one request: some 60 kB, written in 5 ms."""
TIMEOUT: Final = 8.0
ANSWER_LIMIT: Final = 65_536
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before a request is repeated: doubled up to the longest. One that the collector names is obeyed up to five minutes."""
LONGEST_NAMED = 300.0
TRIES: Final = 5
"""Of one request; then its spans are given up, and the next ones tell whether the collector is back."""
AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses after which the protocol allows a repetition."""
SERVICE: Final = "otlp"

logger = logging.getLogger(__name__)


class Exporter:
    """Takes spans at any time without waiting; `run` sends them."""

    def __init__(  # noqa: PLR0913  # what it is made of, each given by name
        self,
        egress: Egress,
        endpoint: str,
        *,
        resource: Mapping[str, str | int],
        version: str,
        headers: Mapping[str, Secret] | None = None,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            egress: a way out that may reach the endpoint.
            endpoint: the collector's base URL, such as http://127.0.0.1:4318.
            resource: attributes of this process.
            version: of botstead.
            headers: sent along, such as an API key.
            first_wait: seconds.
        """
        self._egress = egress
        self._url = endpoint.rstrip("/") + otlp.PATH
        self._resource = dict(resource)
        self._version = version
        self._secrets = {f"header-{number}": secret for number, secret in enumerate((headers or {}).values())}
        named = {name: f"{{secret:header-{number}}}" for number, name in enumerate(headers or {})}
        self._headers = {**named, "content-type": otlp.MEDIA_TYPE}
        self._first_wait = first_wait
        self._queue: deque[Span] = deque()
        self._something = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._down = 0.0

    def offer(self, spans: Sequence[Span]) -> None:
        """Queue spans; those that do not fit are dropped and counted.

        Args:
            spans: of one message, which is dropped whole.
        """
        if len(self._queue) + len(spans) > QUEUE:
            TRACE_SPANS.at("dropped").inc(len(spans))
            return
        self._queue.extend(spans)
        self._idle.clear()
        self._something.set()

    async def run(self) -> None:
        """Send what is queued, until cancelled."""
        while True:
            if not self._queue:
                self._idle.set()
                self._something.clear()
                await self._something.wait()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH))]
            outcome = await self._insist(otlp.request(batch, resource=self._resource, version=self._version))
            lost = min(outcome, len(batch)) if outcome >= 0 else len(batch)
            TRACE_SPANS.at("exported").inc(len(batch) - lost)
            if lost:
                TRACE_SPANS.at("refused" if outcome >= 0 else "failed").inc(lost)

    async def flush(self, seconds: float) -> None:
        """Wait until everything is sent, but not for long.

        Args:
            seconds: the longest wait.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            TRACE_SPANS.at("dropped").inc(len(self._queue))
            self._queue.clear()

    async def _insist(self, body: bytes) -> int:
        """Send one request; returns how many of its spans the collector refused, or -1 when it took none."""
        problem = ""
        for number in range(TRIES):
            named: float | None = None
            try:
                response = await self._egress.call(self._call(body), self._secrets)
            except EgressError as error:
                problem = error.code
            else:
                if 200 <= response.status < 300:
                    self._note_up()
                    return otlp.refused(response.body)
                problem = f"status {response.status}"
                if response.status not in AGAIN:
                    break
                named = _named(response)
            self._note_down(problem)
            if number + 1 < TRIES:
                await asyncio.sleep(self._wait(number) if named is None else min(named, LONGEST_NAMED))
        self._note_down(problem)
        return -1

    def _call(self, body: bytes) -> Call:
        return Call(
            method="POST",
            url=self._url,
            headers=self._headers,
            body=body,
            timeout=TIMEOUT,
            limit=ANSWER_LIMIT,
            service=SERVICE,
        )

    def _wait(self, number: int) -> float:
        return float(min(LONGEST_WAIT, self._first_wait * 2.0**number) * (0.5 + random.random() / 2))  # noqa: S311  # jitter

    def _note_down(self, problem: str) -> None:
        if not self._down:
            self._down = time.monotonic()
            event(logger, "traces_not_taken", level=logging.WARNING, problem=problem)

    def _note_up(self) -> None:
        if self._down:
            event(logger, "traces_taken_again", seconds=round(time.monotonic() - self._down, 1))
            self._down = 0.0


def _named(response: Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
