"""Keys, partitions and shares: pure arithmetic that is in the data for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import Unreadable
from botstead.pipeline.partitions import (
    EXTERNAL_LIMIT,
    PARTITIONS,
    account_of,
    conversation_key,
    external_id,
    partition_of,
    share,
)

EXTERNAL = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.integers(0, 2**31 - 1), EXTERNAL)
def test_a_key_gives_back_what_it_was_made_of(account, external):
    key = conversation_key(account, external)
    assert (account_of(key), external_id(key)) == (account, external)
    assert key.isascii()
    assert not set(key) & set("/?#&= \0")


@given(st.integers(0, 999), EXTERNAL, st.integers(0, 999), EXTERNAL)
def test_different_conversations_have_different_keys(one, first, two, second):
    assert (conversation_key(one, first) == conversation_key(two, second)) == ((one, first) == (two, second))


@pytest.mark.parametrize(
    ("key", "partition"),
    [("", 0), ("123456789", 0xCBF43926 % 64), ("1.42", 5), ("7.-1001234567890", 10), ("3.%C3%A4%20b%2Fc", 4)],
)
def test_partitions_never_change(key, partition):
    """Pinned: another hash would strand every waiting message. 0xCBF43926 is the check value of CRC-32."""
    assert partition_of(key) == partition


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_key_has_a_partition(key):
    assert 0 <= partition_of(key) < PARTITIONS == 64


@pytest.mark.parametrize("external", ["x" * (EXTERNAL_LIMIT + 1), "\0" * (EXTERNAL_LIMIT // 3 + 1), "\ud800", "a\udfffb"])
def test_an_impossible_id_is_the_senders_fault(external):
    with pytest.raises(Unreadable):
        conversation_key(1, external)


@given(st.integers(1, 200))
def test_shares_are_fair_and_cover_all(workers):
    shares = [share(rank, workers) for rank in range(workers)]
    assert sum(shares) == PARTITIONS
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("key", ["", "x", "-1.a", "١.a", ".a", "1e3.a", "²"])
def test_what_is_no_key_belongs_to_no_channel(key):
    assert account_of(key) == 0
