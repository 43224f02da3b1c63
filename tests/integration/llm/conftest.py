"""A bot's `Llm` over the real way out, and a meter that keeps its books in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from botstead.core.declared import LlmDeclared
from botstead.core.metering import LlmUsage, Reserved
from botstead.core.secret import Secret
from botstead.integrations.llm.client import LanguageModel, Llm
from botstead.integrations.llm.server import Server
from botstead.runtime.egress import EgressClient
from botstead.runtime.outside import Outside
from botstead.store.valkey import MemoryCache
from tests.doubles.llm import KEY


class Books:
    """A meter: what was set aside, and what was taken (implements `core.metering.Meter`)."""

    def __init__(self) -> None:
        self.left = 10**15
        self.open: dict[int, int] = {}
        self.taken: list[LlmUsage] = []

    async def reserve(self, bot: str, declared: LlmDeclared, amount: int, *, least: int | None = None) -> Reserved | None:
        if amount > self.left:
            return None
        self.left -= amount
        reserved = Reserved(len(self.open) + len(self.taken) + 1, amount)
        self.open[reserved.id] = amount
        return reserved

    async def settle(self, reserved: Reserved, usage: LlmUsage) -> None:
        self.left += self.open.pop(reserved.id)
        self.taken.append(usage)


PRICED = LlmDeclared(
    model="plain", budget=1_000_000_000, share=100.0, currency="EUR", price_in=150_000_000, price_out=600_000_000, max_tokens=200
)


class Setting:
    """A bot's language model, its books, and the way out."""

    def __init__(self, base: str, egress: EgressClient, declared: LlmDeclared) -> None:
        self.books = Books()
        self.egress = egress
        server = Server(
            Outside(egress, MemoryCache()).service("llm"),
            base=base,
            model=declared.model,
            key=lambda _bot: Secret(KEY),
            chance=lambda: 0.0,
        )
        self.model = LanguageModel(declared, server=server, meter=self.books)

    @property
    def llm(self) -> Llm:
        return Llm(self.model, "poet")


@contextlib.asynccontextmanager
async def setting(base: str, declared: LlmDeclared = PRICED) -> AsyncIterator[Setting]:
    egress = EgressClient(allow=("127.0.0.1",))
    try:
        yield Setting(base, egress, declared)
    finally:
        await egress.close()
