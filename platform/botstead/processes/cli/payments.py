"""`botstead payments`: money that bots asked for."""

from __future__ import annotations

import click

from botstead.core.errors import Invalid
from botstead.core.money import PaymentState, money
from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output

COLUMNS = ("id", "created_at", "bot", "provider", "state", "total", "reference", "held")
ATTEMPT_COLUMNS = ("kind", "state", "tries", "amount", "at", "key", "error")


@click.group()
def payments() -> None:
    """See payments, and give money back."""


@payments.command("list")
@click.option("--bot", help="Only of this bot.")
@click.option("--state", type=click.Choice([str(state) for state in PaymentState]), help="Only those that stand so.")
@click.option("--limit", default=50, show_default=True)
@with_api
def list_payments(api: Client, out: Output, *, bot: str | None, state: str | None, limit: int) -> None:
    """List payments, newest first."""
    rows = api.items("/v1/payments", limit=limit, query={"bot": bot, "state": state})
    out.table(rows, COLUMNS, empty="Nothing was asked for yet.")


@payments.command("show")
@click.argument("payment")
@with_api
def show_payment(api: Client, out: Output, *, payment: str) -> None:
    """Show one payment with what was tried for it and what its provider said."""
    found = api.call("GET", address("v1", "payments", payment))
    record = {name: value for name, value in found["payment"].items() if value not in (None, "")}
    record["said"] = ", ".join(f"{one['said']['state']} ({one['effect']})" for one in found["events"]) or "nothing"
    out.record_with_table(record, found["attempts"], ATTEMPT_COLUMNS, whole=found)


@payments.command("refund")
@click.argument("payment")
@click.option("--amount", help="Such as 12.50; all that is left when not given.")
@click.option("--once", metavar="KEY", help="Do it once, however often it is called with this key.")
@with_api
def refund(api: Client, out: Output, *, payment: str, amount: str | None, once: str | None) -> None:
    """Give money back, all of it or --amount."""
    path = address("v1", "payments", payment)
    body = {} if amount is None else {"amount": _units(amount, api.call("GET", path)["payment"]["currency"])}
    headers = {"Idempotency-Key": once} if once else {}
    made = api.call("POST", f"{path}/refund", body=body, headers=headers)
    out.done(f"Kept as message {made['message']}. `botstead payments show {payment}` says what became of it.", made)


def _units(amount: str, currency: str) -> int:
    try:
        return money(amount, currency).amount
    except Invalid as error:
        raise click.UsageError(error.message) from error
