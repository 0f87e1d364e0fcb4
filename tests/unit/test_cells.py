"""Cells: what is encrypted opens for its own person, field and dataset, and for nothing else."""

import base64
import mmap
import os
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import KeyUnavailableError, ProtectionError, TokenError
from governance.protection import cells, choice
from governance.protection.columns import array_of
from governance.protection.engine import Engine
from governance.protection.keytable import KeyTable
from governance.protection.reference import Reference

ENGINES = [Reference(), choice.warm()]
DATASET, FIELD = "store.orders", "customer_email"
TABLE = KeyTable.random(4)
ZERO = np.zeros(1, np.int32)

engines = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
both_ways = pytest.mark.parametrize(("one", "two"), [ENGINES, ENGINES[::-1]], ids=["there", "back"])


def subjects(*rows: int) -> np.ndarray:
    return np.array(rows, np.int32)


def origin(pseudonym: bytes, dataset: str = DATASET, field: str = FIELD) -> bytes:
    parts = (b"kb1", dataset.encode(), field.encode(), pseudonym)
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def by_hand(padded: bytes, person: int = 0) -> str:
    """A token made with nothing of ours but the description of its form."""
    nonce = os.urandom(12)
    cipher = AESGCM(TABLE.reveal()[person].tobytes())
    sealed = nonce + cipher.encrypt(nonce, padded, origin(TABLE.pseudonyms[person].tobytes()))
    return "kb1." + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def token_of(value: str | bytes, engine: Engine) -> str:
    kind = pa.string() if isinstance(value, str) else pa.binary()
    return cells.encrypt(pa.array([value], kind), ZERO, TABLE, DATASET, FIELD, engine=engine)[0].as_py()


def refuses(token: str, engine: Engine) -> str:
    with pytest.raises(TokenError) as caught:
        cells.open(pa.array([token]), ZERO, TABLE, DATASET, FIELD, engine=engine)
    return str(caught.value)


texts = st.lists(st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=70), max_size=40)


@both_ways
@given(values=texts, cut=st.integers(0, 10), data=st.data())
@settings(deadline=None, max_examples=40)
def test_any_text_comes_back_from_either_engine(
    one: Engine, two: Engine, values: list[str | None], cut: int, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]))
    column = pa.array(values, kind)[cut:]
    who = np.array([i % 4 if value is not None else -1 for i, value in enumerate(values[cut:])], np.int32)
    tokens = cells.encrypt(column, who, TABLE, DATASET, FIELD, engine=one)
    assert tokens.null_count == column.null_count
    opened = cells.open(tokens, who, TABLE, DATASET, FIELD, engine=two)
    opened.validate(full=True)
    assert opened.to_pylist() == values[cut:]
    assert cells.open(tokens[2:], who[2:], TABLE, DATASET, FIELD, engine=two).to_pylist() == values[cut:][2:]


@both_ways
@given(values=st.lists(st.none() | st.binary(max_size=70), max_size=40))
@settings(deadline=None, max_examples=25)
def test_any_bytes_come_back_from_either_engine(one: Engine, two: Engine, values: list[bytes | None]) -> None:
    who = np.zeros(len(values), np.int32)
    tokens = cells.encrypt(pa.array(values, pa.binary()), who, TABLE, DATASET, FIELD, engine=one)
    opened = cells.open(tokens, who, TABLE, DATASET, FIELD, as_type=pa.binary(), engine=two)
    assert opened.to_pylist() == values


@engines
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(engine: Engine, threads: int) -> None:
    values = [None if i % 7 == 3 else "é" * (i % 40) for i in range(5000)]
    column = pa.chunked_array([pa.array(values[:1234]), pa.array(values[1234:]).slice(0)])
    who = np.arange(5000, dtype=np.int64) % 4
    tokens = cells.encrypt(column, who, TABLE, DATASET, FIELD, threads=threads, engine=engine)
    assert cells.open(tokens, who, TABLE, DATASET, FIELD, threads=threads, engine=engine).to_pylist() == values


@engines
def test_repeated_values_may_come_as_a_dictionary(engine: Engine) -> None:
    values = pa.array(["a", None, "b", "a"]).dictionary_encode()
    tokens = cells.encrypt(values, subjects(0, -1, 1, 2), TABLE, DATASET, FIELD, engine=engine)
    opened = cells.open(tokens, subjects(0, -1, 1, 2), TABLE, DATASET, FIELD, engine=engine)
    assert opened.to_pylist() == ["a", None, "b", "a"]


@engines
@pytest.mark.parametrize("values", [pa.array([], pa.string()), pa.chunked_array([], pa.string()), pa.nulls(0)])
def test_an_empty_column_stays_empty(engine: Engine, values: pa.Array) -> None:
    tokens = cells.encrypt(values, subjects(), TABLE, DATASET, FIELD, engine=engine)
    assert tokens.type == pa.string() and len(tokens) == 0
    assert len(cells.open(tokens, subjects(), TABLE, DATASET, FIELD, engine=engine)) == 0


@engines
def test_a_cell_of_ten_megabytes(engine: Engine) -> None:
    values = ["small", "\U0001f33f" * 2_500_000, "after"]
    tokens = cells.encrypt(pa.array(values), subjects(0, 1, 2), TABLE, DATASET, FIELD, engine=engine)
    assert cells.open(tokens, subjects(0, 1, 2), TABLE, DATASET, FIELD, engine=engine).to_pylist() == values


def test_more_than_two_gigabytes_come_as_a_large_column() -> None:
    ends, untouched = np.array([0, 2**31], np.int64), pa.py_buffer(mmap.mmap(-1, 2**31))
    assert array_of(pa.string(), ends, untouched, None).type == pa.large_string()
    assert array_of(pa.binary(), ends, untouched, None).type == pa.large_binary()


@engines
def test_anyone_who_knows_the_form_can_read_a_token(engine: Engine) -> None:
    token = token_of("Zoë <zoe@example.com>", engine)
    assert re.fullmatch(r"kb1\.[A-Za-z0-9_-]+", token)
    sealed = base64.urlsafe_b64decode(token[4:] + "=" * (-len(token[4:]) % 4))
    associated = origin(TABLE.pseudonyms[0].tobytes())
    padded = AESGCM(TABLE.reveal()[0].tobytes()).decrypt(sealed[:12], sealed[12:], associated)
    text = "Zoë <zoe@example.com>".encode()
    assert padded == text + b"\x80" + bytes(-(len(text) + 1) % 16)


@engines
def test_a_token_written_by_anyone_who_knows_the_form_opens(engine: Engine) -> None:
    tokens = pa.array([by_hand(b"abc\x80" + bytes(12)), by_hand(b"0123456789abcdef\x80" + bytes(15))])
    opened = cells.open(tokens, subjects(0, 0), TABLE, DATASET, FIELD, engine=engine)
    assert opened.to_pylist() == ["abc", "0123456789abcdef"]


@engines
def test_a_token_tells_the_length_in_steps_of_sixteen_only(engine: Engine) -> None:
    lengths = {size: len(token_of("x" * size, engine)) for size in range(48)}
    assert len(set(lengths.values())) == 3
    assert all(lengths[size] == lengths[size // 16 * 16] for size in lengths)


@engines
def test_no_two_tokens_share_a_nonce(engine: Engine) -> None:
    values, who = pa.array(["same"] * 5000), np.zeros(5000, np.int32)
    runs = [cells.encrypt(values, who, TABLE, DATASET, FIELD, threads=2, engine=engine) for _ in range(2)]
    nonces = [token[4:20] for run in runs for token in run.to_pylist()]
    assert len(set(nonces)) == 10_000


@engines
def test_a_cell_opens_for_its_person_field_and_dataset_only(engine: Engine) -> None:
    tokens = cells.encrypt(pa.array(["a", "b"]), subjects(0, 1), TABLE, DATASET, FIELD, engine=engine)
    wrong = [
        (subjects(1, 0), DATASET, FIELD),
        (subjects(2, 3), DATASET, FIELD),
        (subjects(0, 1), DATASET, "customer_phone"),
        (subjects(0, 1), "store.stock", FIELD),
        (subjects(0, 1), DATASET + FIELD[:1], FIELD[1:]),
    ]
    for who, dataset, field in wrong:
        with pytest.raises(TokenError, match=rf"row 0 of {dataset}\.{field}"):
            cells.open(tokens, who, TABLE, dataset, field, engine=engine)
        values, failed = cells.try_open(tokens, who, TABLE, dataset, field, engine=engine)
        assert failed.all() and values.null_count == 2


@engines
def test_swapping_cells_between_rows_is_found(engine: Engine) -> None:
    who = subjects(0, 1, 1)
    tokens = cells.encrypt(pa.array(["a", "b", "c"]), who, TABLE, DATASET, FIELD, engine=engine)
    values, failed = cells.try_open(tokens.take([1, 0, 2]), who, TABLE, DATASET, FIELD, engine=engine)
    assert failed.tolist() == [True, True, False] and values.to_pylist() == [None, None, "c"]


@engines
def test_another_key_or_another_pseudonym_refuses(engine: Engine) -> None:
    token = pa.array([token_of("a", engine)])
    for keys, names in [
        (TABLE.reveal()[1:2], TABLE.pseudonyms[:1]),
        (TABLE.reveal()[:1], TABLE.pseudonyms[1:2]),
    ]:
        with pytest.raises(TokenError):
            cells.open(token, ZERO, KeyTable(keys.copy(), names.copy()), DATASET, FIELD, engine=engine)


@engines
def test_every_flipped_bit_refuses(engine: Engine) -> None:
    token = token_of("somebody@example.com", engine).encode()
    flipped = []
    for place in range(len(token)):
        for bit in range(8):
            altered = bytearray(token)
            altered[place] ^= 1 << bit
            flipped.append(bytes(altered))
    who = np.zeros(len(flipped), np.int32)
    values, failed = cells.try_open(pa.array(flipped, pa.binary()), who, TABLE, DATASET, FIELD, engine=engine)
    assert failed.all() and values.null_count == len(flipped)


@engines
@pytest.mark.parametrize("size", [3, 20, 40])
def test_every_shortened_or_lengthened_token_refuses(engine: Engine, size: int) -> None:
    token = token_of("x" * size, engine)
    other = [token[:end] for end in range(len(token))] + [token + "A" * more for more in range(1, 50)]
    who = np.zeros(len(other), np.int32)
    assert cells.try_open(pa.array(other), who, TABLE, DATASET, FIELD, engine=engine)[1].all()


@engines
def test_only_one_text_stands_for_a_token(engine: Engine) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for size, spare in [(3, 4), (20, 1), (40, 16)]:
        token = token_of("x" * size, engine)
        last = letters.index(token[-1])
        alike = [token[:-1] + letters[last // spare * spare + k] for k in range(spare)]
        opens = [not _failed(text, engine) for text in alike]
        assert opens == [text == token for text in alike]
    token = token_of("plain", engine)
    while "-" not in token[-50:] or "_" not in token[-50:]:
        token = token_of("plain", engine)
    body = token[4:]
    odd = ["kb1." + body.replace("-", "+"), "kb1." + body.replace("_", "/"), token + "=", token + "\n", " " + token]
    odd += [token[:20] + " " + token[20:], token[:20] + "!" + token[20:], "KB1." + body, "kb2." + body, body]
    odd += [token.replace(body[5], "\x00"), token.replace(body[5], "é"), "", "kb1.", "kb1"]
    assert all(_failed(text, engine) for text in odd)


@engines
def test_no_other_character_stands_for_a_letter(engine: Engine) -> None:
    """'A' is six zero bits, which a careless decoder also makes of what it doesn't know."""
    values = pa.array(["x" * (i % 40) for i in range(400)])
    who = np.zeros(400, np.int32)
    tokens = cells.encrypt(values, who, TABLE, DATASET, FIELD, engine=engine).to_pylist()
    places = [(token, place) for token in tokens for place in range(4, len(token)) if token[place] == "A"]
    odd = [token[:at] + "!+/= \n.\x00"[i % 8] + token[at + 1 :] for i, (token, at) in enumerate(places)]
    assert len(odd) > 100
    who = np.zeros(len(odd), np.int32)
    assert cells.try_open(pa.array(odd), who, TABLE, DATASET, FIELD, engine=engine)[1].all()


def _failed(token: str, engine: Engine) -> bool:
    return bool(cells.try_open(pa.array([token]), ZERO, TABLE, DATASET, FIELD, engine=engine)[1][0])


@engines
@pytest.mark.parametrize(
    "padded",
    [bytes(16), b"x" * 16, b"\x80" + b"\x01" * 15, b"abc\x80" + bytes(28), b"\x80" + bytes(31), b"\x81" + bytes(15)],
    ids=["zeroes", "none", "no zeroes", "a block too much", "a block of zeroes", "another mark"],
)
def test_a_cell_that_is_not_padded_as_a_cell_refuses(engine: Engine, padded: bytes) -> None:
    assert "padded" in refuses(by_hand(padded), engine)


@engines
def test_a_value_without_a_key_is_never_stored(engine: Engine) -> None:
    values = pa.array(["a", None, "b", "c"])
    assert cells.encrypt(values, subjects(0, -1, 1, 2), TABLE, DATASET, FIELD, engine=engine).null_count == 1
    for missing in (-1, 4, 2**31 - 1, -(2**31)):
        with pytest.raises(KeyUnavailableError, match="row 2: "):
            cells.encrypt(values, subjects(0, -1, missing, -1), TABLE, DATASET, FIELD, engine=engine)


@engines
def test_a_token_without_a_key_refuses(engine: Engine) -> None:
    tokens = cells.encrypt(pa.array(["a", "b"]), subjects(0, 1), TABLE, DATASET, FIELD, engine=engine)
    with pytest.raises(KeyUnavailableError, match="row 1 "):
        cells.open(tokens, subjects(0, -1), TABLE, DATASET, FIELD, engine=engine)
    values, failed = cells.try_open(tokens, subjects(0, 99), TABLE, DATASET, FIELD, engine=engine)
    assert values.to_pylist() == ["a", None] and failed.tolist() == [False, True]


@engines
def test_a_cleared_table_neither_encrypts_nor_opens(engine: Engine) -> None:
    table = TABLE.take(np.arange(2))
    token = cells.encrypt(pa.array(["a"]), ZERO, table, DATASET, FIELD, engine=engine)
    table.clear()
    with pytest.raises(KeyUnavailableError):
        cells.encrypt(pa.array(["a"]), ZERO, table, DATASET, FIELD, engine=engine)
    with pytest.raises(KeyUnavailableError):
        cells.open(token, ZERO, table, DATASET, FIELD, engine=engine)


class Cleared(Reference):
    """An engine in whose midst somebody else clears the keys."""

    def __init__(self, table: KeyTable) -> None:
        self.table = table

    def encrypt(self, *given: Any) -> None:
        self.table.clear()
        super().encrypt(*given)


def test_keys_cleared_meanwhile_encrypt_nothing() -> None:
    table = KeyTable.random(1)
    with pytest.raises(KeyUnavailableError, match="cleared"):
        cells.encrypt(pa.array(["a"]), ZERO, table, DATASET, FIELD, engine=Cleared(table))


@engines
def test_a_refusal_names_the_first_row_and_no_value(engine: Engine) -> None:
    good = token_of("secret words", engine)
    tokens = pa.array([good, None, good, good[:-2] + "zz", "not a token at all"])
    who = np.zeros(5, np.int32)
    with pytest.raises(TokenError) as caught:
        cells.open(tokens, who, TABLE, DATASET, FIELD, engine=engine)
    message = str(caught.value)
    assert message.startswith("row 3 of store.orders.customer_email ")
    assert "secret" not in message and good[8:20] not in message
    values, failed = cells.try_open(tokens, who, TABLE, DATASET, FIELD, engine=engine)
    assert values.to_pylist() == ["secret words", None, "secret words", None, None]
    assert failed.tolist() == [False, False, False, True, True]


@engines
def test_bytes_that_are_no_text_open_as_binary_only(engine: Engine) -> None:
    values = [b"fine", b"\xff\xfe", b"\xed\xa0\x80", None]
    who = subjects(0, 1, 2, -1)
    tokens = cells.encrypt(pa.array(values, pa.binary()), who, TABLE, DATASET, FIELD, engine=engine)
    with pytest.raises(TokenError, match=r"row 1 .*UTF-8"):
        cells.open(tokens, who, TABLE, DATASET, FIELD, engine=engine)
    opened, failed = cells.try_open(tokens, who, TABLE, DATASET, FIELD, engine=engine)
    assert opened.to_pylist() == ["fine", None, None, None] and failed.tolist() == [False, True, True, False]
    opened.validate(full=True)
    binary = cells.open(tokens, who, TABLE, DATASET, FIELD, as_type=pa.binary(), engine=engine)
    assert binary.to_pylist() == values


@engines
def test_a_character_split_over_two_cells_is_no_text(engine: Engine) -> None:
    tokens = cells.encrypt(pa.array([b"\xc3", b"\xa9"]), subjects(0, 0), TABLE, DATASET, FIELD, engine=engine)
    assert cells.try_open(tokens, subjects(0, 0), TABLE, DATASET, FIELD, engine=engine)[1].all()


def test_columns_and_subjects_of_other_shapes_are_refused() -> None:
    two = pa.array(["a", "b"])
    with pytest.raises(ProtectionError, match="subjects must be 2"):
        cells.encrypt(two, subjects(0), TABLE, DATASET, FIELD)
    with pytest.raises(ProtectionError, match="integers"):
        cells.encrypt(two, np.zeros(2), TABLE, DATASET, FIELD)
    with pytest.raises(ProtectionError, match="32 bits"):
        cells.encrypt(two, np.array([0, 2**32]), TABLE, DATASET, FIELD)
    with pytest.raises(ProtectionError, match="int64"):
        cells.encrypt(pa.array([1, 2]), subjects(0, 0), TABLE, DATASET, FIELD)
    with pytest.raises(ProtectionError, match="string or binary"):
        cells.open(two, subjects(0, 0), TABLE, DATASET, FIELD, as_type=pa.int64())


@pytest.mark.parametrize("middle", [9, -4, 2**31 - 1])
def test_a_column_whose_offsets_lie_is_refused_before_memory_is_read(middle: int) -> None:
    offsets = pa.py_buffer(np.array([0, middle, 4], np.int32))
    broken = pa.Array.from_buffers(pa.binary(), 2, [None, offsets, pa.py_buffer(b"12345678")])
    with pytest.raises(ProtectionError, match="offsets"):
        cells.encrypt(broken, subjects(0, 0), TABLE, DATASET, FIELD)
