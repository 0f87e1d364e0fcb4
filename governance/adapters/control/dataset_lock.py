"""One process at a time works on a dataset: a session's advisory lock, which ends with the process that took it."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from governance.errors import ConflictError, StoreUnavailableError

_TAKE = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_LEAVE = sa.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")
_NOTICE_A_LOST_CLIENT = sa.text(
    "SELECT set_config('tcp_keepalives_idle', '20', false), set_config('tcp_keepalives_interval', '10', false), "
    "set_config('tcp_keepalives_count', '3', false)"
)
"""A client whose machine is gone lets go within a minute. On a socket of the same machine this means nothing."""


@contextmanager
def lock_dataset(engine: sa.Engine, dataset: str) -> Iterator[None]:
    """Hold the dataset's lock while the context lasts, on a connection of its own.

    Raises ConflictError if another session holds it, StoreUnavailableError. A connection that breaks meanwhile lets go
    unnoticed: who must not go on then needs a fence besides.
    """
    name = {"name": f"kasbah.run:{dataset}"}
    try:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except sa.exc.DBAPIError:
        raise StoreUnavailableError("the control database can't be reached") from None
    # Out of the pool, so that closing ends the session, whatever state it is in.
    connection.detach()
    try:
        if not _take(connection, name):
            raise ConflictError(f"another process is at work on {dataset}")
        yield
    finally:
        _leave(connection, name)


def _take(connection: sa.Connection, name: dict[str, str]) -> bool:
    try:
        connection.execute(_NOTICE_A_LOST_CLIENT)
        return bool(connection.scalar(_TAKE, name))
    except sa.exc.DBAPIError:
        raise StoreUnavailableError("the control database can't be reached") from None


def _leave(connection: sa.Connection, name: dict[str, str]) -> None:
    """Let go at once, where the session is still there; closing it would, a moment later."""
    try:
        connection.execute(_LEAVE, name)
        connection.close()
    except sa.exc.DBAPIError:
        connection.invalidate()
