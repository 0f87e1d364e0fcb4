"""Rotation on a real PostgreSQL: killed anywhere it loses nobody, and nothing from before it opens afterwards."""

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from keys_setup import PEOPLE, PHONES, Keys, Records, SetClock, open_keys, rotation_of
from openbao import running_openbao

from governance.adapters.control.database import SCHEMA, migrate
from governance.adapters.control.day_keys import PostgresDayKeys
from governance.adapters.control.rotation import PostgresBarrier
from governance.adapters.kms.vault import VaultKeyService
from governance.errors import ConflictError, KeyUnavailableError
from governance.model.secret import Secret
from governance.protection.epochs import EpochState
from governance.protection.keyservice import KeyState
from governance.protection.rotation import StillSealedError
from governance.protection.subject_store import MovedError, NewSubjects, SealedRows

DAY = date(2026, 11, 21)


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
    done = rotation_of(keys).run()
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
    rotation_of(keys).run()
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

    rotation_of(keys, on_step=note).run()
    assert times["destroyed"] - times["prove"] >= 60


def test_every_step_is_on_record_without_any_person(keys: Keys) -> None:
    records = Records()
    _fill(keys)
    rotation_of(keys, records).run()
    assert {record.action for record in records.kept} == {"keys.rotate.step"}
    steps = [str(record.item).rpartition(":")[2] for record in records.kept]
    assert [s for s in steps if s != "reseal"] == ["open", "bar", "index", "prove", "destroy"]
    assert sum(record.counts.get("rows", 0) for record in records.kept) == 40


def test_a_plan_says_what_would_be_done_and_does_nothing(keys: Keys) -> None:
    _fill(keys)
    plan = rotation_of(keys).plan()
    assert (plan.current, plan.closing, plan.rows["subjects"]) == (1, None, 40)
    assert len(keys.epochs.all()) == 1


def test_rotations_follow_one_another(keys: Keys) -> None:
    before = _fill(keys)
    for new in (2, 3, 4):
        assert rotation_of(keys).run().new == new
        keys.clock.forward(3600)
    assert _known(keys.again()) == before
    with keys.engine.begin() as connection:
        found = sa.inspect(connection).get_check_constraints("subject", SCHEMA)
    assert [c["name"] for c in found] == ["subject_from_epoch_4"], "one bar is enough"


def test_two_rotations_never_run_at_once(keys: Keys) -> None:
    with PostgresBarrier(keys.engine).alone(), pytest.raises(ConflictError, match="another process"):
        rotation_of(keys).run()


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

    rotation_of(keys, on_step=write_late).run()


def test_writers_go_on_through_arotation_of(keys: Keys) -> None:
    """Another process, with the old epoch's keys in its memory, meets known and new people at every step."""
    before, other, met = _fill(keys), keys.again(), list[str]()
    _known(other)

    def write(step: str) -> None:
        assert _known(other) == before
        name = f"new{len(met)}@example.com"
        assert other.resolve([name, PEOPLE[0]], [None, f"+1212666{len(met):04}"]).created == 1
        met.append(name)

    rotation_of(keys, on_step=write).run()
    assert _known(keys.again()) == before
    assert None not in keys.again().pseudonyms(met)


def test_nothing_is_destroyed_while_a_row_is_left(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(keys)
    monkeypatch.setattr(keys.subjects, "reseal", lambda limit: 0)
    with pytest.raises(StillSealedError):
        rotation_of(keys).run()
    monkeypatch.undo()
    assert keys.service.state(str(keys.epochs.all()[0].key_uri)) is KeyState.PRESENT
    assert rotation_of(keys).run().old == 1


def test_a_key_service_that_forgets_gets_no_epoch(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wraps must come back before anything is sealed under it."""
    before, unwrap = _fill(keys), keys.service.unwrap

    def forgetful(uri: str, wrapped: bytes, associated: bytes) -> Secret:
        secret = unwrap(uri, wrapped, associated)
        return Secret(os.urandom(32)) if "000002" in uri else secret

    monkeypatch.setattr(keys.service, "unwrap", forgetful)
    with pytest.raises(KeyUnavailableError):
        rotation_of(keys).run()
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
        rotation_of(keys).run()
    monkeypatch.setattr(keys.service, "unwrap", unwrap)
    assert keys.service.state(str(keys.epochs.all()[0].key_uri)) is KeyState.PRESENT


# Killed in a process of its own.

STEPS = ["prepared", "open", "reseal", "bar", "index", "prove", "wait", "destroyed", "destroy"]


def _rotate_and_die(dsn: str, folder: str, at: str) -> None:
    keys = open_keys(dsn, folder)

    def die(step: str) -> None:
        if step == at:
            os.kill(os.getpid(), signal.SIGKILL)

    rotation_of(keys, on_step=die).run()


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
    rotation = rotation_of(finished)
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
        rotation_of(keys).run()
        keys.epochs.forget()
        assert _known(keys) == before
        left = server.client().secrets.transit.list_keys()["data"]["keys"]
        assert left == ["kasbah-epoch-000002-lookup", "kasbah-epoch-000002-seal"]


def test_migrating_again_changes_nothing_after_arotation_of(keys: Keys) -> None:
    before = _fill(keys)
    rotation_of(keys).run()
    migrate(keys.engine)
    assert _known(keys.again()) == before


if __name__ == "__main__":
    _rotate_and_die(*sys.argv[1:4])
