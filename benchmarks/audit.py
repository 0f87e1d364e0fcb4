"""Durable appends to the ledger beside plain batched INSERTs of the same rows into the same PostgreSQL, turn by turn.

Ours starts from records: it encodes and hashes them, extends the tree, and keeps its running state, all inside the
measured time. The peers start from finished bytes: the same three columns with the same primary key, one commit a
batch, fsync on. The ratio is taken against the fastest plain INSERT, one statement a batch over `unnest`; INSERT with a
long list of VALUES and `executemany` are printed too.
"""

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from governance.adapters.anchor_file import FileAnchor
from governance.adapters.control.database import connect, migrate
from governance.adapters.control.ledger import PostgresLedger
from governance.audit.heads import Ed25519Signer
from governance.audit.merkle import leaf_hash
from governance.audit.records import Record, encode, stamp
from governance.audit.verify import verify
from governance.model.clock import system_clock
from governance.model.secret import Secret
from local.postgres import Postgres

BATCH = 1000
BATCHES = 20
REPEATS = 9
GOAL = 2.0
SMALL_BATCHES = (1, 100)

Row = tuple[int, bytes, bytes]


def records(batch: int, size: int) -> list[Record]:
    """What a busy flow writes."""
    return [
        Record(
            "ingest.batch",
            "airflow",
            "store.orders",
            contract="1.4.0",
            run="0190c1f2-7a5e-7cc1-9d0a-5f3f4c6f1b2a",
            item=f"batch-{batch}-{number}",
            ok=True,
            counts={"admitted": 131_000 + number, "quarantined": number % 7, "refused": number % 3},
            reasons={"minor": number % 3},
        )
        for number in range(size)
    ]


def finished(batch: int, size: int) -> list[Row]:
    """The same as finished rows."""
    at = stamp(datetime.now(UTC))
    stored = [encode(record, batch * size + i, at) for i, record in enumerate(records(batch, size))]
    return [(batch * size + i, row, leaf_hash(row)) for i, row in enumerate(stored)]


class Peer:
    """A plain table in the same database, and one way to insert rows into it."""

    def __init__(self, dsn: str, insert: Callable[["psycopg.Cursor", sql.Identifier, list[Row]], None]) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.insert = insert
        self.table = sql.Identifier(f"peer_{secrets.token_hex(4)}")
        columns = "index bigint PRIMARY KEY, record bytea NOT NULL, leaf bytea NOT NULL"
        self.connection.execute(sql.SQL("CREATE TABLE {} (" + columns + ")").format(self.table))

    def run(self, batches: list[list[Row]]) -> float:
        """Seconds for all batches, one commit each."""
        started = time.perf_counter()
        for rows in batches:
            with self.connection.transaction(), self.connection.cursor() as cursor:
                self.insert(cursor, self.table, rows)
        return time.perf_counter() - started


def unnest(cursor: "psycopg.Cursor", table: sql.Identifier, rows: list[Row]) -> None:
    statement = sql.SQL("INSERT INTO {} SELECT * FROM unnest(%b::bigint[], %b::bytea[], %b::bytea[])")
    cursor.execute(statement.format(table), [list(column) for column in zip(*rows, strict=True)])


def values(cursor: "psycopg.Cursor", table: sql.Identifier, rows: list[Row]) -> None:
    marks = sql.SQL(",").join([sql.SQL("(%b,%b,%b)")] * len(rows))
    statement = sql.SQL("INSERT INTO {} VALUES {}").format(table, marks)
    cursor.execute(statement, [value for row in rows for value in row])


def many(cursor: "psycopg.Cursor", table: sql.Identifier, rows: list[Row]) -> None:
    cursor.executemany(sql.SQL("INSERT INTO {} VALUES (%b,%b,%b)").format(table), rows)


def _turns(dsn: str, ledger: PostgresLedger, size: int, batches: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of each turn, by name; the first turn warms up and is not kept."""
    peers = {"unnest": Peer(dsn, unnest), "values": Peer(dsn, values), "executemany": Peer(dsn, many)}
    seconds: dict[str, list[float]] = {"ledger": [], **{name: [] for name in peers}}
    for repeat in range(repeats + 1):
        numbers = range(repeat * batches, (repeat + 1) * batches)
        ours = [records(number, size) for number in numbers]
        theirs = [finished(number, size) for number in numbers]
        started = time.perf_counter()
        for batch in ours:
            ledger.append(batch)
        turn = {"ledger": time.perf_counter() - started}
        turn |= {name: peer.run(theirs) for name, peer in peers.items()}
        if repeat:
            for name, taken in turn.items():
                seconds[name].append(taken)
    return seconds


def _report(seconds: dict[str, list[float]], rows: int, size: int) -> float:
    """Print the turns; returns the median of the turns' ratios to the fastest plain INSERT."""
    ratios = [ours / peer for ours, peer in zip(seconds["ledger"], seconds["unnest"], strict=True)]
    for name, taken in seconds.items():
        rates = sorted(rows / t for t in taken)
        print(
            f"  batches of {size:>5}: {name:<12} {statistics.median(rates):>9,.0f} records/s "
            f"({rates[0]:,.0f} to {rates[-1]:,.0f})"
        )
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"  batches of {size:>5}: time over unnest {statistics.median(ratios):.2f} ({spread})")
    return statistics.median(ratios)


def run() -> list[dict[str, object]]:
    """Start a PostgreSQL of its own (fsync on), measure, verify what was written, stop it."""
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        server = Postgres.start(Path(folder) / "pg")
        try:
            return _measure(server, Path(folder))
        finally:
            server.stop()


def _measure(server: Postgres, folder: Path) -> list[dict[str, object]]:
    dsn = server.create("bench")
    engine = connect(dsn)
    migrate(engine)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    signer = Ed25519Signer(Secret(secrets.token_bytes(32)))
    anchor = FileAnchor(folder / "anchor.jsonl")
    ledger = PostgresLedger(engine, system_clock, signer, anchor)
    for size in SMALL_BATCHES:
        _report(_turns(dsn, ledger, size, BATCHES, 3), size * BATCHES, size)
    seconds = _turns(dsn, ledger, BATCH, BATCHES, REPEATS)
    ratio = _report(seconds, BATCH * BATCHES, BATCH)
    rate = BATCH * BATCHES / statistics.median(seconds["ledger"])
    _verify(ledger, anchor, signer)
    engine.dispose()
    return [
        {
            "name": "audit_append",
            "value": round(rate),
            "unit": "records/s",
            "peer": "plain batched INSERT (unnest), time",
            "ratio": round(ratio, 2),
            "goal": GOAL,
            "met": ratio <= GOAL,
        }
    ]


def _verify(ledger: PostgresLedger, anchor: FileAnchor, signer: Ed25519Signer) -> None:
    started = time.perf_counter()
    head = ledger.publish_head()
    published = time.perf_counter()
    report = verify(ledger, anchor, signer.verifying_key)
    verified = time.perf_counter()
    assert report.ok, report.findings
    print(f"  head over {head.size:,} new records: {head.size / (published - started):,.0f} records/s")
    print(f"  audit verify: {report.size / (verified - published):,.0f} records/s")
