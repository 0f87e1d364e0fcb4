"""Deciding which staged rows win, without moving any.

Every key gets one head: its newest staged row. A head is then judged against the published row of its key. Only narrow
rows (key, row number, verdict) are sorted, joined and kept; wide ones are read once, when they are published.

Each staged row is counted once, in this order: shredded; superseded, if another version of its key is newer, staged or
published; duplicate, if it repeats its head's version; then the head's verdict: unchanged, changed or new.
"""

from enum import IntEnum

from psycopg import sql

from governance.adapters.warehouse import ledgers
from governance.adapters.warehouse.session import Connection, hold, one
from governance.adapters.warehouse.shape import ROW, Shape, listed
from governance.adapters.warehouse.staging import Stage
from governance.enforcement.plan import PART, POSITION, SOURCE, EnforcementPlan
from governance.flows.stores import Merged


class Verdict(IntEnum):
    """What a head is beside the published row of its key."""

    NEW = 1
    CHANGED = 2
    UNCHANGED = 3
    SUPERSEDED = 4


WINS = sql.SQL("verdict <= {}").format(sql.Literal(int(Verdict.CHANGED)))
"""The heads that will be published."""


def merge(
    connection: Connection, stage: Stage, shape: Shape, plan: EnforcementPlan, shredded: tuple[str, ...]
) -> Merged:
    """Judge the staged rows in the caller's transaction, note the outcome in the books and return it.

    What was decided before stands if neither the staged rows nor the published table have changed since, and nobody
    more is shredded. Raises StagingLostError.
    """
    hold(connection, *stage.lock)
    base = ledgers.base_of(connection, stage.dataset)
    before = ledgers.noted_merge(connection, stage.run, stage.dataset)
    if before and before[0] == base and not shredded and _stands(connection, stage, before[1]):
        return before[1]
    stage.make(connection, shape)
    staged = stage.count(connection)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(stage.gate, stage.heads))
    _index(connection, stage.rows, stage.name)
    connection.execute(sql.SQL("ANALYZE {} ({})").format(stage.rows, listed((*_narrow(shape), ROW))))
    connection.execute(
        sql.SQL("CREATE UNLOGGED TABLE {} AS {}").format(stage.heads, _judged(stage, shape, plan, shredded))
    )
    _index(connection, stage.heads, stage.heads_name)
    connection.execute(sql.SQL("ANALYZE {}").format(stage.heads))
    merged = _counted(connection, stage, shape, plan, staged, shredded)
    ledgers.note_merge(connection, stage.run, stage.dataset, base, merged)
    return merged


def _index(connection: Connection, relation: sql.Identifier, name: str) -> None:
    """Both relations lie in the order of their row numbers, so with these indexes they are joined by reading each once,
    side by side: as fast as no join, and in no memory. A hash join would spill the wide rows to disk."""
    connection.execute(
        sql.SQL("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({})").format(
            sql.Identifier(f"{name}_row"), relation, sql.Identifier(ROW)
        )
    )


def _stands(connection: Connection, stage: Stage, merged: Merged) -> bool:
    """Whether the heads of an earlier merge are still all there."""
    if not one(connection, sql.SQL("SELECT to_regclass(%s) IS NOT NULL"), (stage.heads.as_string(),))[0]:
        return False
    stage.count(connection)
    return count_winners(connection, stage) == (merged.new, merged.changed)


def count_winners(connection: Connection, stage: Stage) -> tuple[int, int]:
    """(new, changed) heads, counted."""
    query = sql.SQL("SELECT count(*) FILTER (WHERE verdict = {}), count(*) FILTER (WHERE verdict = {}) FROM {}").format(
        sql.Literal(int(Verdict.NEW)), sql.Literal(int(Verdict.CHANGED)), stage.heads
    )
    new, changed = one(connection, query)
    return int(new), int(changed)


def _narrow(shape: Shape) -> tuple[str, ...]:
    return (*shape.key, *((shape.version,) if shape.version and shape.version not in shape.key else ()))


def _judged(stage: Stage, shape: Shape, plan: EnforcementPlan, shredded: tuple[str, ...]) -> sql.Composable:
    """One row a key: key, row number, verdict, and how many staged rows have the head's version (itself included)."""
    return sql.SQL(
        """SELECT {key}, head.{row}, ({verdict})::smallint AS verdict, head.copies
           FROM ({heads}) AS head LEFT JOIN {target} AS stored ON {same} ORDER BY head.{row}"""
    ).format(
        key=listed(shape.key, "head"),
        row=sql.Identifier(ROW),
        verdict=_verdict(shape),
        heads=_heads(stage, shape, plan, shredded),
        target=shape.target,
        same=same_key(shape, "head", "stored"),
    )


def _verdict(shape: Shape) -> sql.Composable:
    absent = sql.SQL("stored.{} IS NULL").format(sql.Identifier(shape.key[0]))
    number = {v.name.lower(): sql.Literal(int(v)) for v in Verdict}
    if shape.version is None:
        return sql.SQL("CASE WHEN {absent} THEN {new} ELSE {unchanged} END").format(absent=absent, **number)
    return sql.SQL(
        """CASE WHEN {absent} THEN {new} WHEN head.{v} IS NOT DISTINCT FROM stored.{v} THEN {unchanged}
                WHEN stored.{v} IS NULL OR head.{v} > stored.{v} THEN {changed} ELSE {superseded} END"""
    ).format(absent=absent, v=sql.Identifier(shape.version), **number)


def _heads(stage: Stage, shape: Shape, plan: EnforcementPlan, shredded: tuple[str, ...]) -> sql.Composable:
    """The newest staged row of each key, narrow. Among equal versions the order of the contract's sources decides, then
    part and position, so that the same rows always give the same head.

    DISTINCT ON, since the server guesses its size well: of `row_number() = 1` it expects a 200th, and then looks up the
    published rows one by one.
    """
    newest: sql.SQL | sql.Composed = sql.SQL("")
    if shape.version:
        newest = sql.SQL("{} DESC NULLS LAST").format(sql.Identifier(shape.version))
    ties = sql.SQL('array_position({}::text[], {}), {} COLLATE "C", {}, {}').format(
        sql.Literal([s.name for s in plan.sources]), *map(sql.Identifier, (SOURCE, PART, POSITION, ROW))
    )
    return sql.SQL(
        """SELECT DISTINCT ON ({key}) {narrow}, {row}, count(*) OVER (PARTITION BY {key} {by_age}) AS copies
           FROM {rows} AS staged WHERE {alive} ORDER BY {key}, {order}"""
    ).format(
        narrow=listed(_narrow(shape)),
        row=sql.Identifier(ROW),
        key=listed(shape.key),
        by_age=sql.SQL("ORDER BY {}").format(newest) if shape.version else newest,
        order=sql.SQL("{}, {}").format(newest, ties) if shape.version else ties,
        rows=stage.rows,
        alive=_alive(plan, shredded),
    )


def _alive(plan: EnforcementPlan, shredded: tuple[str, ...]) -> sql.Composable:
    """The condition that no subject of the row is shredded; a row without a subject has none to lose."""
    if not shredded or not plan.subjects:
        return sql.SQL("TRUE")
    return sql.SQL(" AND ").join(
        sql.SQL(
            "NOT EXISTS (SELECT FROM unnest({}::text[]) AS gone (pseudonym) WHERE gone.pseudonym = staged.{})"
        ).format(sql.Literal(list(shredded)), sql.Identifier(s.pseudonym_column))
        for s in plan.subjects
    )


def _counted(
    connection: Connection,
    stage: Stage,
    shape: Shape,
    plan: EnforcementPlan,
    staged: int,
    shredded: tuple[str, ...],
) -> Merged:
    dropped = 0
    if shredded and plan.subjects:
        gone = sql.SQL("SELECT count(*) FROM {} AS staged WHERE NOT ({})").format(stage.rows, _alive(plan, shredded))
        dropped = int(one(connection, gone)[0])
    query = sql.SQL("SELECT verdict, count(*), sum(copies) FROM {} GROUP BY verdict").format(stage.heads)
    tally = {Verdict(v): (int(heads), int(copies)) for v, heads, copies in connection.execute(query).fetchall()}
    heads = {v: tally.get(v, (0, 0))[0] for v in Verdict}
    current = sum(copies for v, (_, copies) in tally.items() if v is not Verdict.SUPERSEDED)
    winners_and_same = sum(count for v, count in heads.items() if v is not Verdict.SUPERSEDED)
    return Merged(
        staged=staged,
        new=heads[Verdict.NEW],
        changed=heads[Verdict.CHANGED],
        unchanged=heads[Verdict.UNCHANGED],
        superseded=staged - dropped - current,
        duplicates=current - winners_and_same,
        shredded=dropped,
    )


def same_key(shape: Shape, left: str, right: str) -> sql.Composable:
    """The condition that two relations' rows have one key."""
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, k), sql.Identifier(right, k)) for k in shape.key
    )
