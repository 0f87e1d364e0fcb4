"""Enforcement on its own, with real keys on a real control database: what the tests of it share."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import sqlalchemy as sa

from governance.adapters.control.database import connect, migrate
from governance.adapters.control.day_keys import PostgresDayKeys
from governance.adapters.control.epochs import PostgresEpochs
from governance.adapters.control.leases import PostgresLeases
from governance.adapters.control.subjects import PostgresSubjects, aliases, subjects
from governance.adapters.kms.local import LocalKeyService
from governance.contracts.load import load_contract
from governance.enforcement.apply import enforce
from governance.enforcement.outcomes import Enforced
from governance.enforcement.plan import EnforcementPlan, compile_plan
from governance.enforcement.reading import with_origin
from governance.flows.keyring import LeasedKeys
from governance.flows.unsealing import unseal
from governance.pii.scanner import Finding, ScannedColumn, Scanner, ScanOutcome, ScanPlan
from governance.protection import cells
from governance.protection.epochs import Epochs
from governance.protection.leases import Leases
from governance.protection.subjects import Subjects
from local.postgres import Postgres

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONTRACT = load_contract(Path(__file__).parent / "contracts" / "members.odcs.yaml")
PLAN = compile_plan(CONTRACT.datasets[0], CONTRACT)
GOOD = {"joined": "2020-05-04", "born": "1990-01-02", "level": "full", "points": "7"}
NOWHERE = "\0"
"""What no cell holds."""

Row = Mapping[str, str | None]


class Finds:
    """A scanner that finds one word in texts, and is sure of everything else. Remembers what it was given."""

    def __init__(self, word: str, doubts: str = NOWHERE, silent: str = "") -> None:
        self.word, self.doubts, self.silent = word, doubts, silent
        self.seen: list[str] = []

    def scan(
        self, columns: Mapping[str, pa.Array], plan: ScanPlan, declared: Mapping[str, pa.Array]
    ) -> dict[str, ScannedColumn]:
        self.seen += columns
        assert {"full_name", "email", "born_on"} <= set(declared)
        return {name: self._one(name, values) for name, values in columns.items() if name != self.silent}

    def _one(self, name: str, values: pa.Array) -> ScannedColumn:
        texts = [str(value) for value in values.to_pylist()]
        found = np.array([self.word in text for text in texts], bool)
        doubt = np.array([self.doubts in text for text in texts], bool)
        return ScannedColumn(found, doubt, (Finding(name, ScanOutcome.UNDECLARED, int(found.sum()), "PERSON", "high"),))


@dataclass
class Desk:
    """Enforcement with keys of its own."""

    engine: sa.Engine
    folder: Path
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.epochs = Epochs(PostgresEpochs(self.engine), LocalKeyService(self.folder, self.clock), self.clock)
        self.subjects = Subjects(PostgresSubjects(self.engine), self.epochs, self.clock)
        leases = Leases(PostgresLeases(self.engine), self.clock)
        self.keyring = LeasedKeys(self.subjects, PostgresDayKeys(self.engine, self.epochs), self.epochs, leases, 600)

    def clock(self) -> datetime:
        return self.now

    def take(
        self,
        rows: list[Row],
        positions: list[int] | None = None,
        *,
        plan: EnforcementPlan = PLAN,
        scanner: Scanner | None = None,
        source: str = "members_json",
    ) -> Enforced:
        """Enforce rows of text; each is a good one but for what it says. `member_id` is its position."""
        places = list(range(len(rows))) if positions is None else positions
        full = [{"member_id": str(place), **row} for place, row in zip(places, rows, strict=True)]
        names = list(dict.fromkeys(name for row in full for name in row)) or ["member_id"]
        columns = [pa.array([row.get(name) for row in full], pa.string()) for name in names]
        records = pa.RecordBatch.from_arrays(columns, names)
        with self.keyring.lease("test") as lease:
            batch = with_origin(records, source, "part", pa.array(places, pa.int64()))
            return enforce(batch, plan, lease.keys, scanner or Finds(NOWHERE), self.clock)

    def open(self, admitted: pa.RecordBatch, field: str, *, dataset: str = PLAN.dataset, column: str = "") -> list[Any]:
        """The plain values behind a column of tokens, opened as this field of this dataset."""
        names = admitted.column("member_pseudonym").to_pylist()
        alive = np.frombuffer(bytes.fromhex("".join(names)), np.uint8).reshape(len(names), 16)
        index, table = self.subjects.by_pseudonym("member", alive)
        return list(cells.open(admitted.column(column or field), index, table, dataset, field).to_pylist())

    def bodies(self, quarantined: pa.RecordBatch) -> list[dict[str, str] | None]:
        """The rows behind quarantined ones."""
        with self.keyring.for_reading() as keys:
            opened = unseal(quarantined, PLAN.dataset, keys).bodies
        return [None if body is None else orjson.loads(body) for body in opened]

    def people(self) -> tuple[int, int]:
        """Subjects and aliases that there are."""
        with self.engine.begin() as connection:
            counts = [connection.scalar(sa.select(sa.func.count()).select_from(t)) for t in (subjects, aliases)]
        return counts[0] or 0, counts[1] or 0


@contextmanager
def installation(postgres: Postgres, folder: Path) -> Iterator[Desk]:
    """A desk on a control database of its own."""
    engine = connect(postgres.create(f"enforce_{secrets.token_hex(4)}"))
    try:
        migrate(engine)
        made = Desk(engine, folder / "keys")
        made.epochs.init()
        yield made
    finally:
        engine.dispose()


def outcomes(enforced: Enforced) -> dict[int, tuple[Any, ...]]:
    """By position: what became of a row and why. Fails where a position has two outcomes."""
    found: list[tuple[int, tuple[Any, ...]]] = []
    for row in enforced.admitted.select(["kasbah_position", "level", "points", "age", "joined_year"]).to_pylist():
        found.append((row.pop("kasbah_position"), ("admitted", *row.values())))
    for row in enforced.quarantined.to_pylist():
        found.append((row["position"], ("quarantined", row["reason"], row["field"], row["detail"])))
    for row in enforced.refused.to_pylist():
        found.append((row["position"], ("refused", row["reason"])))
    assert len(dict(found)) == len(found)
    return dict(found)


def raw(batch: pa.RecordBatch) -> bytes:
    """Every byte that the batch holds, also those no value points to."""
    return b"".join(b.to_pybytes() for column in batch.columns for b in column.buffers() if b is not None)
