"""Somebody with every right on the database changes the ledger; verification finds it and names where.

The ledger of these tests has 30 records under heads of 10, 20 and 30.
"""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from audit_ledger import SIGNER, Bench, make, records

from governance.adapters.anchor_file import FileAnchor
from governance.adapters.control.ledger import PostgresLedger
from governance.audit.anchor import Chain, add_line
from governance.audit.findings import Fault, Report
from governance.audit.heads import Ed25519Signer, Signer, sign_head
from governance.audit.ledger import check_not_rolled_back
from governance.audit.merkle import TILE_LEAVES, Frontier, leaf_hash
from governance.audit.records import encode
from governance.audit.verify import verify
from governance.errors import AuditError, RolledBackError
from governance.model.clock import system_clock
from governance.model.secret import Secret

ATTACKER = Ed25519Signer(Secret(b"a" * 32))


@pytest.fixture
def bench(control: sa.Engine, database: str, tmp_path: Path) -> Bench:
    return make(control, database, tmp_path).filled(10, 10, 10)


def named(report: Report) -> list[tuple[Fault, int | None, int | None]]:
    return [(finding.fault, finding.first, finding.last) for finding in report.findings]


def rewrite_records(attacker: psycopg.Connection, rows: list[bytes]) -> None:
    """Put these in place of all records, with fitting leaf hashes."""
    attacker.execute("DELETE FROM ledger_record")
    with attacker.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ledger_record VALUES (%s, %s, %s)",
            [(index, row, leaf_hash(row)) for index, row in enumerate(rows)],
        )


def fake_the_rest(attacker: psycopg.Connection, rows: list[bytes], signer: Signer, *sizes: int) -> None:
    """Make the running state and the stored heads fit the records that stand there."""
    leaves = [leaf_hash(row) for row in rows]
    state = Frontier()
    state.extend(leaves)
    attacker.execute("UPDATE ledger_state SET size = %s, peaks = %s", (state.size, b"".join(state.peaks)))
    attacker.execute("DELETE FROM ledger_head")
    for size in sizes:
        tree = Frontier()
        tree.extend(leaves[:size])
        head = sign_head(tree, "2026-03-01T00:00:00.000000Z", signer)
        attacker.execute(
            "INSERT INTO ledger_head VALUES (%s, %s, %s, %s, %s, %s)",
            (head.size, head.root, head.at, head.peaks, SIGNER.verifying_key.id, head.signature),
        )


def stored(attacker: psycopg.Connection) -> list[bytes]:
    return [row[0] for row in attacker.execute("SELECT record FROM ledger_record ORDER BY index")]


def other(row: bytes) -> bytes:
    """The same record with another count."""
    return row.replace(b'"refused":1', b'"refused":0')


def test_a_flipped_record_is_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("UPDATE ledger_record SET record = %s WHERE index = 13", (other(stored(attacker)[13]),))
    assert named(bench.verify()) == [(Fault.ALTERED, 13, 13)]


@pytest.mark.parametrize("bit", [0, 7, 300])
def test_a_flipped_bit_is_named(bench: Bench, bit: int) -> None:
    with bench.attacker() as attacker:
        attacker.execute(
            "UPDATE ledger_record SET record = set_bit(record, %s, 1 - get_bit(record, %s)) WHERE index = 29",
            (bit, bit),
        )
    assert set(named(bench.verify())) == {(Fault.ALTERED, 29, 29)}


def test_an_edited_leaf_hash_is_told_from_an_altered_record(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("UPDATE ledger_record SET leaf = %s WHERE index = 13", (bytes(32),))
    assert named(bench.verify()) == [(Fault.LEAF, 13, 13)]


def test_a_record_rewritten_with_its_leaf_hash_names_the_span_between_two_heads(bench: Bench) -> None:
    with bench.attacker() as attacker:
        row = other(stored(attacker)[13])
        attacker.execute("UPDATE ledger_record SET record = %s, leaf = %s WHERE index = 13", (row, leaf_hash(row)))
    assert named(bench.verify()) == [(Fault.REWRITTEN, 10, 19)]


def test_several_damaged_spans_are_each_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        rows = stored(attacker)
        attacker.execute("UPDATE ledger_record SET record = %s WHERE index = 3", (other(rows[3]),))
        for index in (21, 25):
            row = other(rows[index])
            attacker.execute(
                "UPDATE ledger_record SET record = %s, leaf = %s WHERE index = %s", (row, leaf_hash(row), index)
            )
    assert named(bench.verify()) == [(Fault.ALTERED, 3, 3), (Fault.REWRITTEN, 20, 29)]


@pytest.mark.parametrize(("first", "last"), [(0, 0), (13, 13), (8, 23), (15, 19)])
def test_dropped_records_are_named(bench: Bench, first: int, last: int) -> None:
    with bench.attacker() as attacker:
        attacker.execute("DELETE FROM ledger_record WHERE index BETWEEN %s AND %s", (first, last))
    assert named(bench.verify()) == [(Fault.DROPPED, first, last)]


def test_a_dropped_record_is_named_though_the_rest_was_moved_up(bench: Bench) -> None:
    with bench.attacker() as attacker:
        rows = stored(attacker)
        rewrite_records(attacker, rows[:13] + rows[14:])
    assert named(bench.verify()) == [(Fault.DROPPED, 13, 13)]


def test_reordered_records_are_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        rows = stored(attacker)
        rows[13], rows[26] = rows[26], rows[13]
        rewrite_records(attacker, rows)
    assert named(bench.verify()) == [(Fault.REORDERED, 13, 13), (Fault.REORDERED, 26, 26)]


def test_a_reorder_that_rewrites_the_records_names_its_span(bench: Bench) -> None:
    with bench.attacker() as attacker:
        rows = stored(attacker)
        rows[13], rows[14] = (
            rows[14].replace(b'"index":14', b'"index":13'),
            rows[13].replace(b'"index":13', b'"index":14'),
        )
        rewrite_records(attacker, rows)
    assert named(bench.verify()) == [(Fault.REWRITTEN, 10, 19)]


def test_an_inserted_record_is_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        rows = stored(attacker)
        forged = other(rows[13])
        rewrite_records(attacker, [*rows[:13], forged, *rows[13:]])
    assert named(bench.verify()) == [(Fault.INSERTED, 13, 13)]


def test_a_record_put_in_beside_another_is_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("ALTER TABLE ledger_record DROP CONSTRAINT ledger_record_pkey")
        row = other(stored(attacker)[13])
        attacker.execute("INSERT INTO ledger_record VALUES (13, %s, %s)", (row, leaf_hash(row)))
    report = bench.verify()
    assert (Fault.INSERTED, 13, 13) in named(report)


def test_records_added_at_the_end_without_the_ledger_are_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        row = encode(records(1)[0], 30, "2026-03-01T00:00:00.000000Z")
        attacker.execute("INSERT INTO ledger_record VALUES (30, %s, %s)", (row, leaf_hash(row)))
    assert named(bench.verify()) == [(Fault.INSERTED, 30, 30)]
    with pytest.raises(AuditError, match="beyond its running state"):
        bench.ledger.append(records(1))


def test_a_truncation_is_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("DELETE FROM ledger_record WHERE index >= 25")
    assert named(bench.verify()) == [(Fault.TRUNCATED, 25, 29)]


def test_a_truncation_that_also_rewrites_state_and_heads_is_a_rollback(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("DELETE FROM ledger_record WHERE index >= 20")
        fake_the_rest(attacker, stored(attacker), SIGNER, 10, 20)
    assert named(bench.verify()) == [(Fault.ROLLED_BACK, 20, 29)]


TABLES = ("ledger_record", "ledger_state", "ledger_tile", "ledger_head")


def dump(bench: Bench) -> dict[str, bytes]:
    with bench.attacker() as reader, reader.cursor() as cursor:
        copies = {}
        for table in TABLES:
            with cursor.copy(psycopg.sql.SQL("COPY {} TO STDOUT").format(psycopg.sql.Identifier(table))) as copy:
                copies[table] = b"".join(bytes(block) for block in copy)
        return copies


def restore(bench: Bench, copies: dict[str, bytes]) -> None:
    with bench.attacker() as attacker, attacker.cursor() as cursor:
        for table in TABLES:
            name = psycopg.sql.Identifier(table)
            cursor.execute(psycopg.sql.SQL("DELETE FROM {}").format(name))
            with cursor.copy(psycopg.sql.SQL("COPY {} FROM STDIN").format(name)) as copy:
                copy.write(copies[table])


def test_a_restored_backup_is_found_and_opens_nothing(bench: Bench) -> None:
    copies = dump(bench)
    check_not_rolled_back(bench.ledger, bench.anchor)
    bench.filled(5)
    restore(bench, copies)
    assert named(bench.verify()) == [(Fault.ROLLED_BACK, 30, 34)]
    with pytest.raises(RolledBackError, match="30 records, the anchor's newest head has 35"):
        check_not_rolled_back(bench.ledger, bench.anchor)
    with pytest.raises(RolledBackError):
        bench.ledger.publish_head()


def test_a_restored_backup_that_was_written_to_since_is_found(bench: Bench) -> None:
    copies = dump(bench)
    bench.filled(5)
    restore(bench, copies)
    bench.ledger.append(records(8, "r-other"))
    with pytest.raises(RolledBackError, match="written to since"):
        check_not_rolled_back(bench.ledger, bench.anchor)
    assert named(bench.verify()) == [
        (Fault.HEAD_MISSING, None, None),
        (Fault.REWRITTEN, 30, 34),
        (Fault.STATE, 35, 37),
    ]


def test_a_rewritten_database_with_heads_of_another_key_is_found(bench: Bench) -> None:
    """Records, leaf hashes, running state and heads all fit each other; only the anchor and the key tell."""
    with bench.attacker() as attacker:
        rows = stored(attacker)
        rows[13] = other(rows[13])
        rewrite_records(attacker, rows)
        fake_the_rest(attacker, rows, ATTACKER, 10, 20, 30)
    assert {fault for fault, _, _ in named(bench.verify())} == {Fault.HEAD_FORGED, Fault.REWRITTEN, Fault.STATE}
    assert (Fault.REWRITTEN, 10, 19) in named(bench.verify())


def test_a_rewritten_database_without_heads_is_found_by_the_anchor(bench: Bench) -> None:
    with bench.attacker() as attacker:
        rows = stored(attacker)
        rows[13] = other(rows[13])
        rewrite_records(attacker, rows)
        fake_the_rest(attacker, rows, ATTACKER)
    report = bench.verify()
    assert (Fault.REWRITTEN, 10, 19) in named(report)
    assert [finding.message for finding in report.findings if finding.fault is Fault.HEAD_MISSING] == [
        f"the head of {size} records stands in the anchor and not in the database" for size in (10, 20, 30)
    ]


def test_a_rewritten_database_signed_with_the_stolen_key_is_found_by_the_anchor(bench: Bench) -> None:
    with bench.attacker() as attacker:
        rows = stored(attacker)
        rows[13] = other(rows[13])
        rewrite_records(attacker, rows)
        fake_the_rest(attacker, rows, SIGNER, 10, 20, 30)
    report = bench.verify()
    assert (Fault.REWRITTEN, 10, 19) in named(report)
    assert {finding.fault for finding in report.findings} == {Fault.REWRITTEN, Fault.HEAD_FORKED, Fault.STATE}
    with pytest.raises(AuditError, match="contradict"):
        check_not_rolled_back(bench.ledger, bench.anchor)


def test_a_verifier_with_nothing_but_a_head_in_a_file_finds_the_same(bench: Bench) -> None:
    head = bench.anchor.newest_head()
    assert verify(bench.ledger, None, SIGNER.verifying_key, head).ok
    with bench.attacker() as attacker:
        rows = [other(row) for row in stored(attacker)]
        rewrite_records(attacker, rows)
        fake_the_rest(attacker, rows, SIGNER)
    report = verify(bench.ledger, None, SIGNER.verifying_key, head)
    assert named(report) == [(Fault.REWRITTEN, 0, 29), (Fault.STATE, None, None)]


def test_a_forged_head_in_the_database_is_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("UPDATE ledger_head SET root = %s WHERE size = 20", (bytes(32),))
    report = bench.verify()
    assert [str(finding) for finding in report.findings] == [
        "head forged: the head of 20 records in the database: its signature doesn't hold"
    ]


def test_a_head_whose_subtree_roots_were_edited_is_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("UPDATE ledger_head SET peaks = %s WHERE size = 20", (bytes(64),))
    report = bench.verify()
    assert [finding.fault for finding in report.findings] == [Fault.HEAD_FORGED]
    assert "20 records" in report.findings[0].message


def test_a_replaced_signing_key_is_named(bench: Bench) -> None:
    """All is as it was, but signed anew with another key, whose name stands beside it."""
    with bench.attacker() as attacker:
        fake_the_rest(attacker, stored(attacker), ATTACKER, 10, 20, 30)
        attacker.execute("UPDATE ledger_head SET key_id = %s", (ATTACKER.verifying_key.id,))
    assert {finding.fault for finding in bench.verify().findings} == {Fault.HEAD_FOREIGN}
    with_their_key = verify(bench.ledger, FileAnchor(bench.anchor_path), ATTACKER.verifying_key)
    assert Fault.HEAD_FOREIGN in {finding.fault for finding in with_their_key.findings}


def test_a_dropped_head_is_named(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("DELETE FROM ledger_head WHERE size = 20")
    report = bench.verify()
    assert [str(finding) for finding in report.findings] == [
        "head dropped: the head of 20 records stands in the anchor and not in the database"
    ]


@pytest.mark.parametrize(("size", "peaks"), [(30, bytes(128)), (29, bytes(128)), (40, bytes(64))])
def test_an_edited_running_state_is_found_and_stops_publication(bench: Bench, size: int, peaks: bytes) -> None:
    with bench.attacker() as attacker:
        attacker.execute("UPDATE ledger_state SET size = %s, peaks = %s", (size, peaks))
    assert {finding.fault for finding in bench.verify().findings} <= {Fault.STATE, Fault.TRUNCATED}
    assert not bench.verify().ok
    with pytest.raises(AuditError):
        bench.ledger.publish_head()


def test_a_missing_running_state_is_an_error(bench: Bench) -> None:
    with bench.attacker() as attacker:
        attacker.execute("DELETE FROM ledger_state")
    for action in (bench.verify, bench.ledger.publish_head, lambda: bench.ledger.append(records(1))):
        with pytest.raises(AuditError):
            action()


def test_a_record_changed_after_the_newest_head_is_named(bench: Bench) -> None:
    bench.ledger.append(records(4))
    with bench.attacker() as attacker:
        attacker.execute("UPDATE ledger_record SET record = %s WHERE index = 32", (other(stored(attacker)[32]),))
    assert named(bench.verify()) == [(Fault.ALTERED, 32, 32)]


def test_an_altered_tile_is_named(control: sa.Engine, database: str, tmp_path: Path) -> None:
    bench = make(control, database, tmp_path).filled(3 * TILE_LEAVES)
    with bench.attacker() as attacker:
        attacker.execute("UPDATE ledger_tile SET root = %s WHERE index = 1", (bytes(32),))
    assert named(bench.verify()) == [(Fault.TILE, TILE_LEAVES, 2 * TILE_LEAVES - 1)]


@pytest.mark.parametrize("line", [0, 1])
def test_an_edited_anchor_line_is_named(bench: Bench, line: int) -> None:
    lines = bench.anchor_path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"2026", b"2025")
    bench.anchor_path.write_bytes(b"".join(lines))
    report = bench.verify()
    messages = {finding.fault: finding.message for finding in report.findings}
    assert messages.keys() == {Fault.ANCHOR, Fault.HEAD_FORGED}
    assert f"line {line + 2}" in messages[Fault.ANCHOR]
    assert f"head of {10 * (line + 1)} records in the anchor" in messages[Fault.HEAD_FORGED]
    with pytest.raises(AuditError, match=f"line {line + 2}"):
        PostgresLedger(bench.engine, system_clock, SIGNER, FileAnchor(bench.anchor_path)).publish_head()


def test_an_edited_last_line_of_the_anchor_is_a_forged_head(bench: Bench) -> None:
    content = bench.anchor_path.read_bytes()
    before, last = content.rsplit(b"2026", 1)
    bench.anchor_path.write_bytes(before + b"2025" + last)
    assert [finding.fault for finding in bench.verify().findings] == [Fault.HEAD_FORGED]


def test_an_anchor_rebuilt_with_forged_heads_is_found(bench: Bench) -> None:
    entries = list(bench.anchor.entries())
    forged = replace(entries[1], root=sha256(b"").digest())
    chain, content = Chain(), b""
    for entry in (entries[0], forged, entries[2]):
        line, chain = add_line(chain, entry)
        content += line
    bench.anchor_path.write_bytes(content)
    assert [finding.fault for finding in bench.verify().findings] == [Fault.HEAD_FORGED]


def test_an_anchor_that_was_emptied_is_found_and_stops_publication(bench: Bench) -> None:
    bench.anchor_path.write_bytes(b"")
    assert [finding.fault for finding in bench.verify().findings] == [Fault.ANCHOR]
    ledger = PostgresLedger(bench.engine, system_clock, SIGNER, FileAnchor(bench.anchor_path))
    with pytest.raises(AuditError, match="holds no head"):
        ledger.publish_head()
    with pytest.raises(AuditError, match="shorter"):
        bench.ledger.publish_head()
