"""Money is asked for, paid and given back while the provider of money, processes and the database go wrong at every step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

from botstead.processes.prove.cashdesk import KEY, CashDesk, Persons, cash_desk
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.load import Load
from botstead.processes.prove.meanwhile import meanwhile
from botstead.processes.prove.payment_judge import PROMISE, SHOP, Findings, examine, heard, witnessed
from botstead.processes.prove.strikes import Counts, Strikes
from botstead.processes.prove.till.troubles import Fates, Orders, Trouble

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.stage import Stage

SECRET: Final = "whsec_of_the_experiment"  # noqa: S105  # any text will do
LEASE = {"small": 2.0, "full": 3.0}
SETTINGS: Final = {"payment_seconds": "2.5", "payment_patience_seconds": "0.2"}
"""So that a call that hangs and a lost webhook are noticed within seconds, not minutes."""
FATES: Final = Fates(lost=7, doubled=5, late=3)
ROLES: Final = ("api", "worker", "scheduler")
"""Of each of them one is killed for certain."""
PAGE: Final = 100
AT_ONCE: Final = 16
LOOK: Final = 0.3
"""Seconds between two looks at what is missing."""


def troubles(rare: int) -> tuple[Trouble, ...]:
    """Return what goes wrong with requests at the till.

    Args:
        rare: by how much rarer than in a small experiment those are that make everybody wait.
    """
    keyed = ("open", "refund")
    return (
        Trouble(kind="hang", every=60 * rare, applied=True, seconds=30.0),
        Trouble(kind="hang", every=90 * rare, seconds=30.0),
        Trouble(kind="limited", every=80 * rare, seconds=1.0),
        Trouble(kind="error", every=31, on=keyed, applied=True, stored=True),
        Trouble(kind="error", every=13),
        Trouble(kind="error", every=17, applied=True),
        Trouble(kind="close", every=19, applied=True),
        Trouble(kind="close", every=23),
        Trouble(kind="slow", every=29, seconds=0.3),
    )


@experiment("E41", "Money is asked for and given back while everything goes wrong", promises=(PROMISE,), minutes=8)
async def payments(stage: Stage) -> None:
    """Take orders, kill what takes them, and let the provider of money fail in every way; then audit each order."""
    orders, rate, drain = (10_000, 45.0, 180.0) if stage.full else (150, 30.0, 45.0)
    counts = Counts(kills=40, crashes=1, of=ROLES) if stage.full else Counts(kills=0, of=ROLES)
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(cash_desk(stage.folder))
        settings = {**SETTINGS, "lease_seconds": f"{LEASE[stage.scale]:g}", "egress_allow": f"127.0.0.1:{desk.port}"}
        shop = installation(stage, api=2, worker=2, scheduler=2 if stage.full else 1, settings=settings, bots={"shop": SHOP})
        running = await stack.enter_async_context(shop)
        await _account(running, desk)
        load = Load(stage, running, updates=orders, conversations=orders // 2, skew=0, rate=rate)
        strikes = Strikes(running, load, lease=LEASE[stage.scale], margin=orders // 50)
        persons = Persons(running.provider, desk, seed=stage.seed, slowest=5.0 if stage.full else 1.0)
        async with meanwhile(persons.run()):
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run())
                group.create_task(strikes.run(counts))
            ended = time.monotonic()
            found = await _audited(running, desk, load, persons, seconds=drain)
        stage.note(f"{found.charges} charged, {found.refunds} refunds; people did: {dict(persons.did)}")
        stage.note(f"what went wrong at the till: {dict(sorted(desk.troubles().items()))}")
        found.check(stage, orders=orders)
        stage.at_most(PROMISE, "time to end what was left", time.monotonic() - ended, drain, unit="s")
        _struck(stage, running, desk, counts)


async def _account(running: Installation, desk: CashDesk) -> None:
    """Give the shop an account at the till, and the till troubles and an address."""
    secrets = {"key": KEY, "webhook_secret": SECRET}
    channel = {"kind": "stripe", "settings": {"api_base": desk.base_url}, "secrets": secrets}
    status, made = await running.api("POST", "/v1/bots/shop/channels", channel)
    if status != 201:
        raise RuntimeError(f"no payment account: {status} {made}")
    stage = running.stage
    rare = 10 if stage.full else 1
    orders = Orders(
        seed=stage.seed,
        troubles=troubles(rare),
        fates=FATES,
        ports=running.ports(),
        path=f"/hooks/{made['id']}",
        secret=SECRET,
    )
    await desk.order(orders)


async def _audited(running: Installation, desk: CashDesk, load: Load, persons: Persons, *, seconds: float) -> Findings:
    """Wait until every order has come to its end, or too long, and compare what the witnesses say."""
    asked = [f"u{number}" for numbers in load.acked.values() for number in numbers]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        running.stage.sample(acknowledged=load.count, replied=running.provider.count)
        if _told(running, desk) and len(persons.done) >= len(asked) and not await _open(running):
            found = examine(asked, desk.lines(), running.provider.sent(), await _ledger(running))
            if not (found.unknown or found.refunds_lost or found.unended or found.amounts):
                break
        await asyncio.sleep(LOOK)
    running.note(f"{len(persons.done)} of {len(asked)} pages were left")
    return examine(asked, desk.lines(), running.provider.sent(), await _ledger(running))


def _told(running: Installation, desk: CashDesk) -> bool:
    """Say whether the bot was told of as many payments as there were charges."""
    charged = sum(bool(till.charges) for till in witnessed(desk.lines()).values())
    return len(heard(running.provider.sent())) >= charged


async def _open(running: Installation) -> bool:
    """Say whether the ledger knows of an order that has not ended."""
    for state in ("opened", "pending", "approved", "paid"):
        page = await _asked(running, f"/v1/payments?limit=1&state={state}")
        if page is None or page["items"]:
            return True
    return False


async def _ledger(running: Installation) -> list[dict[str, Any]]:
    """Return every payment with its attempts."""
    names: list[str] = []
    before: Any = ""
    while before is not None:
        page = await _must(running, f"/v1/payments?limit={PAGE}{f'&before={before}' if before else ''}")
        names += [payment["id"] for payment in page["items"]]
        before = page["next"]
    found: list[dict[str, Any]] = []
    for begin in range(0, len(names), AT_ONCE):
        some = names[begin : begin + AT_ONCE]
        found += await asyncio.gather(*(_must(running, f"/v1/payments/{name}") for name in some))
    return found


async def _must(running: Installation, path: str) -> Any:
    async with asyncio.timeout(60):
        while (found := await _asked(running, path)) is None:  # noqa: ASYNC110  # another process
            await asyncio.sleep(LOOK)
    return found


async def _asked(running: Installation, path: str) -> Any:
    """Ask the API; None when it does not answer now."""
    with suppress(OSError, TimeoutError, StopIteration):
        status, found = await running.api("GET", path)
        return found if status == 200 else None
    return None


def _struck(stage: Stage, running: Installation, desk: CashDesk, counts: Counts) -> None:
    """Record that it was hurt in each way: an experiment in which nothing went wrong proves nothing."""
    often = desk.troubles()
    kinds: Sequence[str] = (*(trouble.name for trouble in troubles(1)), "webhook lost", "webhook doubled", "webhook late")
    for kind in kinds:
        stage.at_least(PROMISE, f"at the till: {kind}", often[kind], 20 if stage.full else 1)
    for role in ROLES:
        stage.at_least(PROMISE, f"killed: {role}", sum(slot.starts - 1 for slot in running.of(role)), 1)
    killed = sum(slot.starts - 1 for slot in running.slots.values())
    stage.at_least(PROMISE, "processes killed", killed, counts.kills + len(counts.of))
    stage.at_least(PROMISE, "times that Postgres was killed", running.postgres.starts - 1, counts.crashes)
