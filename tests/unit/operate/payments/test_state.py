import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.money import PaymentState
from botstead.core.tills import Standing
from botstead.operate.payments.state import RANK, SETTLED, Books, advance, mismatch, move, refundable

S = PaymentState
NEW = Books(state=S.OPENED, amount=1250, currency="EUR")
SAID = st.builds(
    Standing,
    state=st.sampled_from([S.PENDING, S.APPROVED, S.PAID, S.FAILED, S.EXPIRED, S.REFUNDED]),
    amount=st.sampled_from([0, 1250, 1250, 1250, 5]),
    currency=st.sampled_from(["", "EUR", "eur", "USD"]),
    refunded=st.sampled_from([0, 0, 0, 1, 500, 1250, 9999]),
    detail=st.sampled_from(["", "Card declined."]),
)


def told(books: Books, events: list[Standing]) -> tuple[Books, list[PaymentState]]:
    news = []
    for said in events:
        moved = move(books, said)
        books = moved.books
        if moved.told:
            news.append(books.state)
    return books, news


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        (S.OPENED, S.PENDING, S.PENDING),
        (S.PENDING, S.APPROVED, S.APPROVED),
        (S.APPROVED, S.PENDING, S.APPROVED),
        (S.PENDING, S.PAID, S.PAID),
        (S.PAID, S.FAILED, S.PAID),
        (S.PAID, S.EXPIRED, S.PAID),
        (S.PAID, S.PENDING, S.PAID),
        (S.FULFILLED, S.PAID, S.FULFILLED),
        (S.FAILED, S.PAID, S.PAID),
        (S.EXPIRED, S.PAID, S.PAID),
        (S.EXPIRED, S.APPROVED, S.EXPIRED),
        (S.FULFILLED, S.REFUNDED, S.REFUNDED),
        (S.REFUNDED, S.PAID, S.REFUNDED),
    ],
)
def test_a_payment_only_rises(before, said, after):
    assert advance(before, said) is after


def test_every_state_has_a_rank_of_its_own():
    assert set(RANK) == set(PaymentState)
    assert len(set(RANK.values())) == len(RANK)


@given(st.lists(SAID, max_size=8), st.data())
def test_order_and_repetition_change_nothing(events, data):
    plain, _ = told(NEW, events)
    shuffled = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else events))
    other, _ = told(NEW, shuffled)
    assert (other.state, other.refunded, other.held) == (plain.state, plain.refunded, plain.held)


@given(st.lists(SAID, max_size=12))
def test_it_never_falls_and_paid_is_told_once(events):
    books, paid = NEW, 0
    for said in events:
        moved = move(books, said)
        assert RANK[moved.books.state] >= RANK[books.state]
        assert moved.books.refunded >= books.refunded
        assert moved.books.refunded <= books.amount
        assert not (books.held and not moved.books.held)
        paid += moved.told and moved.books.state is S.PAID
        books = moved.books
    assert paid <= 1


@given(st.lists(SAID, max_size=8))
def test_money_that_does_not_match_never_pays(events):
    wrong = [said for said in events if mismatch(NEW, said)]
    books, news = told(NEW, wrong)
    assert books.state is S.OPENED
    assert books.held == bool(wrong)
    assert news == []


def test_a_mismatch_says_both_amounts():
    moved = move(NEW, Standing(state=S.PAID, amount=500, currency="USD"))
    assert moved.effect == "mismatch"
    assert "12.50 EUR" in moved.books.detail
    assert "5.00 USD" in moved.books.detail


def test_what_went_back_whole_is_settled_whatever_was_paid():
    held = move(NEW, Standing(state=S.PAID, amount=500, currency="EUR")).books
    after = move(held, Standing(state=S.REFUNDED, amount=500, currency="EUR", refunded=500))
    assert after.books.state is S.REFUNDED
    assert after.told


def test_of_a_part_that_went_back_a_bot_hears_once_it_has_done_its_own():
    part = Standing(state=S.PAID, amount=1250, currency="EUR", refunded=250)
    paid = Books(state=S.PAID, amount=1250, currency="EUR")
    assert move(paid, part).effect == "refunded"
    assert not move(paid, part).told
    done = Books(state=S.FULFILLED, amount=1250, currency="EUR")
    assert move(done, part).told
    assert not move(move(done, part).books, part).told


def test_a_failure_says_why_and_money_takes_it_back():
    failed = move(NEW, Standing(state=S.FAILED, detail="Card declined.")).books
    assert failed.detail == "Card declined."
    assert move(failed, Standing(state=S.PAID, amount=1250, currency="EUR")).books.detail == ""


@pytest.mark.parametrize("state", list(PaymentState))
def test_only_money_that_came_can_go_back(state):
    books = Books(state=state, amount=1250, currency="EUR", refunded=250)
    assert refundable(books, 100) == (900 if state in SETTLED else 0)
    assert refundable(books, 2000) == 0
