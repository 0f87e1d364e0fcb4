"""Builds a real ledger, an anchor and keys for the audit's tests. No tests here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import sqlalchemy as sa

from governance.adapters.anchor_file import FileAnchor
from governance.adapters.control.ledger import PostgresLedger
from governance.audit.findings import Report
from governance.audit.heads import Ed25519Signer, SignedHead
from governance.audit.records import Record
from governance.audit.verify import verify
from governance.model.secret import Secret

SIGNER = Ed25519Signer(Secret(bytes(range(32))))


def ticking() -> Callable[[], datetime]:
    """A clock that moves a second each time it is read."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)

    def clock() -> datetime:
        nonlocal moment
        moment += timedelta(seconds=1)
        return moment

    return clock


def records(count: int, run: str = "r-1") -> list[Record]:
    return [
        Record("ingest.batch", "airflow", "store/orders", run=run, counts={"admitted": number, "refused": 1})
        for number in range(count)
    ]


@dataclass
class Bench:
    """A ledger, its anchor, and an attacker's connection to the database."""

    engine: sa.Engine
    dsn: str
    anchor: FileAnchor
    anchor_path: Path
    ledger: PostgresLedger

    def filled(self, *batches: int) -> "Bench":
        """Append batches of these sizes, and publish a head after each."""
        for number, size in enumerate(batches):
            self.ledger.append(records(size, f"r-{number}"))
            self.ledger.publish_head()
        return self

    def verify(self, head: SignedHead | None = None) -> Report:
        """As somebody who holds the public key and the anchor."""
        return verify(self.ledger, FileAnchor(self.anchor_path), SIGNER.verifying_key, head)

    @contextmanager
    def attacker(self) -> Iterator[psycopg.Connection]:
        """The database's own superuser."""
        with psycopg.connect(self.dsn, options="-c search_path=kasbah_control") as connection:
            yield connection


def make(engine: sa.Engine, dsn: str, folder: Path) -> Bench:
    path = folder / "anchor" / "anchor.jsonl"
    anchor = FileAnchor(path)
    return Bench(engine, dsn, anchor, path, PostgresLedger(engine, ticking(), SIGNER, anchor))
