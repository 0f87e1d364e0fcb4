"""Moving a run's winners into the published table: one transaction, or nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from governance.adapters.warehouse import ledgers
from governance.adapters.warehouse.merge import Verdict, count_winners, same_key
from governance.adapters.warehouse.session import SIDE_BY_SIDE, Connection, lock_number, one
from governance.adapters.warehouse.shape import ROW, Shape, listed
from governance.adapters.warehouse.staging import Stage
from governance.errors import ConflictError
from governance.flows.stores import LakeFile, Merged, Publication


def publish(
    connection: Connection,
    stage: Stage,
    shape: Shape,
    wanted: Publication,
    files: Callable[[], tuple[LakeFile, ...]] | None = None,
) -> Publication:
    """Insert new rows, update changed ones, and write the books, in the caller's transaction. `files` waits for lake
    files that are written meanwhile; they count from this transaction's commit on.

    A run that is published already gives its recorded publication back. Raises ConflictError if another run publishes
    this dataset now, or has done so since this one merged; StagingLostError if rows are missing.
    """
    _alone(connection, wanted.dataset)
    already = ledgers.recorded(connection, wanted.run)
    if already is not None:
        return already
    merged = _still_true(connection, stage, wanted)
    _durable(connection)
    if (_insert(connection, stage, shape, merged), _update(connection, stage, shape, merged)) != (
        merged.new,
        merged.changed,
    ):
        raise ConflictError(
            f"run {wanted.run}: rows of {shape.schema}.{shape.table} have come or gone since the merge; "
            "nothing was published. Merge and judge again"
        )
    written = wanted.files if files is None else files()
    done = replace(wanted, merged=merged, files=written, published_at=wanted.published_at or _now(connection))
    ledgers.record(connection, done)
    return done


def _alone(connection: Connection, dataset: str) -> None:
    """Hold the dataset's publication lock to the end of the transaction, or refuse at once."""
    query = sql.SQL("SELECT pg_try_advisory_xact_lock(%s)")
    if not one(connection, query, (lock_number("kasbah.publish", dataset),))[0]:
        raise ConflictError(f"another run publishes {dataset} now: try again when it is done")


def _still_true(connection: Connection, stage: Stage, wanted: Publication) -> Merged:
    """The noted merge, if it is what the caller publishes and nobody has published since."""
    noted = ledgers.noted_merge(connection, stage.run, stage.dataset)
    if noted is None:
        raise ConflictError(f"run {wanted.run} has nothing merged for {wanted.dataset}: merge first")
    base, merged = noted
    if merged != wanted.merged or base != ledgers.base_of(connection, wanted.dataset):
        raise ConflictError(
            f"run {wanted.run}: {wanted.dataset} was published or merged anew by somebody else since this run merged; "
            "nothing was published. Merge and judge again"
        )
    if count_winners(connection, stage) != (merged.new, merged.changed):
        raise stage.lost()
    return merged


def _durable(connection: Connection) -> None:
    """A publication waits for the disk, whatever the server's default is."""
    connection.execute(
        """SELECT set_config('synchronous_commit', 'on', true)
           WHERE current_setting('synchronous_commit') IN ('off', 'local')"""
    )


def _insert(connection: Connection, stage: Stage, shape: Shape, merged: Merged) -> int:
    """Insert the new rows. Keys can't collide: the merge was judged against this very version of the table, and whoever
    writes it otherwise gets the transaction refused, which is cheaper than ON CONFLICT a row."""
    if not merged.new:
        return 0
    key = _without_index(connection, shape)
    connection.execute(SIDE_BY_SIDE)
    insert = sql.SQL("INSERT INTO {} ({}) {}").format(
        shape.target, listed(shape.names), _staged(stage, shape, Verdict.NEW)
    )
    count = connection.execute(insert).rowcount
    if key is not None:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})").format(
                shape.target, sql.Identifier(key), listed(shape.key)
            )
        )
    return count


def _without_index(connection: Connection, shape: Shape) -> str | None:
    """In an empty table, drop the key's index and return its constraint's name: building it once afterwards takes half
    the time of growing it. It needs the table for itself; nobody can be reading rows, but where somebody holds it, or
    it isn't ours to alter, the index stays."""
    if one(connection, sql.SQL("SELECT EXISTS (SELECT FROM {})").format(shape.target))[0]:
        return None
    try:
        with connection.transaction():
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT").format(shape.target))
            query = sql.SQL("SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'p'")
            name = str(one(connection, query, (shape.target.as_string(),))[0])
            connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(shape.target, sql.Identifier(name)))
    except (
        psycopg.errors.LockNotAvailable,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.DependentObjectsStillExist,
    ):
        return None
    return name


def _staged(stage: Stage, shape: Shape, verdict: Verdict) -> sql.Composable:
    """The staged rows whose heads have this verdict, whole."""
    return sql.SQL(
        "SELECT {} FROM {} AS staged JOIN {} AS head ON head.{row} = staged.{row} WHERE head.verdict = {}"
    ).format(listed(shape.names, "staged"), stage.rows, stage.heads, sql.Literal(int(verdict)), row=sql.Identifier(ROW))


def _update(connection: Connection, stage: Stage, shape: Shape, merged: Merged) -> int:
    """Overwrite the changed rows."""
    if not merged.changed:
        return 0
    settable = tuple(name for name in shape.names if name not in shape.key)
    connection.execute("SET LOCAL enable_hashjoin = on")
    update = sql.SQL("UPDATE {} AS stored SET ({}) = ROW ({}) FROM ({}) AS incoming WHERE {}").format(
        shape.target,
        listed(settable),
        listed(settable, "incoming"),
        _staged(stage, shape, Verdict.CHANGED),
        same_key(shape, "incoming", "stored"),
    )
    return connection.execute(update).rowcount


def _now(connection: Connection) -> datetime:
    moment: datetime = one(connection, sql.SQL("SELECT transaction_timestamp()"))[0]
    return moment.astimezone(UTC)
