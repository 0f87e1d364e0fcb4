"""Key objects give nothing away by accident."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import KeyUnavailableError
from governance.model.secret import Secret
from governance.protection.framing import frame
from governance.protection.keytable import KeyTable

KEY_OBJECTS = [KeyTable.random(2), Secret(b"k" * 32)]
each = pytest.mark.parametrize("held", KEY_OBJECTS, ids=lambda held: type(held).__name__)


@each
def test_keys_refuse_to_be_printed(held: object) -> None:
    for show in (repr, str, "{}".format, "{0!r}".format):
        with pytest.raises(TypeError):
            show(held)


@each
def test_keys_refuse_to_be_pickled_or_copied(held: object) -> None:
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            duplicate(held)


@each
def test_keys_refuse_comparison_and_hashing(held: object) -> None:
    with pytest.raises(TypeError):
        _ = held == held  # noqa: PLR0124  the comparison is the test
    with pytest.raises(TypeError):
        _ = held != KEY_OBJECTS
    with pytest.raises(TypeError):
        hash(held)


def test_clearing_wipes_the_memory_that_was_handed_over() -> None:
    keys, names = np.full((3, 32), 7, np.uint8), np.full((3, 16), 9, np.uint8)
    table = KeyTable(keys, names)
    revealed = table.reveal()
    table.clear()
    assert len(table) == 0 and not keys.any() and not names.any() and not revealed.any()


def test_clearing_a_table_of_read_only_arrays_wipes_its_copy() -> None:
    keys = np.frombuffer(b"k" * 64, np.uint8).reshape(2, 32)
    table = KeyTable(keys, np.zeros((2, 16), np.uint8))
    revealed = table.reveal()
    table.clear()
    assert not revealed.any() and keys.all()


def test_pseudonyms_can_be_read_and_not_changed() -> None:
    table = KeyTable.random(2)
    assert table.pseudonyms.shape == (2, 16)
    with pytest.raises(ValueError, match="read-only"):
        table.pseudonyms[0, 0] = 1


def test_new_subjects_differ() -> None:
    table = KeyTable.random(1000)
    assert len({row.tobytes() for row in table.reveal()}) == 1000
    assert len({row.tobytes() for row in table.pseudonyms}) == 1000


def test_tables_are_joined_and_taken_from_by_row() -> None:
    one, two = KeyTable.random(2), KeyTable.random(3)
    joined = KeyTable.join(one, two)
    assert len(joined) == 5 and (joined.reveal()[2:] == two.reveal()).all()
    taken = joined.take(np.array([4, 0]))
    assert (taken.pseudonyms == joined.pseudonyms[[4, 0]]).all()
    taken.clear()
    assert joined.reveal().any()
    assert len(KeyTable.join()) == 0


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (np.zeros((2, 31), np.uint8), np.zeros((2, 16), np.uint8)),
        (np.zeros((2, 32), np.uint8), np.zeros((2, 15), np.uint8)),
        (np.zeros((2, 32), np.int8), np.zeros((2, 16), np.uint8)),
        (np.zeros((2, 32), np.uint8), np.zeros((3, 16), np.uint8)),
    ],
)
def test_keys_of_another_shape_are_refused(keys: np.ndarray, names: np.ndarray) -> None:
    with pytest.raises(KeyUnavailableError):
        KeyTable(keys, names)


parts = st.lists(st.text(alphabet="ab\x00\x01", max_size=4), max_size=4)


@given(one=parts, two=parts)
@settings(deadline=None, max_examples=200)
def test_two_lists_of_parts_are_framed_alike_only_if_they_are_alike(one: list[str], two: list[str]) -> None:
    assert (frame(*one) == frame(*two)) == (one == two)


def test_parts_may_be_text_or_bytes() -> None:
    assert frame("a", b"bc") == b"\x00\x00\x00\x01a\x00\x00\x00\x02bc"
