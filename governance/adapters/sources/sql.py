"""A PostgreSQL table or view, streamed as Arrow through ADBC in one read-only snapshot."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import adbc_driver_manager
import numpy as np
import orjson
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_postgresql import dbapi
from psycopg import sql
from psycopg.conninfo import make_conninfo

from governance.contracts.types import Source
from governance.errors import KasbahError, SettingsError, SourceError, SourceUnavailableError
from governance.flows.source import LARGEST_BODY, Malformed, MalformedReason, SourceBatch

_CONNECT_SECONDS = 10
_NATIVE = frozenset(
    "int2 int4 int8 float4 float8 bool text varchar bpchar date time timestamp timestamptz".split()  # noqa: SIM905
)
"""Types that mean in Arrow what they mean in PostgreSQL. Any other is asked for as text, a list as JSON text."""
_NOT_LET_IN = ("28", "3D", "42501")
_NEVER = ("42", "0A", "22", "25", "3F")
"""SQLSTATE classes that don't pass: no such table or column, a value that a view stumbles on, a view that writes."""
_RELATION = """
SELECT c.oid, c.relkind = 'r', c.reltuples::bigint FROM pg_class c
WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_COLUMNS = """
SELECT a.attname, t.typname, t.typcategory = 'A', coalesce(array_position(i.indkey::int2[], a.attnum), -1)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_SETTINGS = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL TIME ZONE 'UTC'",
    "SET LOCAL synchronize_seqscans = off",
)


@dataclass(frozen=True)
class _Table:
    """What the catalog says. `columns` are (name, type, is a list), `stored` rows have a ctid, `rows` are estimated."""

    columns: tuple[tuple[str, str, bool], ...]
    key: tuple[str, ...]
    stored: bool
    rows: int


class TableReader:
    """Reads the table of a sql source at a libpq address, ordered by `updated_field`, then by primary key.

    A table without rows gives one batch without rows. Raises SourceError where the table or a column is missing,
    SettingsError where the database doesn't let us in, SourceUnavailableError where it doesn't answer; none shows the
    address.
    """

    def __init__(self, source: Source, location: str, *, batch_rows: int) -> None:
        self.name = source.name
        self._source, self._location, self._batch_rows = source, location, batch_rows
        names = (source.table or "").split(".")
        if not all(names) or len(names) > 2:
            raise SourceError(f"{source.where}: source {source.name}: `table` must be a table or schema.table")
        self._where = f"{source.name}: table {source.table}"
        self._identifier = sql.Identifier(*names)

    def size(self) -> int | None:
        """Rows, as the database estimates them."""
        with self._connected() as connection:
            rows = self._table(connection).rows
        return rows if rows >= 0 else None

    def batches(self, *, since: datetime | None = None, cursor: str | None = None) -> Iterator[SourceBatch]:
        """Every row, or those whose `updated_field` is `since`, later, or null."""
        del cursor
        with self._connected() as connection:
            query = self._query(self._table(connection), since).as_string(connection)
        with self._failures(), dbapi.connect(self._address()) as arrow, arrow.cursor() as asking:
            for setting in _SETTINGS:
                asking.execute(setting)
            asking.execute(query)
            yield from self._batches(asking.fetch_record_batch())

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[SourceBatch]:
        position, waiting = 0, pa.Table.from_batches([], reader.schema)
        for batch in reader:
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
            while waiting.num_rows >= self._batch_rows:
                yield self._batch(waiting.slice(0, self._batch_rows), position)
                position += self._batch_rows
                waiting = waiting.slice(self._batch_rows)
        if waiting.num_rows or not position:
            yield self._batch(waiting, position)

    def _batch(self, rows: pa.Table, first: int) -> SourceBatch:
        batches = rows.combine_chunks().to_batches()
        batch = batches[0] if batches else pa.RecordBatch.from_pylist([], rows.schema)
        columns = [c.storage if isinstance(c.type, pa.BaseExtensionType) else c for c in batch.columns]
        batch = pa.RecordBatch.from_arrays(columns, batch.schema.names)
        positions = pa.array(np.arange(first, first + len(batch)), pa.int64())
        odd = _out_of_range(batch)
        malformed = tuple(_malformed(batch.slice(i, 1), first + i) for i in np.flatnonzero(odd).tolist())
        if malformed:
            kept = pa.array(~odd)
            batch, positions = batch.filter(kept), positions.filter(kept)
        return SourceBatch(batch, positions, self._source.table or "", malformed, None, len(odd), len(odd))

    def _query(self, table: _Table, since: datetime | None) -> sql.Composed:
        updated = self._source.updated_field
        if updated is not None and updated not in {name for name, _, _ in table.columns}:
            raise SourceError(f"{self._where} has no column '{updated}'; correct the server's `updatedField`")
        wanted = sql.SQL(", ").join(_select(*column) for column in table.columns)
        query = sql.SQL("SELECT {} FROM {}").format(wanted, self._identifier)
        if since is not None and updated is not None:
            moment = sql.Literal(since if since.tzinfo else since.replace(tzinfo=UTC))
            query += sql.SQL(" WHERE {0} >= {1} OR {0} IS NULL").format(sql.Identifier(updated), moment)
        order = [sql.Identifier(name) for name in dict.fromkeys((*([updated] if updated else []), *table.key))]
        if not table.key and table.stored:
            order.append(sql.Identifier("ctid"))
        return query + sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(order)) if order else query

    def _table(self, connection: psycopg.Connection[Any]) -> _Table:
        found = connection.execute(_RELATION, (self._identifier.as_string(connection),)).fetchone()
        if found is None:
            raise SourceError(f"{self._where} isn't there; correct the server's `table` or the address")
        columns = connection.execute(_COLUMNS, (found[0],)).fetchall()
        if not columns:
            raise SourceError(f"{self._where} has no columns")
        key = tuple(name for name, _, _, place in sorted(columns, key=lambda c: c[3]) if place >= 0)
        return _Table(tuple((name, kind, many) for name, kind, many, _ in columns), key, found[1], found[2])

    def _address(self) -> str:
        try:
            return make_conninfo(self._location, connect_timeout=_CONNECT_SECONDS, application_name="kasbah")
        except psycopg.ProgrammingError:
            raise SettingsError(f"{self._where}: the location is no libpq address (postgresql://…)") from None

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        address = self._address()
        with self._failures(), psycopg.connect(address) as connection:
            connection.read_only = True
            yield connection

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """A client's error as ours, by its SQLSTATE; never its text, which quotes statements and values."""
        failure: KasbahError | None = None
        try:
            yield
        except (psycopg.Error, adbc_driver_manager.Error) as error:
            failure = self._meaning((getattr(error, "sqlstate", None) or "").strip("\0 "))
        except (OSError, pa.ArrowException):  # a lost connection and a failing view look alike once rows flow
            failure = SourceUnavailableError(
                f"{self._where}: the database broke off while it was read; try again, and look into its log"
            )
        if failure is not None:
            raise failure from None

    def _meaning(self, state: str) -> KasbahError:
        shown = f"SQLSTATE {state or 'none'}"
        if state.startswith(_NOT_LET_IN):
            return SettingsError(f"{self._where}: the database doesn't let this user in ({shown})")
        if state.startswith(_NEVER):
            return SourceError(f"{self._where} can't be read ({shown}); check the server's `table` and what it holds")
        return SourceUnavailableError(f"{self._where}: the database can't be reached ({shown}); try again")


def _select(name: str, kind: str, many: bool) -> sql.Composable:
    column = sql.Identifier(name)
    if kind in _NATIVE:
        return column
    return sql.SQL("to_json({0})::text AS {0}" if many else "{0}::text AS {0}").format(column)


def _out_of_range(batch: pa.RecordBatch) -> np.ndarray:
    """Rows with a date or moment outside the years 1 to 9999: infinity arrives as a wrong number."""
    odd = np.zeros(len(batch), dtype=bool)
    for column in batch.columns:
        if pa.types.is_date(column.type):
            numbers, low, high = column.cast(pa.int32()), _DAYS[0], _DAYS[1]
        elif pa.types.is_timestamp(column.type):
            numbers, low, high = column.cast(pa.int64()), _DAYS[0] * _DAY, (_DAYS[1] + 1) * _DAY - 1
        else:
            continue
        outside = pc.or_(pc.less(numbers, low), pc.greater(numbers, high)).fill_null(False)
        odd |= np.asarray(outside.to_numpy(zero_copy_only=False))
    return odd


_DAY = 86_400_000_000
_DAYS = ((datetime(1, 1, 1) - datetime(1970, 1, 1)).days, (datetime(9999, 12, 31) - datetime(1970, 1, 1)).days)  # noqa: DTZ001


def _malformed(row: pa.RecordBatch, position: int) -> Malformed:
    """The row as JSON, without the cells that have no text."""
    values = {}
    for name, column in zip(row.schema.names, row.columns, strict=True):
        if (
            not (pa.types.is_date(column.type) or pa.types.is_timestamp(column.type))
            or not _out_of_range(pa.RecordBatch.from_arrays([column], ["x"])).any()
        ):
            values[name] = column.cast(pa.string())[0].as_py()
    body = orjson.dumps(values)
    return Malformed(position, len(body), MalformedReason.OUT_OF_RANGE, body if len(body) <= LARGEST_BODY else None)
