"""Rotation on a real PostgreSQL: killed anywhere it loses nobody, and nothing from before it opens afterwards."""

import base64
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from keys_setup import Keys, Records, SetClock, open_keys
from openbao import running_openbao
from psycopg import sql

from governance.adapters.control.database import SCHEMA, connect, migrate
from governance.adapters.control.day_keys import PostgresDayKeys
from governance.adapters.control.epochs import epochs, index_keys
from governance.adapters.control.rotation import PostgresBarrier, open_rotation
from governance.adapters.control.subjects import aliases, subjects
from governance.adapters.kms.vault import VaultKeyService
from governance.errors import ConflictError, KeyUnavailableError, TokenError
from governance.model.secret import Secret
from governance.protection import pairs
from governance.protection.epochs import EpochState
from governance.protection.keyservice import KeyState
from governance.protection.rotation import Rotation, StillSealedError
from governance.protection.subject_store import MovedError, NewSubjects, SealedRows

PEOPLE = [f"p{i}@example.com" for i in range(40)]
PHONES = [f"+1212555{i:04}" for i in range(40)]
DAY = date(2026, 11, 21)


@pytest.fixture
def keys(control: sa.Engine, tmp_path: Path) -> Keys:
    keys = Keys(control, tmp_path / "keys", SetClock())
    keys.epochs.init()
    return keys


def _rotation(keys: Keys, records: Records | None = None, **options: object) -> Rotation:
    """A rotation whose waiting moves the clock."""
    return open_rotation(
        keys.engine,
        keys.epochs,
        keys.subjects,
        records or Records(),
        keys.clock,
        "tests",
        sleep=keys.clock.forward,
        **options,  # type: ignore[arg-type]
    )


def _fill(keys: Keys) -> dict[str, bytes]:
    resolved = keys.resolve(PEOPLE, PHONES)
    return {email: resolved.table.reveal()[i].tobytes() for email, i in zip(PEOPLE, resolved.index, strict=True)}


def _known(keys: Keys) -> dict[str, bytes]:
    resolved = keys.resolve(PEOPLE, PHONES, create=False)
    assert (resolved.index >= 0).all()
    return {email: resolved.table.reveal()[i].tobytes() for email, i in zip(PEOPLE, resolved.index, strict=True)}


def test_everybody_keeps_key_and_pseudonym(keys: Keys) -> None:
    before, pseudonyms = _fill(keys), keys.pseudonyms(PEOPLE)
    day_key = PostgresDayKeys(keys.engine, keys.epochs).day_key(DAY)
    done = _rotation(keys).run()
    assert (done.old, done.new) == (1, 2)
    assert done.rows == {"quarantine day keys": 1, "message keys": 0, "subjects": 40}
    later = keys.again()
    assert _known(later) == before
    assert later.pseudonyms(PEOPLE) == pseudonyms
    assert PostgresDayKeys(later.engine, later.epochs).existing(DAY).same_as(day_key)
    alive = later.subjects.alive(later.resolve(PEOPLE).table.pseudonyms)
    assert alive.all() and len(alive) == 40


def test_the_old_keys_are_destroyed_and_what_the_service_says_is_kept(keys: Keys) -> None:
    _fill(keys)
    old = keys.epochs.all()[0]
    _rotation(keys).run()
    closed, now = keys.epochs.all()
    assert (closed.state, now.state) == (EpochState.DESTROYED, EpochState.OPEN)
    assert closed.wrapped_key is None and closed.wrapped_lookup_key is None
    assert closed.destruction is not None and closed.destruction.state is KeyState.DESTROYED
    for uri in (old.key_uri, old.lookup_key_uri):
        assert keys.service.state(str(uri)) is KeyState.DESTROYED
    with pytest.raises(KeyUnavailableError):
        keys.epochs.key(1)


def test_the_keys_are_destroyed_only_when_nobody_can_remember_them(keys: Keys) -> None:
    _fill(keys)
    times = dict[str, float]()

    def note(step: str) -> None:
        times[step] = keys.clock.now.timestamp()

    _rotation(keys, on_step=note).run()
    assert times["destroyed"] - times["prove"] >= 60


def test_every_step_is_on_record_without_any_person(keys: Keys) -> None:
    records = Records()
    _fill(keys)
    _rotation(keys, records).run()
    assert {record.action for record in records.kept} == {"keys.rotate.step"}
    steps = [str(record.item).rpartition(":")[2] for record in records.kept]
    assert [s for s in steps if s != "reseal"] == ["open", "bar", "index", "prove", "destroy"]
    assert sum(record.counts.get("rows", 0) for record in records.kept) == 40


def test_a_plan_says_what_would_be_done_and_does_nothing(keys: Keys) -> None:
    _fill(keys)
    plan = _rotation(keys).plan()
    assert (plan.current, plan.closing, plan.rows["subjects"]) == (1, None, 40)
    assert len(keys.epochs.all()) == 1


def test_rotations_follow_one_another(keys: Keys) -> None:
    before = _fill(keys)
    for new in (2, 3, 4):
        assert _rotation(keys).run().new == new
        keys.clock.forward(3600)
    assert _known(keys.again()) == before
    with keys.engine.begin() as connection:
        found = sa.inspect(connection).get_check_constraints("subject", SCHEMA)
    assert [c["name"] for c in found] == ["subject_from_epoch_4"], "one bar is enough"


def test_two_rotations_never_run_at_once(keys: Keys) -> None:
    with PostgresBarrier(keys.engine).alone(), pytest.raises(ConflictError, match="another process"):
        _rotation(keys).run()


def test_nobody_can_be_added_under_the_old_epoch_after_the_bar(keys: Keys) -> None:
    _fill(keys)

    def write_late(step: str) -> None:
        if step == "bar":
            ids, sealed = np.ones((1, 16), np.uint8), np.ones((1, 76), np.uint8)
            new = NewSubjects(
                "customer",
                SealedRows(ids, np.ones(1, np.int32), sealed),
                np.ones((1, 32), np.uint8),
                np.ones((1, 32), np.uint8),
            )
            with pytest.raises(MovedError):
                keys.store.create(new, new.digests[:0], ids[:0])

    _rotation(keys, on_step=write_late).run()


def test_writers_go_on_through_a_rotation(keys: Keys) -> None:
    """Another process, with the old epoch's keys in its memory, meets known and new people at every step."""
    before, other, met = _fill(keys), keys.again(), list[str]()
    _known(other)

    def write(step: str) -> None:
        assert _known(other) == before
        name = f"new{len(met)}@example.com"
        assert other.resolve([name, PEOPLE[0]], [None, f"+1212666{len(met):04}"]).created == 1
        met.append(name)

    _rotation(keys, on_step=write).run()
    assert _known(keys.again()) == before
    assert None not in keys.again().pseudonyms(met)


def test_nothing_is_destroyed_while_a_row_is_left(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(keys)
    monkeypatch.setattr(keys.subjects, "reseal", lambda limit: 0)
    with pytest.raises(StillSealedError):
        _rotation(keys).run()
    monkeypatch.undo()
    assert keys.service.state(str(keys.epochs.all()[0].key_uri)) is KeyState.PRESENT
    assert _rotation(keys).run().old == 1


def test_a_key_service_that_forgets_gets_no_epoch(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wraps must come back before anything is sealed under it."""
    before, unwrap = _fill(keys), keys.service.unwrap

    def forgetful(uri: str, wrapped: bytes, associated: bytes) -> Secret:
        secret = unwrap(uri, wrapped, associated)
        return Secret(os.urandom(32)) if "000002" in uri else secret

    monkeypatch.setattr(keys.service, "unwrap", forgetful)
    with pytest.raises(KeyUnavailableError):
        _rotation(keys).run()
    assert [e.state for e in keys.epochs.all()] == [EpochState.OPEN, EpochState.OPENING]
    assert _known(keys.again()) == before


def test_nothing_is_destroyed_if_the_new_keys_are_not_what_was_used(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(keys)
    rewrap, unwrap = keys.epochs.rewrap_index_key, keys.service.unwrap

    def forget_afterwards() -> None:
        rewrap()
        keys.epochs.lookup_key(2)
        monkeypatch.setattr(keys.service, "unwrap", lambda *_: Secret(os.urandom(32)))

    monkeypatch.setattr(keys.epochs, "rewrap_index_key", forget_afterwards)
    with pytest.raises(KeyUnavailableError):
        _rotation(keys).run()
    monkeypatch.setattr(keys.service, "unwrap", unwrap)
    assert keys.service.state(str(keys.epochs.all()[0].key_uri)) is KeyState.PRESENT


# Killed in a process of its own.

STEPS = ["prepared", "open", "reseal", "bar", "index", "prove", "wait", "destroyed", "destroy"]


def _rotate_and_die(dsn: str, folder: str, at: str) -> None:
    keys = open_keys(dsn, folder)

    def die(step: str) -> None:
        if step == at:
            os.kill(os.getpid(), signal.SIGKILL)

    _rotation(keys, on_step=die).run()


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_killed_at_any_step_loses_nobody(keys: Keys, database: str, step: str) -> None:
    before = _fill(keys)
    day_key = PostgresDayKeys(keys.engine, keys.epochs).day_key(DAY)
    done = subprocess.run(
        [sys.executable, __file__, database, str(keys.folder), step],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path])},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert _known(keys.again()) == before, "between the crash and the next try"
    finished = keys.again()
    finished.clock.forward(3600)
    rotation = _rotation(finished)
    if rotation.plan().closing or len(finished.epochs.all()) == 1 or step == "prepared":
        rotation.run()
    assert [e.state for e in finished.epochs.all()] == [EpochState.DESTROYED, EpochState.OPEN]
    later = keys.again()
    assert _known(later) == before
    assert PostgresDayKeys(later.engine, later.epochs).existing(DAY).same_as(day_key)
    assert len(list(keys.folder.iterdir())) == 2, "one key for sealing and one for lookups"


def test_a_rotation_deletes_the_old_keys_from_a_real_openbao(control: sa.Engine, tmp_path: Path) -> None:
    with running_openbao(tmp_path) as server:
        keys = Keys(control, tmp_path / "keys", SetClock())
        keys.use(VaultKeyService(server.address, Secret(server.token.encode())))
        keys.epochs.init()
        before = _fill(keys)
        _rotation(keys).run()
        keys.epochs.forget()
        assert _known(keys) == before
        left = server.client().secrets.transit.list_keys()["data"]["keys"]
        assert left == ["kasbah-epoch-000002-lookup", "kasbah-epoch-000002-seal"]


# A copy of the control database.


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
    _fill(keys)
    day_keys = PostgresDayKeys(keys.engine, keys.epochs)
    day_keys.day_key(DAY)
    pseudonyms = keys.resolve(PEOPLE).table.pseudonyms.copy()
    keys.engine.dispose()
    backup = _copy(database)
    try:
        restored = Keys(connect(backup), keys.folder, keys.clock)
        assert restored.subjects.alive(pseudonyms).all(), "the copy is whole, as long as its epoch lives"
        restored.engine.dispose()
        _rotation(keys).run()
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
    import pyarrow as pa

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


def test_migrating_again_changes_nothing_after_a_rotation(keys: Keys) -> None:
    before = _fill(keys)
    _rotation(keys).run()
    migrate(keys.engine)
    assert _known(keys.again()) == before


if __name__ == "__main__":
    _rotate_and_die(*sys.argv[1:4])
