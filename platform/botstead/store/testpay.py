"""The books of the shipped double of a payment provider."""

from __future__ import annotations

from botstead.store import queries
from botstead.store.postgres import Postgres

_SQL = queries.load("payments")


class TestDesk:
    """The books of the shipped double: what people clicked on its page."""

    def __init__(self, postgres: Postgres) -> None:
        """Prepare.

        Args:
            postgres: where they are.
        """
        self._postgres = postgres

    async def click(self, payment: str, *, paid: bool) -> None:
        """Note what a person chose; the first choice counts."""
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["click"], payment, paid)

    async def clicked(self, payment: str) -> tuple[bool | None, int]:
        """Return what they chose, None when nothing yet, and how much went back since, in the smallest unit."""
        async with self._postgres.connection() as connection:
            found = await connection.fetchrow(_SQL["clicked"], payment)
        return (None, 0) if found is None else (found["paid"], found["refunded"])

    async def give_back(self, payment: str, key: str, amount: int) -> None:
        """Refund, once a key."""
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["give_back"], payment, key, amount)
