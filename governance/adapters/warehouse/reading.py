"""What a run would publish: as Arrow for the lake, as a narrow table for the gates."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
from psycopg import sql

from governance.adapters.warehouse.merge import WINS, Verdict, same_key
from governance.adapters.warehouse.session import SIDE_BY_SIDE, Connection, next_batch, translated
from governance.adapters.warehouse.shape import ROW, Shape, listed
from governance.adapters.warehouse.staging import Stage

_DIGITS_IN_INT64 = 18
_READING = "reading the merged rows"


def winners(connection: Any, stage: Stage, shape: Shape, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows that will be published, in the order they were staged, through ADBC's COPY: flat in memory.

    ADBC gives `numeric` as text. Up to 18 digits the server sends unscaled integers instead, which become decimals by
    widening them in place: that takes a third off the whole.
    """
    query = sql.SQL(
        "SELECT {} FROM {} AS staged JOIN {} AS head ON head.{row} = staged.{row} WHERE head.{} ORDER BY staged.{row}"
    ).format(sql.SQL(", ").join(_sent(f) for f in schema), stage.rows, stage.heads, WINS, row=sql.Identifier(ROW))
    with connection.cursor() as cursor:
        with translated(_READING):
            cursor.execute(SIDE_BY_SIDE.as_string())
            cursor.execute(query.as_string())
            opened = cursor.fetch_record_batch()
        with closing(opened) as batches:
            while (batch := next_batch(batches, _READING)) is not None:
                columns = [_received(batch.column(n), f.type) for n, f in enumerate(schema)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _sent(field: pa.Field) -> sql.Composable:
    column = sql.Identifier("staged", field.name)
    if _narrow(field.type):
        power = sql.Literal(10**field.type.scale)
        return sql.SQL("({} * {})::bigint AS {}").format(column, power, sql.Identifier(field.name))
    return column


def _narrow(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind) and kind.precision <= _DIGITS_IN_INT64)


def _received(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if _narrow(kind):
        return _as_decimal(values, kind)
    if pa.types.is_decimal(kind):
        text = values.storage if isinstance(values, pa.ExtensionArray) else values
        return text.cast(kind)
    return values if values.type == kind else values.cast(kind)


def _as_decimal(unscaled: pa.Array, kind: pa.DataType) -> pa.Array:
    """128-bit decimals from 64-bit unscaled values, little-endian: the value, then its sign in the high half."""
    low = unscaled.fill_null(0).to_numpy(zero_copy_only=False)
    both = np.empty((len(low), 2), dtype=np.int64)
    both[:, 0] = low
    both[:, 1] = low >> 63
    valid = (
        None
        if unscaled.null_count == 0
        else pa.py_buffer(np.packbits(unscaled.is_valid().to_numpy(False), bitorder="little"))
    )
    return pa.Array.from_buffers(kind, len(low), [valid, pa.py_buffer(both)])


def make_gate(connection: Connection, stage: Stage, shape: Shape, columns: tuple[str, ...]) -> None:
    """(Re)make a copy of the table as it would look: published rows that aren't replaced, and the winners. Only the
    columns that rules speak of, since every rule reads it; a view would join the wide rows each time."""
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(stage.gate))
    connection.execute(
        sql.SQL(
            """CREATE UNLOGGED TABLE {gate} AS
               SELECT {names_stored} FROM {target} AS stored WHERE NOT EXISTS (
                   SELECT FROM {heads} AS head WHERE head.verdict = {changed} AND {same})
               UNION ALL
               SELECT {names_staged} FROM {rows} AS staged JOIN {heads} AS head ON head.{row} = staged.{row}
               WHERE head.{wins}"""
        ).format(
            gate=stage.gate,
            names_stored=listed(columns, "stored"),
            target=shape.target,
            heads=stage.heads,
            changed=sql.Literal(int(Verdict.CHANGED)),
            same=same_key(shape, "head", "stored"),
            names_staged=listed(columns, "staged"),
            rows=stage.rows,
            row=sql.Identifier(ROW),
            wins=WINS,
        )
    )
    connection.execute(sql.SQL("ANALYZE {}").format(stage.gate))
