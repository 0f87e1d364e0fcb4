"""A published table as a scan reads it (`governance.flows.stored.StoredCells`).

It is read by its blocks (PostgreSQL's TID range scan), not by its key: a block's number tells where a scan was without
repeating a value of the table, and needs no index. All of one reading is one snapshot.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pyarrow as pa
from psycopg import sql

from governance.adapters.warehouse.session import Connection, Row, arrow, next_batch, transaction, translated
from governance.adapters.warehouse.shape import shape_of
from governance.enforcement.plan import EnforcementPlan
from governance.errors import UserError
from governance.flows.stored import Copy, Piece

STORE = "warehouse"

_ROWS_A_READING = 65_536
_FIRST_BLOCKS, _MOST_BLOCKS = 64, 65_536
_ORDINARY = "r"
_PLAIN = frozenset(
    {
        "text",
        "bigint",
        "double precision",
        "boolean",
        "date",
        "time without time zone",
        "timestamp with time zone",
    }
)
"""Types that arrive as Arrow has them; others come as their text."""

_TABLE = sql.SQL(
    """SELECT c.oid::bigint, pg_relation_filenode(c.oid)::bigint, c.reltuples::bigint, c.relkind::text
       FROM pg_class c WHERE c.oid = to_regclass({})::oid"""
)
_COLUMNS = sql.SQL(
    """SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
       WHERE attrelid = to_regclass({})::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
)


class WarehouseCells:
    """The tables of one PostgreSQL database. Errors are those of `PostgresWarehouse`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def copies(self, plan: EnforcementPlan) -> tuple[Copy, ...]:
        """The dataset's table, if it is there. UserError where its name stands for something that has no rows of its
        own, such as a view."""
        shape = shape_of(plan)
        with transaction(self._dsn, f"looking for the table of {plan.dataset}") as connection:
            found = connection.execute(_TABLE.format(_literal(shape.target))).fetchone()
        if found is None:
            return ()
        table, file, rows, kind = found
        if kind != _ORDINARY:
            raise UserError(f"{shape.schema}.{shape.table} is no ordinary table, so its cells can't be scanned")
        return (Copy(STORE, f"{shape.schema}.{shape.table}", f"{table}.{file}", rows if rows >= 0 else None),)

    def pieces(self, plan: EnforcementPlan, copy: Copy, leave: frozenset[str], position: int = 0) -> Iterator[Piece]:
        """All rows from the block `position` on. UserError where the table was made anew since it was listed."""
        target, types = shape_of(plan).target, {f.name: f.type for f in plan.output_schema()}
        doing = f"scanning {copy.name}"
        with transaction(self._dsn, doing) as connection:
            columns = _selected(connection, target, leave)
        if not columns:
            return
        with arrow(self._dsn, doing) as connection, connection.cursor() as cursor:
            blocks = _begin(cursor, target, copy, doing)
            step = _FIRST_BLOCKS
            while position < blocks:
                last = min(position + step, blocks)
                rows = 0
                for batch in _read(cursor, columns, target, (position, last), doing):
                    rows += batch.num_rows
                    yield Piece(_typed(batch, types), None)
                position = last
                yield Piece(pa.record_batch({}), position)
                step = _fitting(step, rows)


def _selected(connection: Connection, target: sql.Identifier, leave: frozenset[str]) -> list[sql.Composable]:
    """What to select: a column whose type Arrow doesn't have, as its text."""
    found: list[Row] = connection.execute(_COLUMNS.format(_literal(target))).fetchall()
    return [
        sql.Identifier(name) if kind in _PLAIN else sql.SQL("{0}::text AS {0}").format(sql.Identifier(name))
        for name, kind in found
        if name not in leave
    ]


def _typed(batch: pa.RecordBatch, types: dict[str, pa.DataType]) -> pa.RecordBatch:
    """Decimals come as text, and would be searched as text: here they are numbers again, as they were when loaded."""
    named = zip(batch.schema.names, batch.columns, strict=True)
    columns = [_as_decimal(values, types.get(name)) for name, values in named]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _as_decimal(values: pa.Array, wanted: pa.DataType | None) -> pa.Array:
    if wanted is None or not pa.types.is_decimal(wanted) or not pa.types.is_string(values.type):
        return values
    with suppress(pa.ArrowInvalid):  # a NaN, which only somebody else can have written, leaves it text
        return values.cast(wanted)
    return values


def _begin(cursor: Any, target: sql.Identifier, copy: Copy, doing: str) -> int:
    """Begin the snapshot, look that it is of the listed table, and return how many blocks that has."""
    query = sql.SQL(
        """SELECT c.oid::bigint::text || '.' || pg_relation_filenode(c.oid)::bigint::text,
                  pg_relation_size(c.oid) / current_setting('block_size')::bigint
           FROM pg_class c WHERE c.oid = to_regclass({})::oid"""
    ).format(_literal(target))
    with translated(doing):
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute(query.as_string())
        row = cursor.fetchone()
    if row is None or row[0] != copy.version:
        raise UserError(f"{copy.name} was made anew while it was scanned: scan again")
    return int(row[1])


def _read(
    cursor: Any, columns: list[sql.Composable], target: sql.Identifier, span: tuple[int, int], doing: str
) -> Iterator[pa.RecordBatch]:
    first, last = (sql.Literal(f"({block},0)") for block in span)
    query = sql.SQL("SELECT {} FROM {} WHERE ctid >= {}::tid AND ctid < {}::tid").format(
        sql.SQL(", ").join(columns), target, first, last
    )
    with translated(doing):
        cursor.execute(query.as_string())
        opened = cursor.fetch_record_batch()
    with closing(opened) as batches:
        while (batch := next_batch(batches, doing)) is not None:
            if batch.num_rows:
                yield batch


def _fitting(step: int, rows: int) -> int:
    """So many blocks that the next reading has about as many rows as it should; it may be off by half an order."""
    wanted = step * _ROWS_A_READING // max(rows, 1)
    return max(1, min(wanted, step * 4, _MOST_BLOCKS))


def _literal(target: sql.Identifier) -> sql.Literal:
    return sql.Literal(target.as_string())
