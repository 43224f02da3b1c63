"""A sealed value opens with its key, in its row, unaltered, and in no other case."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import ConfigurationError, SealBroken
from botstead.runtime.keyring import KeyRing, add_key, load, load_or_create, retire_key
from botstead.runtime.sealing import Sealer

RING = KeyRing(current="k1", keys={"k1": bytes(32), "k0": b"0" * 32}, pepper=b"p" * 32)
PLACE = "channel|7|secrets"


@given(st.binary(max_size=300), st.text(max_size=40))
def test_what_was_sealed_opens_again(value: bytes, place: str) -> None:
    sealed = Sealer(RING).seal(value, bound_to=place)
    assert Sealer(RING).open(sealed, bound_to=place) == value
    assert len(value) < 4 or value not in sealed


def test_the_same_value_never_looks_the_same() -> None:
    sealer = Sealer(RING)
    assert sealer.seal(b"x", bound_to=PLACE) != sealer.seal(b"x", bound_to=PLACE)


def test_a_value_moved_to_another_row_does_not_open() -> None:
    sealed = Sealer(RING).seal(b"token", bound_to=PLACE)
    with pytest.raises(SealBroken, match=r"channel\|8\|secrets"):
        Sealer(RING).open(sealed, bound_to="channel|8|secrets")


@given(st.data())
def test_one_flipped_bit_anywhere_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(Sealer(RING).seal(b"token", bound_to=PLACE))
    spot = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[spot // 8] ^= 1 << (spot % 8)
    with pytest.raises(SealBroken):
        Sealer(RING).open(bytes(sealed), bound_to=PLACE)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_do_not_open(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        Sealer(RING).open(sealed, bound_to=PLACE)


def test_a_key_that_is_not_in_the_ring_is_named() -> None:
    other = KeyRing(current="k9", keys={"k9": b"9" * 32}, pepper=bytes(32))
    with pytest.raises(SealBroken, match="k9"):
        Sealer(RING).open(Sealer(other).seal(b"x", bound_to=PLACE), bound_to=PLACE)


def test_the_wrong_key_under_the_right_name_is_noticed() -> None:
    impostor = KeyRing(current="k1", keys={"k1": b"x" * 32}, pepper=bytes(32))
    with pytest.raises(SealBroken):
        Sealer(impostor).open(Sealer(RING).seal(b"x", bound_to=PLACE), bound_to=PLACE)


def test_first_start_makes_a_ring_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    ring = load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create(path, sealed_data_exists=True) == load(path) == ring
    assert len(ring.keys[ring.current]) == len(ring.pepper) == 32
    assert list(path.parent.iterdir()) == [path]


def test_many_first_starts_at_once_agree_on_one_ring(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with ThreadPoolExecutor(16) as pool:
        rings = list(pool.map(lambda _: load_or_create(path), range(32)))
    assert {ring.current for ring in rings} == {load(path).current}
    assert list(tmp_path.iterdir()) == [path]


def test_a_rotation_leaves_old_values_readable_until_the_key_retires(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old_ring = load_or_create(path)
    sealed = Sealer(old_ring).seal(b"token", bound_to=PLACE)
    rotated = Sealer(add_key(path))
    assert rotated.is_stale(sealed)
    renewed = rotated.seal(rotated.open(sealed, bound_to=PLACE), bound_to=PLACE)
    assert not rotated.is_stale(renewed)
    assert load(path).pepper == old_ring.pepper
    only_new = Sealer(retire_key(path, old_ring.current))
    assert only_new.open(renewed, bound_to=PLACE) == b"token"
    with pytest.raises(SealBroken, match=old_ring.current):
        only_new.open(sealed, bound_to=PLACE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_current_key_does_not_retire(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = load_or_create(path)
    for key_id in (ring.current, "k-unknown"):
        with pytest.raises(ConfigurationError, match="current"):
            retire_key(path, key_id)


def test_a_lost_ring_is_not_replaced_while_values_need_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(ConfigurationError, match="sealed secrets"):
        load_or_create(path, sealed_data_exists=True)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_ring_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    load_or_create(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_or_create(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        msgspec.json.encode(KeyRing(current="gone", keys={"k1": bytes(32)}, pepper=bytes(32))),
        msgspec.json.encode(KeyRing(current="k1", keys={"k1": bytes(16)}, pepper=bytes(32))),
        msgspec.json.encode(KeyRing(current="k1", keys={"k1": bytes(32)}, pepper=b"")),
    ],
)
def test_a_broken_ring_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="broken"):
        load_or_create(path)


def test_a_missing_or_unreadable_ring_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no key ring"):
        load(tmp_path / "keys.json")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path)


def test_a_ring_shows_no_key() -> None:
    assert repr(RING) == "KeyRing(current='k1', keys=['k0', 'k1'])"
