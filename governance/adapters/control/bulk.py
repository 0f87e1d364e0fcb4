"""Arrow rows into a temporary table of a transaction that is under way, by COPY; and the driver's errors as ours.

COPY runs on the driver's own connection, below SQLAlchemy, so its errors are turned here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import sqlalchemy as sa
from psycopg import sql

from governance.adapters.control.database import transaction
from governance.errors import KasbahError, StoreUnavailableError

_CHUNK_ROWS = 8_192
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_PLAIN = pyarrow.csv.WriteOptions(include_header=False)


class StatementRefusedError(KasbahError):
    """The control database refused a statement. `sqlstate` says why, where the server gave a reason."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction. StoreUnavailableError where the database is away or full, StatementRefusedError for all else;
    neither holds a statement or a value, only the SQLSTATE.
    """
    try:
        with transaction(engine) as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise StoreUnavailableError(f"the control database can't be reached or is full: {_state(error)}") from None
    except psycopg.Error as error:
        raise _refused(error) from None
    except sa.exc.DBAPIError as error:
        raise _refused(error.orig or error) from None


def copy_in(connection: sa.Connection, table: sa.Table, rows: pa.RecordBatch) -> None:
    """Add the rows to the temporary table of the same column names, which is made if absent.

    The transaction's end empties it. Binary columns arrive as bytea. Empty text and null stay apart.
    """
    connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
    if not rows.num_rows:
        return
    names = [column.name for column in table.columns]
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table.name), sql.SQL(", ").join(sql.Identifier(name) for name in names)
    )
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("the control database is reached by psycopg alone")
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for start in range(0, rows.num_rows, _CHUNK_ROWS):
            copy.write(_csv(rows.slice(start, _CHUNK_ROWS).select(names)))


def _csv(rows: pa.RecordBatch) -> bytes:
    columns = [_hex(column) if pa.types.is_binary(column.type) else column for column in rows.columns]
    text = BytesIO()
    pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(columns, names=rows.schema.names), text, _PLAIN)
    return text.getvalue()


def _hex(values: pa.Array) -> pa.Array:
    r"""Bytes as PostgreSQL reads them, `\x…`; null stays null."""
    whole = values.cast(pa.large_binary())
    offsets = np.frombuffer(whole.buffers()[1], np.int64)[whole.offset : whole.offset + len(whole) + 1]
    raw = np.frombuffer(whole.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    digits = np.empty((len(raw), 2), np.uint8)
    digits[:, 0], digits[:, 1] = _HEX[raw >> 4], _HEX[raw & 15]
    ends = pa.py_buffer((offsets - offsets[0]) * 2)
    text = pa.Array.from_buffers(pa.large_string(), len(whole), [None, ends, pa.py_buffer(digits)])
    mark, nothing = pa.scalar("\\x", pa.large_string()), pa.scalar("", pa.large_string())
    return pc.if_else(values.is_valid(), pc.binary_join_element_wise(mark, text, nothing), None)


def _refused(error: BaseException) -> StatementRefusedError:
    message = f"the control database refused a statement: {_state(error)}"
    return StatementRefusedError(message, getattr(error, "sqlstate", None))


def _state(error: BaseException) -> str:
    code = getattr(error, "sqlstate", None)
    return f"SQLSTATE {code}" if code else type(error).__name__
