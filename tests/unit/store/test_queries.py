import pytest

from botstead.store.queries import split

ONE = "-- name: one\n-- The first.\nSELECT 1;\n"


def test_statements_are_found_by_name_with_what_they_are_for():
    assert split(f"-- About the file.\n\n{ONE}\n-- name: two\nSELECT 2;\n") == {
        "one": "-- The first.\nSELECT 1",
        "two": "SELECT 2",
    }


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="one"):
        split(ONE + ONE)
