"""The ledger in PostgreSQL and the anchor in a file: durable, gapless, ordered, signed."""

import multiprocessing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from audit_ledger import SIGNER, Bench, make, records

from governance.adapters.anchor_file import FileAnchor
from governance.adapters.control.database import connect, transaction
from governance.adapters.control.ledger import PostgresLedger
from governance.adapters.signing import create_signing_key, load_signing_key, load_verifying_key, public_path
from governance.audit.anchor import AnchorError, Erasure
from governance.audit.ledger import Appended
from governance.audit.merkle import check_consistency, check_inclusion, leaf_hash
from governance.audit.records import Record, encode, stamp
from governance.errors import AuditError, SettingsError, StoreUnavailableError
from governance.model.clock import system_clock
from local.postgres import Postgres


@pytest.fixture
def bench(control: sa.Engine, database: str, tmp_path: Path) -> Bench:
    return make(control, database, tmp_path)


def test_batches_follow_each_other_without_a_gap(bench: Bench) -> None:
    assert bench.ledger.append(records(3)) == Appended(0, 2)
    assert bench.ledger.append(records(1)) == Appended(3, 3)
    assert bench.ledger.size() == 4
    newest = bench.ledger.last(2)
    assert [entry.index for entry in newest] == [2, 3]
    assert newest[0].record == records(3)[2]


def test_an_empty_batch_is_refused(bench: Bench) -> None:
    with pytest.raises(AuditError, match="empty batch"):
        bench.ledger.append([])


def test_a_ledger_without_any_record_verifies(bench: Bench) -> None:
    assert bench.verify().ok
    bench.ledger.publish_head()
    assert bench.verify().ok


def test_an_untouched_ledger_verifies_up_to_its_newest_head(bench: Bench) -> None:
    bench.filled(3, 1, 2000, 4)
    bench.ledger.append(records(2))
    report = bench.verify()
    assert report.findings == ()
    assert (report.size, report.heads, report.proven) == (2010, 4, 2008)
    assert any("DEVELOPMENT ANCHOR" in note for note in report.notes)
    assert any("no head signs yet: 2" in note for note in report.notes)


def test_publishing_again_without_a_record_keeps_the_head_that_stands(bench: Bench) -> None:
    bench.filled(3)
    first = bench.ledger.publish_head()
    assert bench.ledger.publish_head() == first
    assert list(bench.anchor.entries()) == [first]


def test_records_are_proven_to_an_outsider_who_holds_a_head(bench: Bench) -> None:
    bench.filled(1500, 2600, 37)
    heads = list(bench.anchor.entries())
    newest = heads[-1]
    for index in (0, 1023, 1024, 2047, 4095, 4096, 4136):
        path = bench.ledger.inclusion(index, newest.size)
        entry = next(e for e in bench.ledger.last(5000) if e.index == index)
        leaf = leaf_hash(encode(entry.record, entry.index, stamp(entry.at)))
        check_inclusion(index, newest.size, leaf, path, newest.root)
    for old in heads[:-1]:
        path = bench.ledger.consistency(old.size, newest.size)
        check_consistency(old.size, newest.size, old.root, newest.root, path)


def test_an_append_inside_a_transaction_that_fails_leaves_nothing(bench: Bench) -> None:
    class DeliberateError(Exception):
        pass

    def fail() -> None:
        with transaction(bench.engine) as connection:
            bench.ledger.append_within(connection, records(3))
            raise DeliberateError

    with pytest.raises(DeliberateError):
        fail()
    assert bench.ledger.append(records(1)) == Appended(0, 0)
    assert bench.filled(2).verify().ok


def test_a_commit_waits_for_the_disk_whatever_the_database_was_set_to(bench: Bench) -> None:
    with psycopg.connect(bench.dsn, autocommit=True) as admin:
        admin.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        try:
            engine = connect(bench.dsn)
            ledger = PostgresLedger(engine, system_clock, SIGNER, bench.anchor)
            with transaction(engine) as connection:
                ledger.append_within(connection, records(1))
                assert connection.execute(sa.text("SHOW synchronous_commit")).scalar_one() == "on"
            engine.dispose()
        finally:
            admin.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit")


def test_a_server_without_fsync_is_refused(tmp_path: Path) -> None:
    from governance.adapters.control.database import migrate

    server = Postgres.start(tmp_path / "pg", {"fsync": "off"})
    try:
        engine = connect(server.dsn())
        migrate(engine)
        with pytest.raises(AuditError, match="fsync off"):
            make(engine, server.dsn(), tmp_path).ledger.append(records(1))
        engine.dispose()
    finally:
        server.stop()


def test_what_was_appended_survives_a_crash_of_the_server(tmp_path: Path) -> None:
    from governance.adapters.control.database import migrate

    server = Postgres.start(tmp_path / "pg")
    engine = connect(server.dsn())
    migrate(engine)
    bench = make(engine, server.dsn(), tmp_path).filled(500)
    bench.ledger.append(records(500))
    server.kill()
    with pytest.raises(StoreUnavailableError):
        bench.ledger.append(records(1))
    server = Postgres.start(tmp_path / "pg")
    try:
        report = bench.verify()
        assert report.ok
        assert report.size == 1000
    finally:
        engine.dispose()
        server.stop()


def _write(dsn: str, anchor: Path, run: str) -> None:
    engine = connect(dsn)
    ledger = PostgresLedger(engine, system_clock, SIGNER, FileAnchor(anchor))
    for number in range(12):
        ledger.append(records(7, run))
        if number % 5 == 0:
            ledger.publish_head()
    engine.dispose()


def test_writers_in_several_processes_make_one_gapless_verified_ledger(bench: Bench) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write, args=(bench.dsn, bench.anchor_path, f"writer-{number}")) for number in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    bench.ledger.publish_head()
    report = bench.verify()
    assert report.ok, report.findings
    assert report.size == report.proven == 3 * 12 * 7
    entries = bench.ledger.last(1000)
    assert [entry.index for entry in entries] == list(range(252))
    runs = [entry.record.run for entry in entries]
    assert all(len(set(runs[start : start + 7])) == 1 for start in range(0, 252, 7)), "a batch was torn apart"


def test_an_anchor_that_a_crash_left_behind_catches_up(bench: Bench) -> None:
    """A head is stored before it is anchored; the crash is between the two."""
    bench.filled(3)
    kept = bench.anchor_path.read_bytes()
    bench.filled(2)
    bench.anchor_path.write_bytes(kept)
    fresh = FileAnchor(bench.anchor_path)
    ledger = PostgresLedger(bench.engine, system_clock, SIGNER, fresh)
    report = bench.verify()
    assert report.ok
    assert any("published after" in note for note in report.notes)
    assert ledger.publish_head().size == 5
    assert [entry.size for entry in fresh.entries()] == [3, 5]


def test_what_a_crash_left_of_an_anchor_line_is_replaced(bench: Bench) -> None:
    bench.filled(3)
    with bench.anchor_path.open("ab") as file:
        file.write(b'{"at":"2026-')
    assert FileAnchor(bench.anchor_path).newest_head().size == 3
    with pytest.raises(AnchorError, match="line 2 is cut off"):
        list(FileAnchor(bench.anchor_path).entries())
    bench.ledger.append(records(1))
    bench.ledger.publish_head()
    assert [entry.size for entry in FileAnchor(bench.anchor_path).entries()] == [3, 4]
    assert bench.verify().ok


def test_the_anchor_keeps_erasures_between_heads(bench: Bench) -> None:
    bench.filled(2)
    bench.anchor.append_erasure(Erasure(41, "req-1"))
    bench.filled(1)
    entries = list(FileAnchor(bench.anchor_path).entries())
    assert [getattr(entry, "request", None) for entry in entries] == [None, "req-1", None]
    assert bench.verify().ok


def test_the_anchor_is_closed_to_others_and_says_when_it_is_for_development(bench: Bench) -> None:
    bench.filled(1)
    assert bench.anchor_path.stat().st_mode & 0o777 == 0o600
    assert "DEVELOPMENT ANCHOR" in (bench.anchor.warning or "")
    bench.anchor_path.chmod(0o644)
    with pytest.raises(AuditError, match="open to other users"):
        bench.anchor.newest_head()


def test_an_anchor_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch(mode=0o600)
    (tmp_path / "anchor").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditError, match="can't be opened"):
        FileAnchor(tmp_path / "anchor").newest_head()


def test_no_head_is_signed_over_records_that_were_changed_since_the_last_one(bench: Bench) -> None:
    bench.filled(3)
    bench.ledger.append(records(2))
    with bench.attacker() as attacker:
        attacker.execute("UPDATE ledger_record SET record = replace(record::text, '61', '62')::bytea WHERE index = 4")
    with pytest.raises(AuditError, match="no head is signed"):
        bench.ledger.publish_head()


def test_signing_keys_come_back_and_are_refused_when_others_may_read_them(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.key"
    made = create_signing_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_signing_key(path).verifying_key == made.verifying_key == load_verifying_key(public_path(path))
    with pytest.raises(SettingsError, match="never overwritten"):
        create_signing_key(path)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_signing_key(path)
    with pytest.raises(SettingsError, match="no Ed25519 public key"):
        load_verifying_key(path)
    with pytest.raises(SettingsError, match="can't be read"):
        load_signing_key(tmp_path / "absent")


def test_records_are_stored_as_their_canonical_bytes(bench: Bench) -> None:
    bench.ledger.append([Record("keys.rotate", "ops", item="epoch-2", ok=True)])
    with bench.attacker() as reader:
        stored = reader.execute("SELECT record FROM ledger_record").fetchone()[0]
    assert (
        stored == b'{"action":"keys.rotate","actor":"ops","at":"2026-03-01T00:00:01.000000Z","index":0,'
        b'"item":"epoch-2","ok":true}'
    )
