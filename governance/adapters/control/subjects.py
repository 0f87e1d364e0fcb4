"""Subjects, their aliases and possible links in PostgreSQL.

An alias leads to an internal id, an internal id to a sealed value; what is in it, key and pseudonym, opens only under
the epoch's key. Nothing here tells which pseudonym an alias belongs to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from governance.adapters.control.bulk import writing
from governance.adapters.control.database import metadata
from governance.adapters.control.packed import PackedRows, flag, number, packed, unpacked
from governance.protection.subject_store import (
    MOST_SUBJECTS,
    Bytes2D,
    Created,
    Found,
    Linked,
    MovedError,
    NewSubjects,
    Rewrite,
    SealedRows,
    no_rows,
)

ID, SEALED, DIGEST = 16, 76, 32

subjects = sa.Table(
    "subject",
    metadata,
    sa.Column("id", sa.LargeBinary, primary_key=True),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("lookup", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)
sa.Index("subject_lookup", subjects.c.lookup, unique=True)
sa.Index("subject_epoch", subjects.c.epoch)

aliases = sa.Table(
    "alias",
    metadata,
    # Personalised by entity, so that one digest never stands for two entities' values.
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    # Refers to subject.id; triggers see to it, since a foreign key asks row by row (migration 0007).
    sa.Column("subject", sa.LargeBinary, nullable=False),
    sa.Column("links", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("shared", sa.Boolean, nullable=False, server_default=sa.false()),
)
sa.Index("alias_subject", aliases.c.subject)

possible_links = sa.Table(
    "possible_link",
    metadata,
    sa.Column("digest", sa.LargeBinary, sa.ForeignKey(aliases.c.digest, ondelete="CASCADE"), primary_key=True),
    sa.Column("subject", sa.LargeBinary, sa.ForeignKey(subjects.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)
sa.Index("possible_link_subject", possible_links.c.subject)

tombstones = sa.Table(
    "tombstone",
    metadata,
    sa.Column("entity", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("suppress", sa.Boolean, nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)
sa.Index("tombstone_expiry", tombstones.c.expires_at)

subject_change = sa.Table(
    "subject_change",
    metadata,
    sa.Column("single", sa.Boolean, sa.CheckConstraint("single", name="subject_change_one_row"), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)
"""One row. Triggers move the number, whoever changes something."""

_ROOM = sa.text("SET LOCAL work_mem = '64MB'")
"""For the batch's hash tables, which would else be split over files."""
_SEALED_ROW = (("id", (np.uint8, ID)), ("epoch", ">i4"), ("sealed", (np.uint8, SEALED)))


class PostgresSubjects:
    """`SubjectStore` on the control database.

    Writers insert in the order of the digests, each transaction in one go, so that two of them never wait for each
    other; a conflict waits for the other's end and then does nothing.
    """

    name = "subjects"

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def find(self, entity: str, digests: Bytes2D, deciding: int, now: datetime) -> Found:
        """See `SubjectStore.find`."""
        # Sorted, so that index look-ups walk along the index instead of all over it.
        order = np.concatenate([_order(digests[:deciding]), deciding + _order(digests[deciding:])])
        given = PackedRows(digest=digests[order])
        with writing(self._engine) as connection:
            connection.execute(_ROOM)
            asked = (_known(given, deciding), _gone(given, entity, now), sa.select(subject_change.c.number))
            known, gone, change = connection.execute(sa.select(*(one.scalar_subquery() for one in asked))).one()
        rows = unpacked(known, ("row", ">i4"), ("shared", "?"), *_SEALED_ROW)
        place = order[rows["row"]]
        found, count = np.zeros(len(digests), bool), len(digests)
        shared, suppressed = found.copy(), found.copy()
        ids = np.zeros((count, ID), np.uint8)
        found[place] = True
        shared[place] = rows["shared"]
        ids[place] = rows["id"]
        suppressed[order[unpacked(gone, ("row", ">i4"))["row"]]] = True
        whole = rows["row"] < deciding
        return Found(found, shared, suppressed, ids, _sealed(rows[whole]), place[whole], change)

    def create(self, new: NewSubjects, digests: Bytes2D, subjects: Bytes2D) -> Created:
        """See `SubjectStore.create`."""
        given = PackedRows(id=new.rows.ids, sealed=new.rows.sealed, lookup=new.lookups, digest=new.digests)
        with _moving(self._engine) as connection:
            connection.execute(_insert_subjects(given, new))
            taken = _insert_aliases(new.entity, np.concatenate([new.digests, digests]), _both(new.rows.ids, subjects))
            made = connection.execute(taken).rowcount
            complete = made == len(new.digests) + len(digests)
            lost = 0 if complete else connection.execute(_orphans(given)).rowcount
        return Created(len(new.digests) - lost, complete)

    def attach(self, entity: str, digests: Bytes2D, subjects: Bytes2D) -> int:
        """See `SubjectStore.attach`."""
        with _moving(self._engine) as connection:
            return connection.execute(_insert_aliases(entity, digests, subjects)).rowcount

    def link(self, digests: Bytes2D, subjects: Bytes2D) -> Linked:
        """See `SubjectStore.link`."""
        given = PackedRows(id=subjects, digest=digests)
        mine = given.table.join(aliases, aliases.c.digest == given.column("digest"))
        locked = sa.select(aliases.c.digest).select_from(mine).order_by(aliases.c.digest)
        with _moving(self._engine) as connection:
            connection.execute(locked.with_for_update(key_share=True, of=aliases))
            new = connection.execute(_insert_links(given, mine)).rowcount
            if new:
                connection.execute(_count_links(given))
            shared = connection.scalar(sa.select(packed(number(given.row))).select_from(mine).where(aliases.c.shared))
        mask = np.zeros(len(digests), bool)
        mask[unpacked(shared, ("row", ">i4"))["row"]] = True
        return Linked(new, mask)

    def sealed(self, ids: Bytes2D) -> SealedRows:
        """See `SubjectStore.sealed`."""
        if not len(ids):
            return no_rows()
        given = PackedRows(id=ids)
        found = sa.select(packed(subjects.c.id, number(subjects.c.epoch), subjects.c.sealed)).select_from(
            given.table.join(subjects, subjects.c.id == given.column("id"))
        )
        with writing(self._engine) as connection:
            return _sealed(unpacked(connection.scalar(found), *_SEALED_ROW))

    def by_lookup(self, entity: str, lookups: Bytes2D) -> tuple[np.ndarray, SealedRows]:
        """See `SubjectStore.by_lookup`."""
        given = PackedRows(lookup=lookups)
        mine = sa.and_(subjects.c.entity == entity, subjects.c.lookup == given.column("lookup"))
        found = sa.select(packed(number(given.row), subjects.c.id, number(subjects.c.epoch), subjects.c.sealed))
        with writing(self._engine) as connection:
            value = connection.scalar(found.select_from(given.table.join(subjects, mine)))
        rows = unpacked(value, ("row", ">i4"), *_SEALED_ROW)
        return rows["row"].astype(np.int32), _sealed(rows)

    def alive(self, lookups: Bytes2D) -> np.ndarray:
        """See `SubjectStore.alive`."""
        mask = np.zeros(len(lookups), bool)
        if len(lookups):
            given = PackedRows(lookup=lookups)
            mine = given.table.join(subjects, subjects.c.lookup == given.column("lookup"))
            with writing(self._engine) as connection:
                value = connection.scalar(sa.select(packed(number(given.row))).select_from(mine))
            mask[unpacked(value, ("row", ">i4"))["row"]] = True
        return mask

    def reseal(self, epoch: int, limit: int, rewrite: Rewrite) -> int:
        """See `SubjectStore.reseal`."""
        picked = sa.select(subjects).where(subjects.c.epoch < epoch).limit(limit).with_for_update(key_share=True)
        few = picked.cte("picked")
        groups = sa.select(few.c.entity, few.c.epoch, packed(few.c.id, few.c.sealed).label("rows"))
        done = 0
        with writing(self._engine) as connection:
            for entity, old, value in connection.execute(groups.group_by(few.c.entity, few.c.epoch)).all():
                rows = unpacked(value, _SEALED_ROW[0], _SEALED_ROW[2])
                sealed, lookups = rewrite(entity, old, rows["id"].copy(), rows["sealed"].copy())
                given = PackedRows(id=rows["id"], sealed=sealed, lookup=lookups)
                fresh = {"epoch": epoch, "sealed": given.column("sealed"), "lookup": given.column("lookup")}
                connection.execute(
                    sa.update(subjects).values(fresh).where(subjects.c.id == given.column("id"), given.row >= 0)
                )
                done += len(rows)
        return done

    def remaining(self, epoch: int) -> int:
        """How many subjects are sealed under an epoch before this one."""
        with writing(self._engine) as connection:
            return connection.scalar(sa.select(sa.func.count()).where(subjects.c.epoch < epoch)) or 0

    def counts(self) -> dict[int, dict[str, int]]:
        """How many subjects there are, by epoch and entity."""
        grouped = sa.select(subjects.c.epoch, subjects.c.entity, sa.func.count()).group_by(
            subjects.c.epoch, subjects.c.entity
        )
        counts: dict[int, dict[str, int]] = {}
        with writing(self._engine) as connection:
            for epoch, entity, count in connection.execute(grouped.order_by(subjects.c.epoch, subjects.c.entity)):
                counts.setdefault(epoch, {})[entity] = count
        return counts


@contextmanager
def _moving(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction in which a refused row, a vanished subject or a deadlock means: another writer was faster."""
    with writing(engine) as connection:
        try:
            yield connection
        except sa.exc.IntegrityError:
            raise MovedError("another writer changed these subjects; look again") from None
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) in ("40001", "40P01"):
                raise MovedError("another writer works on these subjects; look again") from None
            raise


def _known(given: PackedRows, deciding: int) -> sa.Select[Any]:
    """Row, shared, subject, epoch and sealed value of each known alias; blank where no sealed value was asked for."""
    blank = sa.literal(bytes(SEALED), sa.LargeBinary)
    one = packed(
        number(given.row),
        flag(aliases.c.shared),
        aliases.c.subject,
        number(sa.func.coalesce(subjects.c.epoch, 0)),
        sa.func.coalesce(subjects.c.sealed, blank),
    )
    mine = aliases.c.digest == given.column("digest")
    # An id that is null isn't looked up at all.
    asked = sa.case((given.row < deciding, aliases.c.subject), else_=None)
    return sa.select(one).select_from(given.table.join(aliases, mine).outerjoin(subjects, subjects.c.id == asked))


def _gone(given: PackedRows, entity: str, now: datetime) -> sa.Select[Any]:
    mine = sa.and_(tombstones.c.entity == entity, tombstones.c.digest == given.column("digest"))
    kept = (tombstones.c.suppress, tombstones.c.expires_at > now)
    return sa.select(packed(number(given.row))).select_from(given.table.join(tombstones, mine)).where(*kept)


def _insert_subjects(given: PackedRows, new: NewSubjects) -> sa.Insert:
    names = ["id", "entity", "epoch", "sealed", "lookup"]
    epoch, sealed = sa.literal(int(new.rows.epochs[0])), given.column("sealed")
    people = sa.select(given.column("id"), sa.literal(new.entity), epoch, sealed, given.column("lookup"))
    return sa.insert(subjects).from_select(names, people.order_by(given.row))


def _insert_aliases(entity: str, digests: Bytes2D, subjects: Bytes2D) -> sa.Insert:
    """Whatever is free and not suppressed, in the order of the digests."""
    order = _order(digests)
    given = PackedRows(digest=digests[order], id=subjects[order])
    buried = sa.exists().where(
        tombstones.c.entity == entity,
        tombstones.c.digest == given.column("digest"),
        tombstones.c.suppress,
        tombstones.c.expires_at > sa.func.now(),
    )
    rows = sa.select(given.column("digest"), given.column("id")).where(~buried).order_by(given.row)
    statement = insert(aliases).from_select(["digest", "subject"], rows).on_conflict_do_nothing()
    return statement.execution_options(preserve_rowcount=True)


def _orphans(given: PackedRows) -> sa.Delete:
    """Subjects whose deciding alias went to another one; other aliases that they got go with them."""
    named = sa.exists().where(aliases.c.subject == subjects.c.id, aliases.c.digest == given.column("digest"))
    return sa.delete(subjects).where(subjects.c.id == given.column("id"), ~named)


def _insert_links(given: PackedRows, mine: sa.Join) -> sa.Insert:
    """New pairs in the order in which they were met, as many as the digest may still take."""
    subject = given.column("id")
    old = sa.exists().where(possible_links.c.digest == aliases.c.digest, possible_links.c.subject == subject)
    place = sa.func.row_number().over(partition_by=aliases.c.digest, order_by=given.row)
    met = (
        sa.select(aliases.c.digest, subject.label("id"), (place + aliases.c.links).label("place"))
        .select_from(mine)
        .where(~aliases.c.shared, aliases.c.subject != subject, ~old)
        .subquery("met")
    )
    rows = sa.select(met.c.digest, met.c.id).where(met.c.place <= MOST_SUBJECTS)
    statement = insert(possible_links).from_select(["digest", "subject"], rows).on_conflict_do_nothing()
    return statement.execution_options(preserve_rowcount=True)


def _count_links(given: PackedRows) -> sa.Update:
    """The owner and as many others as were noted: more than MOST_SUBJECTS in all make the value shared."""
    digests = sa.select(given.column("digest")).select_from(given.table)
    counts = (
        sa.select(possible_links.c.digest, sa.func.count().label("links"))
        .where(possible_links.c.digest.in_(digests))
        .group_by(possible_links.c.digest)
        .subquery("counts")
    )
    fresh = {"links": counts.c.links, "shared": counts.c.links >= MOST_SUBJECTS}
    return sa.update(aliases).values(fresh).where(aliases.c.digest == counts.c.digest)


def _both(one: Bytes2D, other: Bytes2D) -> Bytes2D:
    return np.concatenate([one, other])


def _order(digests: Bytes2D) -> np.ndarray:
    """Sorted as PostgreSQL sorts them, by the first eight bytes: of random digests hardly two agree in those."""
    return np.argsort(np.ascontiguousarray(digests[:, :8]).view(">u8").ravel(), kind="stable")


def _sealed(rows: np.ndarray) -> SealedRows:
    return SealedRows(rows["id"].copy(), rows["epoch"].astype(np.int32), rows["sealed"].copy())
