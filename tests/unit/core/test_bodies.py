import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.bodies import read


class Said(msgspec.Struct):
    """What a service should say."""

    number: int
    words: str = ""


def test_what_was_expected_is_read():
    assert read(b'{"number": 7, "more": [1]}', Said) == read(msgspec.Raw(b'{"number":7}'), Said) == Said(7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"number": "seven"}',
        b"\xff\xfe",
        b'{"number": 7, "words": "\xff"}',
        b"[" * 100_000,
        b'{"more":' * 100_000,
    ],
)
def test_anything_else_is_nothing(body):
    assert read(body, Said) is None


@given(st.binary(max_size=60))
def test_no_bytes_are_an_error(body):
    found = read(body, Said)
    assert found is None or isinstance(found, Said)
