"""A copy of the control database: what it holds links nobody to anything, and opens nothing after a rotation."""

import base64
from datetime import date

import numpy as np
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from keys_setup import PEOPLE, PHONES, Keys, rotation_of
from psycopg import sql

from governance.adapters.control.database import SCHEMA, connect
from governance.adapters.control.day_keys import PostgresDayKeys
from governance.adapters.control.epochs import epochs, index_keys
from governance.adapters.control.subjects import aliases, subjects
from governance.errors import KeyUnavailableError, TokenError
from governance.protection import pairs

DAY = date(2026, 11, 21)


def _copy(database: str) -> str:
    """The address of a copy of the whole database, as a backup gives it back."""
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with psycopg.connect(database, dbname="postgres", autocommit=True) as admin:
        copied = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        admin.execute(copied.format(sql.Identifier(f"{name}_copy"), sql.Identifier(str(name))))
    return psycopg.conninfo.make_conninfo(database, dbname=f"{name}_copy")


def _drop(dsn: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))


def test_a_copy_from_before_a_rotation_opens_nothing_after_it(keys: Keys, database: str) -> None:
    keys.resolve(PEOPLE, PHONES)
    day_keys = PostgresDayKeys(keys.engine, keys.epochs)
    day_keys.day_key(DAY)
    pseudonyms = keys.resolve(PEOPLE).table.pseudonyms.copy()
    keys.engine.dispose()
    backup = _copy(database)
    try:
        restored = Keys(connect(backup), keys.folder, keys.clock)
        assert restored.subjects.alive(pseudonyms).all(), "the copy is whole, as long as its epoch lives"
        restored.engine.dispose()
        rotation_of(keys).run()
        restored = Keys(connect(backup), keys.folder, keys.clock)
        with pytest.raises(KeyUnavailableError):
            restored.epochs.index_key()
        with pytest.raises(KeyUnavailableError):
            restored.resolve(PEOPLE)
        with pytest.raises(KeyUnavailableError):
            restored.subjects.by_pseudonym("customer", pseudonyms)
        with pytest.raises(KeyUnavailableError):
            restored.subjects.alive(pseudonyms)
        with pytest.raises(KeyUnavailableError):
            PostgresDayKeys(restored.engine, restored.epochs).existing(DAY)
        # Nor does any key that there is now.
        stored = _sealed_rows(restored)
        for epoch in (1, 2):
            with pytest.raises(TokenError):
                pairs.open(stored[1], stored[0], keys.epochs.key(2), "customer", epoch)
        restored.engine.dispose()
    finally:
        _drop(backup)


def _sealed_rows(keys: Keys) -> tuple[np.ndarray, object]:
    with keys.engine.begin() as connection:
        rows = connection.execute(sa.select(subjects.c.id, subjects.c.sealed)).all()
    ids = np.frombuffer(b"".join(row.id for row in rows), np.uint8).reshape(-1, 16)
    return ids, pa.array([row.sealed for row in rows], pa.binary(76))


def test_a_copy_without_its_epochs_key_links_no_alias_to_a_pseudonym(keys: Keys, database: str) -> None:
    """Under an alias stand its subject's internal id and sealed bytes; no pseudonym is anywhere in the copy."""
    resolved = keys.resolve(PEOPLE, PHONES)
    content = _every_value(database)
    for i in range(40):
        secrets = (resolved.table.pseudonyms[i].tobytes(), resolved.table.reveal()[i].tobytes())
        for secret in secrets:
            forms = (
                secret,
                secret.hex().encode(),
                base64.b64encode(secret)[:-2],
                base64.urlsafe_b64encode(secret)[:-2],
            )
            assert not any(form in content for form in forms)
    for email in PEOPLE:
        assert email.encode() not in content
    # The control: what does stand there is found in the same way.
    with keys.engine.begin() as connection:
        rows = connection.execute(sa.select(aliases.c.digest, aliases.c.subject)).all()
    assert len(rows) == 80
    assert all(row.digest in content and row.subject in content for row in rows)


def _every_value(database: str) -> bytes:
    """Every value of every table, as bytes: bytea raw, all else as text."""
    found = bytearray()
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relkind = 'r'",
            [SCHEMA],
        ).fetchall()
        for (table,) in tables:
            for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(SCHEMA, table))):
                for value in row:
                    found += value if isinstance(value, bytes) else str(value).encode()
                    found += b"\n"
    return bytes(found)


@pytest.mark.parametrize("wrong", ["entity", "epoch", "id", "key"])
def test_a_sealed_pair_opens_only_as_what_it_is(keys: Keys, wrong: str) -> None:
    keys.resolve(PEOPLE)
    ids, sealed = _sealed_rows(keys)
    key = keys.epochs.key(1)
    entity, epoch = "customer", 1
    assert len(pairs.open(sealed, ids, key, entity, epoch)) == 40
    if wrong == "entity":
        entity = "supplier"
    if wrong == "epoch":
        epoch = 2
    if wrong == "id":
        ids = ids[::-1]
    if wrong == "key":
        key = keys.epochs.lookup_key(1)
    with pytest.raises(TokenError):
        pairs.open(sealed, ids, key, entity, epoch)


def test_keys_at_the_service_are_bound_to_their_place(keys: Keys) -> None:
    """A wrapped key that is put into another row or column of the database opens nothing."""
    stored = keys.epochs.all()[0]
    with keys.engine.begin() as connection:
        connection.execute(sa.update(index_keys).values(wrapped=stored.wrapped_key))
        swapped = {"wrapped_key": stored.wrapped_lookup_key, "wrapped_lookup_key": stored.wrapped_key}
        connection.execute(sa.update(epochs).values(**swapped))
    other = keys.again()
    for ask in (other.epochs.index_key, other.epochs.current, lambda: other.epochs.lookup_key(1)):
        with pytest.raises(TokenError):
            ask()
