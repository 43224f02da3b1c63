"""The judge of payments is fair: it sees each kind of fault, and none where there is none."""

from __future__ import annotations

import itertools
from copy import deepcopy

import msgspec
import pytest

from botstead.processes.prove.payment_judge import examine
from botstead.processes.prove.provider import Entry
from botstead.processes.prove.stage import Stage
from botstead.processes.prove.till.books import Line

ASKED = ("u1", "u2", "u10")


def _line(what, order, amount=900, name=""):
    return Line(what=what, at=1.0, order=order, id=name or f"{what}_{order}", amount=amount)


LINES = (
    *(_line("page", f"pay_{order}") for order in ASKED),
    _line("charge", "pay_u1"),
    _line("charge", "pay_u10"),
    _line("refund", "pay_u10", 300),
    Line(what="fault", at=1.0, kind="slow", on="open"),
)
SAID = ("Order u1: 9.00 EUR", "fulfilled u1 1", "fulfilled u1 1", "fulfilled u10 1 refund 300", "heard u2 expired 0")


def _sent(*texts):
    return [Entry(n=n, at=1.0, token="1:x", method="sendMessage", chat="5", text=text) for n, text in enumerate(texts)]


def _payment(order, state, refunded=0, **more):
    done = [{"kind": "open", "state": "done", "tries": 2, "error": ""}]
    payment = {"id": f"pay_{order}", "reference": order, "state": state, "amount": 900, "refunded": refunded}
    return {"payment": {**payment, "held": False, "detail": "", **more}, "attempts": done}


LEDGER = (_payment("u1", "fulfilled"), _payment("u2", "expired"), _payment("u10", "fulfilled", 300))


def _found(*, lines=LINES, said=SAID, ledger=LEDGER):
    return examine(ASKED, lines, _sent(*said), ledger)


def _wrong(found):
    names = [name for name, kind in found.__annotations__.items() if kind.startswith("list")]
    return {name for name in names if getattr(found, name)}


def _with(order, **changes):
    ledger = deepcopy(list(LEDGER))
    next(one for one in ledger if one["payment"]["reference"] == order)["payment"].update(changes)
    return ledger


def _attempt(state):
    ledger = deepcopy(list(LEDGER))
    ledger[0]["attempts"].append({"kind": "refund", "state": state, "tries": 1, "error": "no answer"})
    return ledger


def test_all_is_well():
    found = _found()
    assert _wrong(found) == set()
    assert (found.orders, found.charges, found.refunds) == (3, 2, 1)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"lines": (*LINES, _line("charge", "pay_u1", name="ch_2"))}, {"charged_twice", "amounts"}),
        ({"lines": (*LINES, _line("page", "pay_u1", name="cs_2"))}, {"several_pages"}),
        ({"lines": (*LINES, _line("charge", "pay_u7"))}, {"charged_and_lost"}),
        ({"lines": (*LINES, _line("charge", "pay_u2"))}, {"charged_and_lost", "unfulfilled"}),
        ({"lines": (*LINES, _line("refund", "pay_u10", 300))}, {"refunded_too_much", "amounts"}),
        ({"lines": (*LINES, _line("refund", "pay_u1", 900))}, {"refunded_too_much", "amounts"}),
        ({"lines": tuple(line for line in LINES if line.what != "refund")}, {"refunds_lost", "amounts"}),
        ({"lines": tuple(line for line in LINES if line.what != "charge" or line.order != "pay_u1")}, {"never_charged"}),
        ({"lines": tuple(line for line in LINES if line.order != "pay_u2")}, {"no_page"}),
        ({"ledger": _with("u1", state="paid")}, {"unfulfilled"}),
        ({"ledger": _with("u1", state="expired")}, {"charged_and_lost"}),
        ({"ledger": _with("u1", held=True)}, {"charged_and_lost"}),
        ({"ledger": _with("u2", state="pending")}, {"unended"}),
        ({"ledger": _with("u2", state="fulfilled")}, {"never_charged"}),
        ({"ledger": _with("u1", amount=901)}, {"amounts"}),
        ({"ledger": (*LEDGER, _payment("u1", "expired", id="pay_other"))}, {"several_payments", "never_charged"}),
        ({"ledger": LEDGER[:2]}, {"charged_and_lost", "no_page"}),
        ({"ledger": _attempt("unknown")}, {"unknown"}),
        ({"ledger": _attempt("pending")}, {"unknown"}),
        ({"said": SAID[:1] + SAID[3:]}, {"unfulfilled"}),
        ({"said": (*SAID, "fulfilled u1 2")}, {"fulfilled_twice"}),
        ({"lines": [msgspec.structs.replace(line, at=2.0) for line in LINES]}, {"fulfilled_early"}),
        ({"said": (*SAID, "fulfilled u2 1")}, {"never_charged"}),
        ({"said": (*SAID, "fulfilled u10 1 refund 400")}, {"refunds_lost"}),
    ],
)
def test_each_fault_is_seen_and_breaks_the_promise(tmp_path, changed, wrong):
    found = _found(**changed)
    assert _wrong(found) == wrong
    stage = Stage(tmp_path, seed=1, scale="small")
    found.check(stage, orders=3)
    assert sum(not figure.holds for figure in stage.figures) >= len(wrong)


def test_few_orders_charges_or_refunds_break_it_too(tmp_path):
    stage = Stage(tmp_path, seed=1, scale="small")
    _found().check(stage, orders=100)
    assert [figure.name for figure in stage.figures if not figure.holds] == ["orders", "charges", "refunds"]


def test_the_verdict_is_the_same_in_whatever_order_the_witnesses_speak():
    for lines in itertools.islice(itertools.permutations(LINES), 200):
        assert _wrong(_found(lines=lines, said=SAID[::-1], ledger=LEDGER[::-1])) == set()
