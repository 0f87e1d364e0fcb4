"""Connections to the warehouse, and what their errors mean.

A driver's message may quote data (PostgreSQL's DETAIL does), so nothing of it is passed on: an error tells what was
being done and the SQLSTATE (PostgreSQL 18, appendix A).
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import adbc_driver_manager
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from psycopg import sql
from psycopg.conninfo import make_conninfo

from governance.adapters.translating import translating
from governance.errors import ConflictError, KasbahError, SettingsError, StoreUnavailableError

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]

_AWAY_OR_FULL = ("08", "25006", "40", "53", "57", "58")
"""Connection, read-only server, rollback, insufficient resources, operator intervention, system error."""
_NOT_LET_IN = ("28", "3D", "42501")
_LOCKED = "55P03"
_LOCK_WAIT = "10s"
_CONNECT_SECONDS = "10"


class StoreRefusedError(KasbahError):
    """The warehouse refuses a statement, and repeating it won't help. `sqlstate` says why."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@contextmanager
def transaction(dsn: str, doing: str) -> Iterator[Connection]:
    """One transaction on a connection of its own; `doing` completes "while …" in messages.

    Raises StoreUnavailableError (away, full, ended), ConflictError (locked), SettingsError (not let in) or
    StoreRefusedError.
    """
    with translated(doing), psycopg.connect(_address(dsn)) as connection:
        yield connection


@contextmanager
def arrow(dsn: str, doing: str) -> Iterator[Any]:
    """An ADBC connection; what isn't committed at the end is rolled back. Opening it raises as `transaction` does;
    whoever uses it wraps that use in `translated`, so that errors of the caller's own keep their meaning."""
    with translated(doing):
        connection = dbapi.connect(_address(dsn))
    try:
        yield connection
    finally:
        with suppress(adbc_driver_manager.Error):
            connection.close()


def next_batch(batches: Iterator[pa.RecordBatch], doing: str) -> pa.RecordBatch | None:
    """The next batch of an ADBC result, or None at its end. A broken stream comes as a plain OSError with the server's
    message in it, hence StoreUnavailableError instead."""
    with translated(doing), suppress(OSError, pa.ArrowException):
        return next(batches, None)
    raise StoreUnavailableError(f"the warehouse ended the connection while {doing}")


def translated(doing: str) -> AbstractContextManager[None]:
    """Turn a driver's error into one of ours, and cut the original off, since it may quote data."""
    lost = (psycopg.OperationalError, psycopg.InterfaceError, adbc_driver_manager.OperationalError)

    def meaning(error: Any) -> KasbahError:
        return _meaning(error.sqlstate, isinstance(error, lost), doing)

    return translating((psycopg.Error, adbc_driver_manager.Error), meaning)


def _meaning(sqlstate: str | None, lost: bool, doing: str) -> KasbahError:
    state = (sqlstate or "").strip("\0 ")
    shown = f"SQLSTATE {state or 'none'}"
    if state == _LOCKED:
        return ConflictError(
            f"somebody else holds what is needed while {doing} ({shown}): try again when they are done"
        )
    if state.startswith(_NOT_LET_IN):
        return SettingsError(
            f"the warehouse doesn't let this user in while {doing} ({shown}): check address and grants"
        )
    if state.startswith(_AWAY_OR_FULL) or (lost and not state):
        return StoreUnavailableError(f"the warehouse is away, full or ended the connection while {doing} ({shown})")
    return StoreRefusedError(f"the warehouse refuses while {doing} ({shown})", state)


def _address(dsn: str) -> str:
    return make_conninfo(dsn, connect_timeout=_CONNECT_SECONDS, application_name="kasbah")


def lock_number(*words: str) -> int:
    """The advisory lock that stands for these words: a signed 64-bit number."""
    digest = hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


LOCK_WAIT = sql.SQL("SET lock_timeout = {}").format(sql.Literal(_LOCK_WAIT))
"""A lock is waited for, since the backend of a killed process may outlive it by a moment, but not for ever."""


SIDE_BY_SIDE = sql.SQL("SET LOCAL enable_hashjoin = off")
"""For joins of staged rows with their heads: see `merge`."""


def hold(connection: Connection, *words: str) -> None:
    """Hold the lock of these words to the end of the transaction. ConflictError (through `transaction`) after 10 s."""
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_WAIT,))
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number(*words),))


def one(connection: Connection, query: sql.SQL | sql.Composed, values: tuple[object, ...] = ()) -> Row:
    """The row of a query that always gives one."""
    row: Row | None = connection.execute(query, values or None).fetchone()
    if row is None:
        raise StoreRefusedError("the warehouse gave no row where there is always one (SQLSTATE 02000)", "02000")
    return row
