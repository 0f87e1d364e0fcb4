"""One process at a time works on a dataset: a session's advisory lock, which ends with the process that took it."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from governance.errors import ConflictError, StoreUnavailableError

_TAKE = sa.text("SELECT pg_advisory_lock(hashtextextended(:name, 0))")
_LEAVE = sa.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")
_SET = sa.text("SELECT set_config(:setting, :value, false)")
_SESSION = (
    # The server needs a moment to notice that a killed process is gone; who resumes its run shouldn't fail for that.
    {"setting": "lock_timeout", "value": "2s"},
    # A machine that is gone lets go within a minute. On a socket of the same machine these mean nothing.
    {"setting": "tcp_keepalives_idle", "value": "20"},
    {"setting": "tcp_keepalives_interval", "value": "10"},
    {"setting": "tcp_keepalives_count", "value": "3"},
)
_LOCK_TIMEOUT = "55P03"


@contextmanager
def lock_dataset(engine: sa.Engine, dataset: str) -> Iterator[None]:
    """Hold the dataset's lock while the context lasts, on a connection of its own.

    Raises ConflictError if another session still holds it after two seconds, StoreUnavailableError. A connection that
    breaks meanwhile lets go unnoticed: who must not go on then needs a fence besides.
    """
    name = {"name": f"kasbah.run:{dataset}"}
    try:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except sa.exc.DBAPIError:
        raise StoreUnavailableError("the control database can't be reached") from None
    # Out of the pool, so that closing ends the session, whatever state it is in.
    connection.detach()
    try:
        _take(connection, name, dataset)
        yield
    finally:
        _leave(connection, name)


def _take(connection: sa.Connection, name: dict[str, str], dataset: str) -> None:
    try:
        for setting in _SESSION:
            connection.execute(_SET, setting)
        connection.execute(_TAKE, name)
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_TIMEOUT:
            raise ConflictError(f"another process is at work on {dataset}") from None
        raise StoreUnavailableError("the control database can't be reached") from None


def _leave(connection: sa.Connection, name: dict[str, str]) -> None:
    """Let go at once where the session is still there; its end would, a moment later."""
    try:
        connection.execute(_LEAVE, name)
        connection.close()
    except sa.exc.DBAPIError:
        connection.invalidate()
