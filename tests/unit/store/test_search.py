"""Which indexes on words there should be. Pure arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from botstead.store.search import CHUNK_ROWS, CLOSED_AFTER, PART_ROWS, cover_of, wanted


@given(st.integers(min_value=0, max_value=5 * PART_ROWS))
def test_every_closed_id_is_covered_once_and_few_are_not(newest):
    found = wanted(newest=newest, parts=range(8))
    end = 0
    for cover in found:
        assert cover.first == end
        end = cover.end
        assert cover_of(cover.name, valid=True) == cover
        assert cover.whole == (cover.end - cover.first == PART_ROWS)
    assert end + CLOSED_AFTER <= max(newest, CLOSED_AFTER)
    assert newest - end < CHUNK_ROWS + CLOSED_AFTER
    assert len(found) <= newest // PART_ROWS + PART_ROWS // CHUNK_ROWS


def test_chunks_divide_a_part():
    assert PART_ROWS % CHUNK_ROWS == 0


def test_other_indexes_are_left_alone():
    for name in ("message_0_pkey", "message_0_words_x", "my_message_0_words", "message_0_words_1_ccnew"):
        assert cover_of(name, valid=True) is None


def test_parts_that_were_let_go_are_not_wanted():
    assert wanted(newest=3 * PART_ROWS, parts=[]) == []
    assert [cover.part for cover in wanted(newest=3 * PART_ROWS, parts=[1])] == [1]
