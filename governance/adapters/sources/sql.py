"""A table of a PostgreSQL database, read as Arrow through ADBC, in one read-only snapshot and flat memory."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import adbc_driver_manager
import numpy as np
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from psycopg import sql
from psycopg.conninfo import make_conninfo

from governance.contracts.types import Source
from governance.errors import KasbahError, SettingsError, SourceError, SourceUnavailableError
from governance.flows.source import SourceBatch

_CONNECT_SECONDS = "10"
_UNKNOWN = ("42P01", "42703", "3F000")
_NOT_LET_IN = ("28", "3D", "42501")


class TableReader:
    """A `SourceReader` of one table. `location` is a libpq address; the table is the contract's."""

    def __init__(self, source: Source, location: str, *, batch_rows: int) -> None:
        if not source.table:
            raise SourceError(f"{source.where}: source {source.name} names no table: add the custom property 'table'")
        self.name = source.name
        self._source = source
        self._location = location
        self._batch_rows = batch_rows
        self._table = source.table

    def batches(self, *, since: datetime | None = None, cursor: str | None = None) -> Iterator[SourceBatch]:
        """Rows in the order of the updated field, those from `since` on where the contract names that field.

        A row's position is its number in this reading, so `part` names the table and where the reading began.
        """
        del cursor
        since = since if self._source.updated_field else None
        part = self._table if since is None else f"{self._table} since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        position = 0
        for rows in self._rows(since):
            positions = pa.array(np.arange(position, position + rows.num_rows))
            position += rows.num_rows
            yield SourceBatch(rows, positions, part, records_read=rows.num_rows, consumed=position)

    def size(self) -> int | None:
        """Unknown: counting would read the table twice."""
        return None

    def _rows(self, since: datetime | None) -> Iterator[pa.RecordBatch]:
        with self._translated(), dbapi.connect(self._address()) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(self._query(since))
            yield from _whole(cursor.fetch_record_batch(), self._batch_rows)

    def _address(self) -> str:
        with suppress(psycopg.ProgrammingError):
            return make_conninfo(self._location, connect_timeout=_CONNECT_SECONDS, application_name="kasbah")
        raise SettingsError(f"source {self.name}: its location is no libpq address (postgresql://…)")

    def _query(self, since: datetime | None) -> str:
        table = sql.Identifier(*self._table.split("."))
        query = sql.SQL("SELECT * FROM {}").format(table)
        if self._source.updated_field:
            field = sql.Identifier(self._source.updated_field)
            if since is not None:
                query += sql.SQL(" WHERE {} >= {}").format(field, sql.Literal(since))
            query += sql.SQL(" ORDER BY {}, ctid").format(field)
        return query.as_string()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """A driver's error may quote data, so only the SQLSTATE is passed on, and not from the handler."""
        failure: KasbahError | None = None
        try:
            yield
        except adbc_driver_manager.Error as error:
            failure = self._meaning((error.sqlstate or "").strip("\0 "))
        except (OSError, pa.ArrowException):
            failure = self._meaning("")
        if failure is not None:
            raise failure

    def _meaning(self, state: str) -> KasbahError:
        shown = f"SQLSTATE {state or 'none'}"
        if state in _UNKNOWN:
            return SourceError(f"source {self.name}: table {self._table} or its updated field isn't there ({shown})")
        if state.startswith(_NOT_LET_IN):
            return SettingsError(f"source {self.name}: the database doesn't let this user in ({shown})")
        return SourceUnavailableError(f"source {self.name}: the database is away or ended the connection ({shown})")


def _whole(reader: Any, rows: int) -> Iterator[pa.RecordBatch]:
    """The reader's rows in batches of the same size, so that a resumed run finds its batches again."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    schema = reader.schema
    for batch in reader:
        waiting.append(batch)
        held += batch.num_rows
        while held >= rows:
            table = pa.Table.from_batches(waiting, schema)
            yield _one(table.slice(0, rows))
            waiting, held = table.slice(rows).to_batches(), held - rows
    if held or schema is not None:
        yield _one(pa.Table.from_batches(waiting, schema))


def _one(table: pa.Table) -> pa.RecordBatch:
    combined = table.combine_chunks().to_batches()
    return combined[0] if combined else pa.RecordBatch.from_pylist([], schema=table.schema)
