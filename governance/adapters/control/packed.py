"""Rows of fixed width as one byte string, into a statement and out of it: one parameter, one value, no loop a row.

The driver turns a parameter or a value into Python objects one by one, which for a batch's 100,000 digests takes longer
than the query. As one `bytea` they are numpy's memory on both sides.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

Bytes2D = npt.NDArray[np.uint8]


class PackedRows:
    """Rows for a statement: column `row` is the 0-based number, the others are `bytea` of fixed width.

    columns: name -> uint8 array of shape (rows, width). Use `table` in FROM and `column(name)` in expressions.
    """

    def __init__(self, **columns: Bytes2D) -> None:
        self.rows = len(next(iter(columns.values())))
        packed = np.concatenate(list(columns.values()), axis=1)
        self._width = packed.shape[1]
        self._places: dict[str, tuple[int, int]] = {}
        start = 1
        for name, values in columns.items():
            self._places[name] = start, values.shape[1]
            start += values.shape[1]
        self._bytes = sa.bindparam(None, packed.tobytes(), sa.LargeBinary, unique=True)
        series = sa.func.generate_series(0, self.rows - 1, type_=sa.Integer)
        self.table = series.table_valued(sa.column("row", sa.Integer), name="given").render_derived()
        self.row = self.table.c.row

    def column(self, name: str) -> sa.ColumnElement[bytes]:
        """The value of a column in the current row."""
        start, width = self._places[name]
        return sa.func.substring(self._bytes, self.row * self._width + start, width, type_=sa.LargeBinary)


def packed(*columns: sa.ColumnElement[Any]) -> sa.ColumnElement[bytes]:
    """All rows of a query as one byte string, in no order. Each column must be `bytea` of a fixed width, not null."""
    row = columns[0]
    for column in columns[1:]:
        row = sa.func.byteacat(row, column, type_=sa.LargeBinary)
    return sa.func.string_agg(row, sa.literal(b"", sa.LargeBinary), type_=sa.LargeBinary)


def number(value: sa.ColumnElement[int]) -> sa.ColumnElement[bytes]:
    """An integer as four bytes, big endian."""
    return sa.func.int4send(value, type_=sa.LargeBinary)


def flag(value: sa.ColumnElement[bool]) -> sa.ColumnElement[bytes]:
    """A truth value as one byte."""
    return sa.func.boolsend(value, type_=sa.LargeBinary)


def unpacked(value: bytes | None, *fields: tuple[str, Any]) -> npt.NDArray[np.void]:
    """What `packed` gave, as a structured array. fields: (name, numpy type); `>i4` reads a `number`."""
    return np.frombuffer(value or b"", np.dtype(list(fields)))
