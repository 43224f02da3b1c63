"""Money is asked for, paid and given back while the provider of money, processes and the database go wrong at every step."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

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
SETTINGS: Final = {"payment_seconds": "2.5", "payment_patience_seconds": "0.2"}
"""So that a call that hangs and a lost webhook are noticed within seconds, not minutes."""
FATES: Final = Fates(lost=7, doubled=5, late=3)
ROLES: Final = ("api", "worker", "scheduler")
"""Of each of them one is killed for certain."""
PAGE: Final = 100
AT_ONCE: Final = 16
LOOK: Final = 0.3
"""Seconds between two looks at what is missing."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much of it is played.

    Args:
        orders: how many people want something.
        rate: of them, a second.
        counts: faults of processes.
        schedulers: how many, of which one leads.
        lease: seconds.
        fewer: by how much rarer troubles at the till are: the more orders, the more of them would wait for their eighth try …
        rare: … and those that make everybody wait.
        often: how often each thing has to have gone wrong there.
        slowest: seconds that people think before each step, at most.
        drain: seconds within which everything has to end that was begun.
    """

    orders: int
    rate: float
    counts: Counts
    schedulers: int
    lease: float
    fewer: int
    rare: int
    often: int
    slowest: float
    drain: float


SMALL: Final = Size(
    orders=150,
    rate=30,
    counts=Counts(kills=0, of=ROLES),
    schedulers=1,
    lease=2.0,
    fewer=1,
    rare=1,
    often=1,
    slowest=1.0,
    drain=60.0,
)
FULL: Final = Size(
    orders=10_000,
    rate=45,
    counts=Counts(kills=40, crashes=1, of=ROLES),
    schedulers=2,
    lease=3.0,
    fewer=2,
    rare=10,
    often=20,
    slowest=5.0,
    drain=240.0,
)


def troubles(size: Size) -> tuple[Trouble, ...]:
    """Return what goes wrong with requests at the till.

    Args:
        size: says how often.
    """
    few, rare = size.fewer, size.rare
    keyed = ("open", "refund")
    return (
        Trouble(kind="hang", every=7 * few, on=("refund",), applied=True, seconds=30.0),
        Trouble(kind="hang", every=80 * rare, applied=True, seconds=30.0),
        Trouble(kind="hang", every=70 * rare, seconds=30.0),
        Trouble(kind="limited", every=80 * rare, seconds=1.0),
        Trouble(kind="error", every=41 * few, on=keyed, applied=True, stored=True),
        Trouble(kind="error", every=47 * few, on=keyed, stored=True),
        Trouble(kind="error", every=23 * few),
        Trouble(kind="error", every=29 * few, applied=True),
        Trouble(kind="close", every=31 * few, applied=True),
        Trouble(kind="close", every=37 * few),
        Trouble(kind="slow", every=43 * few, seconds=0.3),
    )


@experiment("E41", "Money is asked for and given back while everything goes wrong", promises=(PROMISE,), minutes=8)
async def payments(stage: Stage) -> None:
    """Take orders, kill what takes them, and let the provider of money fail in every way; then audit each order."""
    size = FULL if stage.full else SMALL
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(cash_desk(stage.folder))
        settings = {**SETTINGS, "lease_seconds": f"{size.lease:g}", "egress_allow": f"127.0.0.1:{desk.port}"}
        shop = installation(stage, api=2, worker=2, scheduler=size.schedulers, settings=settings, bots={"shop": SHOP})
        running = await stack.enter_async_context(shop)
        await _account(running, desk, size)
        load = Load(stage, running, updates=size.orders, conversations=size.orders // 2, skew=0, rate=size.rate)
        strikes = Strikes(running, load, lease=size.lease, margin=size.orders // 50)
        persons = Persons(running.provider, desk, seed=stage.seed, slowest=size.slowest)
        async with meanwhile(persons.run()):
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run())
                group.create_task(strikes.run(size.counts))
            ended = time.monotonic()
            found = await _audited(running, desk, load, persons, seconds=size.drain)
        stage.note(f"{found.charges} charged, {found.refunds} refunds; people did: {dict(persons.did)}")
        stage.note(f"what went wrong at the till: {dict(sorted(desk.troubles().items()))}")
        found.check(stage, orders=size.orders)
        stage.at_most(PROMISE, "time to end what was left", time.monotonic() - ended, size.drain, unit="s")
        _struck(running, desk, size)


async def _account(running: Installation, desk: CashDesk, size: Size) -> None:
    """Give the shop an account at the till, and the till troubles and an address."""
    secrets = {"key": KEY, "webhook_secret": SECRET}
    channel = {"kind": "stripe", "settings": {"api_base": desk.base_url}, "secrets": secrets}
    status, made = await running.api("POST", "/v1/bots/shop/channels", channel)
    if status != 201:
        raise RuntimeError(f"no payment account: {status} {made}")
    orders = Orders(
        seed=running.stage.seed,
        troubles=troubles(size),
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


def _struck(running: Installation, desk: CashDesk, size: Size) -> None:
    """Record that it was hurt in each way: an experiment in which nothing went wrong proves nothing."""
    stage, often, counts = running.stage, desk.troubles(), size.counts
    kinds = dict.fromkeys(trouble.name for trouble in troubles(size))
    for kind in (*kinds, "webhook lost", "webhook doubled", "webhook late"):
        stage.at_least(PROMISE, f"at the till: {kind}", often[kind], size.often)
    for role in ROLES:
        stage.at_least(PROMISE, f"killed: {role}", sum(slot.starts - 1 for slot in running.of(role)), 1)
    killed = sum(slot.starts - 1 for slot in running.slots.values())
    stage.at_least(PROMISE, "processes killed", killed, counts.kills + len(counts.of))
    stage.at_least(PROMISE, "times that Postgres was killed", running.postgres.starts - 1, counts.crashes)
