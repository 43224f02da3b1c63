"""A server with chat completions on the loopback: strict about what it is asked, scripted in how it deviates, drops and dawdles.

As a process, for those who ask from elsewhere: `python -m tests.doubles.llm`; it prints its base URL, and the model's name says how
it answers (see `MODELS`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "sk-loopback-canary-3141592653"
WORDS = ("The", " sea", " is", " **blue**", " today", ".")
DROP = object()
"""In a script: break the connection off here."""


def chunk(delta: dict[str, Any] | None = None, *, finish: str | None = None, usage: dict | None = None, **more: Any) -> dict:
    """One chunk as it is documented."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    named = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1_772_000_000, "model": "double-1"}
    return {**named, "choices": choices, **({"usage": usage} if usage else {}), **more}


def event(data: Any, end: str = "\n\n") -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"data: {text}{end}".encode()


def usage(asked: int = 11, answered: int = 6) -> dict:
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def call(name: str, arguments: str, *, identity: str = "call_a", index: int = 0) -> dict:
    """A call of a tool in one fragment, as it is documented."""
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": identity, "type": "function", "function": function}]}


def words(*texts: str, counted: bool = True) -> list[Any]:
    """A well-behaved answer in words."""
    said = [event(chunk({"content": text})) for text in texts]
    counts = [event(chunk(usage=usage(answered=len(texts))))] if counted else []
    return [event(chunk({"role": "assistant", "content": ""})), *said, event(chunk({}, finish="stop")), *counts, event("[DONE]")]


def calling(*deltas: dict, finish: str = "tool_calls") -> list[Any]:
    """A well-behaved answer that calls tools."""
    return [
        event(chunk({"role": "assistant", "content": None})),
        *(event(chunk(delta)) for delta in deltas),
        event(chunk({}, finish=finish)),
        event(chunk(usage=usage())),
        event("[DONE]"),
    ]


@dataclass
class Script:
    """One answer: pieces of bytes, seconds to wait, `DROP`, or an event to wait for."""

    parts: Iterable[Any] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "text/event-stream"


def problem(status: int, message: str, code: str = "bad", **headers: str) -> Script:
    """An answer that is an error, as it is documented."""
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": code, "param": None}}).encode()
    return Script([body], status, {name.replace("_", "-"): value for name, value in headers.items()}, "application/json")


MODELS = {
    "plain": lambda: Script(words(*WORDS)),
    "slow": lambda: Script([part for each in words(*WORDS) for part in (each, 0.12)]),
    "uncounted": lambda: Script(words(*WORDS, counted=False)),
    "drop": lambda: Script([*words(*WORDS)[:4], DROP]),
    "busy": lambda: problem(429, "Slow down", "rate_limit_exceeded"),
}
"""How it answers by the model's name, when no script says otherwise; other names answer as `plain`."""


class Llm:
    """Keeps what it was asked; `play` prepares the next answers."""

    def __init__(self) -> None:
        self.base = ""
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.left = asyncio.Event()
        self._scripts: deque[Script] = deque()

    def play(self, *scripts: Script | list[Any]) -> None:
        """Answer so next."""
        self._scripts.extend(script if isinstance(script, Script) else Script(script) for script in scripts)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.asked.append(body)
        self.keys.append(request.headers.get("authorization"))
        if wrong := mistake(body):
            return await self._play(problem(400, wrong), request)
        script = self._scripts.popleft() if self._scripts else MODELS.get(body["model"], MODELS["plain"])()
        if script.status == 200 and not body.get("stream") and script.content_type == "text/event-stream":
            script = Script([json.dumps(whole(body["model"])).encode()], content_type="application/json")
        return await self._play(script, request)

    async def _play(self, script: Script, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=script.status, headers={"content-type": script.content_type, **script.headers})
        await response.prepare(request)
        try:
            for part in script.parts:
                if part is DROP:
                    request.transport.abort()
                    return response
                if isinstance(part, asyncio.Event):
                    await part.wait()
                elif isinstance(part, float):
                    await asyncio.sleep(part)
                else:
                    await response.write(part)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response


def whole(model: str) -> dict:
    """An answer that was not asked for as a stream."""
    message = {"role": "assistant", "content": "".join(WORDS), "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    named = {"id": "chatcmpl-7", "object": "chat.completion", "created": 1_772_000_000, "model": model}
    return {**named, "choices": [choice], "usage": usage()}


def mistake(body: dict[str, Any]) -> str:
    """Say what is wrong with a request by the documentation; empty when nothing is."""
    known = {
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "tools", "temperature"),
    }
    if unknown := set(body) - known:
        return f"Unrecognized request argument supplied: {sorted(unknown)}"
    if not isinstance(body.get("model"), str) or not body["messages"]:
        return "model and messages are needed"
    waiting: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                return "a tool answers no call"
            waiting.discard(message["tool_call_id"])
        elif waiting:
            return "a call of a tool was not answered"
        waiting |= {each["id"] for each in message.get("tool_calls", ())}
    for tool in body.get("tools", ()):
        if tool["type"] != "function" or tool["function"]["parameters"]["type"] != "object":
            return "a tool is a function with an object of parameters"
    return ""


@contextlib.asynccontextmanager
async def llm() -> AsyncIterator[Llm]:
    """Run the double on a free port."""
    double = Llm()
    application = web.Application(client_max_size=64 * 1_048_576)
    application.router.add_post("/v1/chat/completions", double.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    double.base = f"http://{host}:{port}/v1"
    try:
        yield double
    finally:
        await runner.cleanup()


async def _main() -> None:
    async with llm() as double:
        print(double.base, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
