"""Open-Meteo on the loopback: answers in the shapes that its documentation shows, and misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
from collections import deque
from collections.abc import AsyncIterator

from aiohttp import web

PLACES = {
    "oslo": {
        "id": 3143244,
        "name": "Oslo",
        "latitude": 59.91273,
        "longitude": 10.74609,
        "country": "Norway",
        "timezone": "Europe/Oslo",
    },
    "nul": {"id": 1, "name": "Null Island", "latitude": -0.001, "longitude": 0.0},
}


class OpenMeteo:
    """Counts what is asked; `misbehave` prepares the next answers."""

    def __init__(self) -> None:
        self.base = ""
        self.asked: list[dict[str, str]] = []
        self.today = dt.date(2026, 3, 1)
        self.offset = 3600
        self.gate: asyncio.Event | None = None
        self.waiting = asyncio.Event()
        self._answers: deque[tuple[int, bytes]] = deque()
        self._always: tuple[int, bytes] | None = None

    def misbehave(self, *answers: tuple[int, bytes], always: bool = False) -> None:
        """Give these answers next; with `always`, the only one until `behave`."""
        if always:
            (self._always,) = answers
        self._answers.extend(() if always else answers)

    def behave(self) -> None:
        """Answer as documented again."""
        self._always = None
        self._answers.clear()

    def count(self, path: str) -> int:
        """How often a path was asked."""
        return sum(question["path"] == path for question in self.asked)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append({"path": request.path, **request.query})
        self.waiting.set()
        if self.gate is not None:
            await self.gate.wait()
        if self._answers or self._always:
            status, body = self._answers.popleft() if self._answers else self._always
            return web.Response(status=status, body=body, content_type="application/json")
        body = self._search(request) if request.path == "/v1/search" else self._forecast(request)
        return web.Response(body=json.dumps(body).encode(), content_type="application/json")

    def _search(self, request: web.Request) -> dict:
        found = PLACES.get(request.query["name"].casefold())
        timing = {"generationtime_ms": 0.6}
        return {"results": [found], **timing} if found else timing

    def _forecast(self, request: web.Request) -> dict:
        days = [str(self.today + dt.timedelta(days=day)) for day in range(int(request.query["forecast_days"]))]
        return {
            "latitude": float(request.query["latitude"]),
            "longitude": float(request.query["longitude"]),
            "generationtime_ms": 0.1,
            "utc_offset_seconds": self.offset,
            "timezone": "Europe/Oslo",
            "daily_units": {"time": "iso8601", "temperature_2m_max": "°C"},
            "daily": {
                "time": days,
                "weather_code": [61, None][: len(days)],
                "temperature_2m_max": [4.6, 7.0][: len(days)],
                "temperature_2m_min": [-1.2, 2.0][: len(days)],
                "precipitation_probability_max": [80, None][: len(days)],
            },
        }


@contextlib.asynccontextmanager
async def open_meteo() -> AsyncIterator[OpenMeteo]:
    """Run the double on a free port."""
    double = OpenMeteo()
    application = web.Application()
    application.router.add_get("/v1/{_:.*}", double.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    double.base = f"http://{host}:{port}"
    try:
        yield double
    finally:
        if double.gate is not None:
            double.gate.set()
        await runner.cleanup()
