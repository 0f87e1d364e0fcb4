"""Sealed pairs open for their own subject, entity, epoch and key, and for nothing else."""

import os

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.errors import KeyUnavailableError, TokenError
from governance.model.secret import Secret
from governance.protection import choice, pairs
from governance.protection.engine import Engine
from governance.protection.keytable import KeyTable
from governance.protection.reference import Reference

ENGINES = [Reference(), choice.warm()]
EPOCH_KEY = Secret(os.urandom(32))
COUNT = 600

engines = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
both_ways = pytest.mark.parametrize(("one", "two"), [ENGINES, ENGINES[::-1]], ids=["there", "back"])


def made(engine: Engine, count: int = COUNT) -> tuple[KeyTable, np.ndarray, pa.Array]:
    table = KeyTable.random(count)
    ids = np.frombuffer(os.urandom(16 * count), np.uint8).reshape(count, 16)
    return table, ids, pairs.seal(table, ids, EPOCH_KEY, "customer", 3, engine)


@both_ways
def test_pairs_come_back_from_either_engine(one: Engine, two: Engine) -> None:
    table, ids, sealed = made(one)
    assert sealed.type == pa.binary(76) and len(set(sealed.to_pylist())) == COUNT
    opened = pairs.open(sealed, ids, EPOCH_KEY, "customer", 3, two)
    assert (opened.reveal() == table.reveal()).all() and (opened.pseudonyms == table.pseudonyms).all()
    some = pairs.open(sealed[5:9], ids[5:9], EPOCH_KEY, "customer", 3, two)
    assert (some.reveal() == table.reveal()[5:9]).all()
    assert len(pairs.open(sealed[:0], ids[:0], EPOCH_KEY, "customer", 3, two)) == 0


@engines
def test_nonces_are_never_repeated(engine: Engine) -> None:
    nonces = [value[:12] for _ in range(2) for value in made(engine)[2].to_pylist()]
    assert len(set(nonces)) == 2 * COUNT


@engines
def test_neither_key_nor_pseudonym_shows(engine: Engine) -> None:
    table, _, sealed = made(engine)
    raw = b"".join(sealed.to_pylist())
    assert not any(row.tobytes() in raw for row in (*table.reveal()[:50], *table.pseudonyms[:50]))


@engines
def test_the_form_is_plain_aes_gcm(engine: Engine) -> None:
    table, ids, sealed = made(engine, 1)
    raw = sealed[0].as_py()
    parts = (b"kb1.pair", b"customer", (3).to_bytes(8, "big"), ids[0].tobytes())
    associated = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    plain = AESGCM(EPOCH_KEY.reveal()).decrypt(raw[:12], raw[12:], associated)
    assert plain == table.reveal()[0].tobytes() + table.pseudonyms[0].tobytes()


@engines
def test_another_subject_entity_epoch_or_key_refuses(engine: Engine) -> None:
    _, ids, sealed = made(engine)
    wrong = [
        (ids[::-1], EPOCH_KEY, "customer", 3),
        (ids, EPOCH_KEY, "supplier", 3),
        (ids, EPOCH_KEY, "customer", 4),
        (ids, Secret(bytes(32)), "customer", 3),
    ]
    for who, key, entity, epoch in wrong:
        with pytest.raises(TokenError, match="row 0"):
            pairs.open(sealed, who, key, entity, epoch, engine)


@engines
def test_one_altered_pair_is_named_and_no_key_is_given(engine: Engine) -> None:
    _, ids, sealed = made(engine)
    values = sealed.to_pylist()
    for place in (0, 11, 12, 59, 60, 75):
        altered = list(values)
        altered[417] = values[417][:place] + bytes([values[417][place] ^ 1]) + values[417][place + 1 :]
        with pytest.raises(TokenError, match="row 417"):
            pairs.open(pa.array(altered, pa.binary(76)), ids, EPOCH_KEY, "customer", 3, engine)


@engines
@pytest.mark.parametrize("wrong", [None, b"", bytes(75), bytes(77)])
def test_a_pair_that_is_missing_or_cut_short_refuses(engine: Engine, wrong: bytes | None) -> None:
    _, ids, sealed = made(engine, 3)
    values = [sealed[0].as_py(), wrong, sealed[2].as_py()]
    with pytest.raises(TokenError, match="row 1"):
        pairs.open(pa.array(values, pa.binary()), ids, EPOCH_KEY, "customer", 3, engine)


def test_ids_and_keys_of_other_shapes_are_refused() -> None:
    table, ids, sealed = made(ENGINES[0], 3)
    with pytest.raises(TokenError, match="internal ids"):
        pairs.seal(table, ids[:2], EPOCH_KEY, "customer", 3)
    with pytest.raises(TokenError, match="internal ids"):
        pairs.open(sealed, ids.astype(np.int64), EPOCH_KEY, "customer", 3)
    with pytest.raises(KeyUnavailableError, match="32 bytes"):
        pairs.open(sealed, ids, Secret(b"short"), "customer", 3)


def test_a_single_value_opens_in_its_own_place_only() -> None:
    sealed = pairs.seal_bytes(b"a row", EPOCH_KEY, ("quarantine", "2026-01-01", b"\x00id"))
    assert pairs.open_bytes(sealed, EPOCH_KEY, ("quarantine", "2026-01-01", b"\x00id")) == b"a row"
    assert sealed != pairs.seal_bytes(b"a row", EPOCH_KEY, ("quarantine", "2026-01-01", b"\x00id"))
    for place in [("quarantine", "2026-01-01"), ("quarantine2026-01-01", b"\x00id"), ()]:
        with pytest.raises(TokenError):
            pairs.open_bytes(sealed, EPOCH_KEY, place)
    place = ("quarantine", "2026-01-01", b"\x00id")
    for broken in [b"", sealed[:27], sealed[:-1], sealed + b"\x00", bytes(len(sealed))]:
        with pytest.raises(TokenError):
            pairs.open_bytes(broken, EPOCH_KEY, place)
    with pytest.raises(TokenError):
        pairs.open_bytes(sealed, Secret(bytes(32)), place)
