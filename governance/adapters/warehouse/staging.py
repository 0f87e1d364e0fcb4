"""A run's governed rows, before they are judged.

Staging is UNLOGGED: half the writes, and nothing of it in WAL or backups. PostgreSQL empties such a table after a crash
of the server, so the books say how many rows each batch has, and every later step counts before it trusts.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import adbc_driver_manager
import numpy as np
import pyarrow as pa
from psycopg import sql

from governance.adapters.warehouse import ledgers
from governance.adapters.warehouse.session import (
    LOCK_WAIT,
    Connection,
    StoreRefusedError,
    lock_number,
    one,
    translated,
)
from governance.adapters.warehouse.shape import ROW, STAGING, Shape, stage_name
from governance.enforcement.plan import EnforcementPlan
from governance.flows.stores import StagingLostError

_BATCH_BITS = 32
_SEND_BYTES = 96 * 1024
"""One message of a COPY. It must fit a socket's buffer, so that we encode the next while the server stores this one:
that alone makes COPY a third faster."""

_FORGET = "DELETE FROM kasbah.stage_batch WHERE run = $1 AND dataset = $2 AND batch = $3"
_NOTE = "INSERT INTO kasbah.stage_batch (run, dataset, batch, rows) VALUES ($1, $2, $3, $4)"


class Stage:
    """A run's staging relations: `rows` as staged, `heads` as merging decided, `gate` what the gates judge."""

    def __init__(self, run: str, plan: EnforcementPlan) -> None:
        self.run, self.dataset, self.version = run, plan.dataset, plan.version
        self.name = stage_name(run, plan, "rows")
        self.rows = sql.Identifier(STAGING, self.name)
        self.heads_name = stage_name(run, plan, "heads")
        self.heads = sql.Identifier(STAGING, self.heads_name)
        self.gate_name = stage_name(run, plan, "gate")
        self.gate = sql.Identifier(STAGING, self.gate_name)

    @property
    def lock(self) -> tuple[str, str, str]:
        """The words of the lock that whoever changes this stage holds."""
        return ("kasbah.stage", self.run, self.dataset)

    def make(self, connection: Connection, shape: Shape) -> None:
        """Make the staging table unless it is there, and note it in the books."""
        ledgers.open_stage(connection, self.run, self.dataset, self.version)
        definitions = sql.SQL(", ").join(c.definition for c in shape.columns)
        create = sql.SQL(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {} ({}, {} bigint NOT NULL) WITH (autovacuum_enabled = false)"
        )
        connection.execute(create.format(self.rows, definitions, sql.Identifier(ROW)))

    def discard(self, connection: Connection, keep: set[int]) -> int:
        """Delete the batches that aren't in `keep`; returns the rows deleted. Raises StagingLostError if one of
        `keep` is gone."""
        batches = ledgers.staged_batches(connection, self.run, self.dataset)
        self.count(connection, batches)
        if keep - batches.keys():
            raise self.lost()
        surplus = sorted(batches.keys() - keep)
        for batch in surplus:
            connection.execute(self.without(batch))
        if surplus:
            ledgers.forget_batches(connection, self.run, self.dataset, surplus)
            ledgers.forget_merge(connection, self.run, self.dataset)
        return sum(batches[batch] for batch in surplus)

    def without(self, batch: int) -> sql.Composed:
        """The statement that deletes a batch's rows."""
        first, after = sql.Literal(batch << _BATCH_BITS), sql.Literal((batch + 1) << _BATCH_BITS)
        delete = sql.SQL("DELETE FROM {} WHERE {row} >= {} AND {row} < {}")
        return delete.format(self.rows, first, after, row=sql.Identifier(ROW))

    def count(self, connection: Connection, batches: dict[int, int] | None = None) -> int:
        """The staged rows, counted. Raises StagingLostError if they aren't as many as the books say."""
        if batches is None:
            batches = ledgers.staged_batches(connection, self.run, self.dataset)
        told = sum(batches.values())
        if not self.exists(connection):
            counted = 0
        else:
            counted = int(one(connection, sql.SQL("SELECT count(*) FROM {}").format(self.rows))[0])
        if counted != told:
            raise self.lost()
        return counted

    def exists(self, connection: Connection) -> bool:
        """Whether the staging table is there."""
        return bool(one(connection, sql.SQL("SELECT to_regclass(%s) IS NOT NULL"), (self.rows.as_string(),))[0])

    def drop(self, connection: Connection) -> None:
        """Remove everything of this stage. Safe to repeat."""
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}, {}").format(self.gate, self.heads, self.rows))
        ledgers.forget_stage(connection, self.run, self.dataset)

    def lost(self) -> StagingLostError:
        """The error to raise when rows are missing."""
        return StagingLostError(
            f"run {self.run}: rows staged for {self.dataset} are gone, as after a crash of the database server; "
            "nothing was published. Start a new run"
        )


class Writer:
    """Stages batches over one ADBC connection. Usable from one thread at a time."""

    def __init__(self, connection: Any, stage: Stage, shape: Shape, schema: pa.Schema, known: set[int]) -> None:
        self._connection, self._stage, self._shape = connection, stage, shape
        self._schema, self._known = schema, known

    def write(self, batch_number: int, rows: pa.RecordBatch) -> int:
        """Stage one batch in a transaction of its own, replacing what stood under its number; returns its rows.

        Raises StoreUnavailableError, or StoreRefusedError where the rows aren't what the plan says.
        """
        self._check(batch_number, rows)
        with translated(f"staging batch {batch_number}"):
            try:
                self._send(batch_number, rows)
                self._connection.commit()
            except BaseException:
                with suppress(adbc_driver_manager.Error):
                    self._connection.rollback()
                raise
        self._known.add(batch_number)
        return int(rows.num_rows)

    def _send(self, batch_number: int, rows: pa.RecordBatch) -> None:
        named = (self._stage.run, self._stage.dataset, batch_number)
        first = batch_number << _BATCH_BITS
        with self._connection.cursor() as cursor:
            if batch_number in self._known:
                cursor.execute(self._stage.without(batch_number).as_string())
                cursor.execute(_FORGET, named)
            cursor.execute(_NOTE, (*named, rows.num_rows))
            if rows.num_rows:
                numbers = pa.array(np.arange(first, first + rows.num_rows, dtype=np.int64))
                cursor.adbc_ingest(
                    self._stage.name,
                    _small(rows.append_column(ROW, numbers)),
                    mode="append",
                    db_schema_name=STAGING,
                )

    def _check(self, batch_number: int, rows: pa.RecordBatch) -> None:
        if not 0 <= batch_number < 1 << (63 - _BATCH_BITS):
            raise StoreRefusedError(f"batch number {batch_number} is out of range", "22003")
        if rows.schema.names != self._schema.names or rows.schema.types != self._schema.types:
            raise StoreRefusedError(f"batch {batch_number} doesn't have the columns and types of its plan", "42804")
        for column in self._shape.columns:
            if column.required and rows.column(column.name).null_count:
                raise StoreRefusedError(
                    f"batch {batch_number} has a row without {column.name}, which the contract requires or merges by",
                    "23502",
                )


def _small(rows: pa.RecordBatch) -> pa.RecordBatchReader:
    step = max(1, _SEND_BYTES * rows.num_rows // max(rows.nbytes, 1))
    slices: Iterator[pa.RecordBatch] = (rows.slice(at, step) for at in range(0, rows.num_rows, step))
    return pa.RecordBatchReader.from_batches(rows.schema, slices)


def take_lock(connection: Any, stage: Stage) -> None:
    """Hold the stage's lock for as long as this ADBC connection lives; ConflictError (through `translated`) after 10 s.

    Its commits don't wait for the disk: a crash that could lose one empties the unlogged staging table as well.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK_WAIT.as_string())
        cursor.execute("SELECT 1 AS held FROM pg_advisory_lock($1)", (lock_number(*stage.lock),))
        cursor.fetchall()
        cursor.execute("SET synchronous_commit = off")
    connection.commit()
