"""What a rotation needs of PostgreSQL: the bar, the proof, and the rows that are sealed again.

A CHECK constraint that is NOT VALID bars rows of an old epoch at once, and from every writer, without reading the
table; to add it, PostgreSQL waits for the writers under way. VALIDATE then reads the table and is the proof.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from psycopg import sql

from governance.adapters.control.bulk import StatementRefusedError, writing
from governance.adapters.control.database import SCHEMA
from governance.adapters.control.day_keys import context, day_keys
from governance.adapters.control.epochs import epochs, index_keys
from governance.adapters.control.message_keys import PostgresMessageKeys, message_keys
from governance.adapters.control.subjects import PostgresSubjects, subjects
from governance.errors import ConflictError, StoreUnavailableError
from governance.model.clock import Clock
from governance.protection.epochs import LONGEST_CACHE, Epochs
from governance.protection.pairs import open_bytes, seal_bytes
from governance.protection.rotation import Recorder, Rotation, StillSealedError
from governance.protection.subjects import Subjects

SEALED_TABLES = (subjects, day_keys, message_keys, index_keys)
"""Every table with a column `epoch` that names what a row is sealed under."""

_LOCK = {"name": "kasbah.rotation"}
_TAKE = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_LEAVE = sa.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")
_PATIENCE = sa.text("SET LOCAL lock_timeout = '20s'")


class PostgresBarrier:
    """`Barrier` on the control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Barrier.alone`: a session's advisory lock, which ends with the process."""
        try:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()
            free = connection.scalar(_TAKE, _LOCK)
        except sa.exc.DBAPIError:
            raise StoreUnavailableError("the control database can't be reached") from None
        try:
            if not free:
                raise ConflictError("another process is rotating the keys; wait for it")
            yield
        finally:
            try:
                connection.execute(_LEAVE, _LOCK)
                connection.close()
            except sa.exc.DBAPIError:
                connection.invalidate()

    def bar(self, epoch: int) -> None:
        """See `Barrier.bar`. Table by table, each for a moment only."""
        for table in SEALED_TABLES:
            with writing(self._engine) as connection:
                connection.execute(_PATIENCE)
                _bar(connection, table, epoch)

    def prove(self, closing: int, epoch: int, clock: Clock) -> None:
        """See `Barrier.prove`."""
        noted = sa.update(epochs).where(epochs.c.id == closing, epochs.c.proven_at.is_(None))
        with writing(self._engine) as connection:
            for table in SEALED_TABLES:
                if _name(table, epoch) not in _constraints(connection, table):
                    raise StillSealedError(f"epoch {closing}: rows under it were never barred from {table.name}")
                try:
                    _alter(connection, table, sql.SQL("VALIDATE CONSTRAINT {}").format(_identifier(table, epoch)))
                except psycopg.errors.CheckViolation:
                    raise StillSealedError(f"epoch {closing} still seals rows of {table.name}: run it again") from None
            connection.execute(noted.values(proven_at=clock()))


class ResealedSubjects:
    """Subjects' keys and pseudonyms, as rows to be sealed again."""

    name = "subjects"

    def __init__(self, subjects: Subjects, store: PostgresSubjects) -> None:
        self._subjects = subjects
        self._store = store

    def remaining(self, epoch: int) -> int:
        """See `Resealable.remaining`."""
        return self._store.remaining(epoch)

    def reseal(self, limit: int) -> int:
        """See `Resealable.reseal`."""
        return self._subjects.reseal(limit)


class ResealedDayKeys:
    """Quarantine's day keys, as rows to be sealed again."""

    name = "quarantine day keys"

    def __init__(self, engine: sa.Engine, epochs: Epochs) -> None:
        self._engine = engine
        self._epochs = epochs

    def remaining(self, epoch: int) -> int:
        """See `Resealable.remaining`."""
        with writing(self._engine) as connection:
            return connection.scalar(sa.select(sa.func.count()).where(day_keys.c.epoch < epoch)) or 0

    def reseal(self, limit: int) -> int:
        """See `Resealable.reseal`."""
        epoch, key = self._epochs.current()
        picked = sa.select(day_keys).where(day_keys.c.epoch < epoch).order_by(day_keys.c.day).limit(limit)
        with writing(self._engine) as connection:
            rows = connection.execute(picked.with_for_update()).all()
            for row in rows:
                plain = open_bytes(row.sealed, self._epochs.key(row.epoch), context(row.day, row.epoch))
                again = seal_bytes(plain, key, context(row.day, epoch))
                fresh = sa.update(day_keys).where(day_keys.c.day == row.day).values(epoch=epoch, sealed=again)
                connection.execute(fresh)
        return len(rows)


def _bar(connection: sa.Connection, table: sa.Table, epoch: int) -> None:
    """Add this epoch's constraint and drop those of earlier ones, which it implies; leave it if it is there."""
    standing = _constraints(connection, table)
    if _name(table, epoch) in standing:
        return
    check = sql.SQL("ADD CONSTRAINT {} CHECK (epoch >= {}) NOT VALID").format(
        _identifier(table, epoch), sql.Literal(epoch)
    )
    earlier = [name for name in standing if name.startswith(_prefix(table))]
    drops = [sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(name)) for name in earlier]
    try:
        _alter(connection, table, sql.SQL(", ").join([*drops, check]))
    except psycopg.errors.LockNotAvailable:
        raise ConflictError(f"a writer holds {table.name} for longer than 20 s; try again") from None


def _constraints(connection: sa.Connection, table: sa.Table) -> set[str]:
    found = sa.inspect(connection).get_check_constraints(table.name, SCHEMA)
    return {str(constraint["name"]) for constraint in found}


def _alter(connection: sa.Connection, table: sa.Table, change: sql.Composable) -> None:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise StatementRefusedError("the control database is reached by psycopg alone")
    driver.execute(sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(SCHEMA, table.name), change))


def _prefix(table: sa.Table) -> str:
    return f"{table.name}_from_epoch_"


def _name(table: sa.Table, epoch: int) -> str:
    return f"{_prefix(table)}{epoch}"


def _identifier(table: sa.Table, epoch: int) -> sql.Identifier:
    return sql.Identifier(_name(table, epoch))


def open_rotation(
    engine: sa.Engine,
    epochs: Epochs,
    subjects: Subjects,
    recorder: Recorder,
    clock: Clock,
    actor: str,
    cache_seconds: float = LONGEST_CACHE,
    sleep: Callable[[float], None] = time.sleep,
    on_step: Callable[[str], None] = lambda _step: None,
) -> Rotation:
    """A rotation over all that the control database keeps sealed under epochs.

    cache_seconds: the longest that any process keeps an epoch's key, 60 unless all are set to less.
    """
    sealed = (
        ResealedDayKeys(engine, epochs),
        PostgresMessageKeys(engine, epochs),
        ResealedSubjects(subjects, PostgresSubjects(engine)),
    )
    barrier = PostgresBarrier(engine)
    return Rotation(epochs, sealed, barrier, recorder, clock, actor, cache_seconds, sleep, on_step)
