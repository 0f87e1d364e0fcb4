"""Quarantine in PostgreSQL: one row a place, sealed before it gets here."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from governance.adapters.control.bulk import copy_in, writing
from governance.adapters.control.database import metadata
from governance.adapters.control.day_keys import day_keys
from governance.enforcement.outcomes import QUARANTINED
from governance.quarantine.retention import RetentionDays, default_retention, row_expiry
from governance.quarantine.store import (
    DayKeyDestroyedError,
    HeldCount,
    HeldRow,
    NotHeldError,
    Place,
    PlaceTwiceError,
    Purged,
    Selection,
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("field", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("contract_version", sa.Text, nullable=False),
    sa.Column("entity", sa.Text),
    sa.Column("pseudonym", sa.Text),
    sa.Column("day", sa.Date),
    sa.Column("length", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("content", sa.LargeBinary),
    sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("quarantine_content", "dataset", "source", "content", postgresql_where=sa.text("content IS NOT NULL")),
)

incoming = sa.Table(
    "incoming_quarantine",
    sa.MetaData(),
    sa.Column("source", sa.Text),
    sa.Column("part", sa.Text),
    sa.Column("position", sa.BigInteger),
    sa.Column("reason", sa.Text),
    sa.Column("field", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("entity", sa.Text),
    sa.Column("pseudonym", sa.Text),
    sa.Column("day", sa.Date),
    sa.Column("length", sa.BigInteger),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("content", sa.LargeBinary),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""The rows of the `put` that is under way."""

_KEY = (quarantine.c.dataset, quarantine.c.source, quarantine.c.part, quarantine.c.position)
_WITHOUT_BODY = [column for column in quarantine.c if column.name not in ("sealed", "content")]
_PAGE_ROWS = 2_000
_PAGE_BYTES = 32 << 20
_ALL = Selection()


class PostgresQuarantine:
    """`QuarantineStore` on the control database. `retention` says how many days a dataset's rows are kept."""

    def __init__(self, engine: sa.Engine, retention: RetentionDays = default_retention) -> None:
        self._engine = engine
        self._retention = retention

    def put(
        self, run: str, dataset: str, contract_version: str, rows: pa.RecordBatch, now: datetime, *, renew: bool = True
    ) -> int:
        """See `QuarantineStore.put`."""
        with writing(self._engine) as connection:
            return self.put_within(connection, run, dataset, contract_version, rows, now, renew=renew)

    def put_within(
        self,
        connection: sa.Connection,
        run: str,
        dataset: str,
        contract_version: str,
        rows: pa.RecordBatch,
        now: datetime,
        *,
        renew: bool = True,
    ) -> int:
        """`put` in a transaction that is under way, once; leaves the rows in `incoming` until it ends."""
        check_places(rows)
        copy_in(connection, incoming, rows)
        if not rows.num_rows:
            return 0
        if rows.column("content").null_count < rows.num_rows:
            connection.execute(_read_again(run, dataset))
        expiry = row_expiry(now, self._retention(dataset))
        if rows.column("day").null_count < rows.num_rows:
            _keep_day_keys(connection, expiry)
        names = [column.name for column in incoming.c]
        given = sa.select(
            sa.literal(dataset),
            *incoming.c,
            sa.literal(run),
            sa.literal(contract_version),
            sa.literal(now, sa.DateTime(timezone=True)),
            sa.literal(expiry, sa.DateTime(timezone=True)),
        )
        upsert = insert(quarantine).from_select(
            ["dataset", *names, "run", "contract_version", "held_at", "expires_at"], given
        )
        kept = {"dataset", "source", "part", "position"} | (set() if renew else {"held_at", "expires_at"})
        replaced = {c.name: upsert.excluded[c.name] for c in quarantine.c if c.name not in kept}
        connection.execute(upsert.on_conflict_do_update(index_elements=list(_KEY), set_=replaced))
        return int(rows.num_rows)

    def resolve(self, dataset: str, source: str, part: str, positions: pa.Array) -> int:
        """See `QuarantineStore.resolve`."""
        places = sa.func.unnest(sa.bindparam("places", positions.to_pylist(), sa.ARRAY(sa.BigInteger)))
        there = sa.select(places.column_valued("place"))
        statement = sa.delete(quarantine).where(
            quarantine.c.dataset == dataset,
            quarantine.c.source == source,
            quarantine.c.part == part,
            quarantine.c.position.in_(there),
        )
        with writing(self._engine) as connection:
            return connection.execute(statement).rowcount

    def counts(self, selection: Selection = _ALL) -> tuple[HeldCount, ...]:
        """See `QuarantineStore.counts`."""
        groups = (quarantine.c.dataset, quarantine.c.reason, quarantine.c.field, quarantine.c.detail)
        number = sa.func.count()
        statement = (
            sa.select(*groups, number, sa.func.min(quarantine.c.held_at), sa.func.min(quarantine.c.expires_at))
            .where(*_chosen(selection))
            .group_by(*groups)
            .order_by(number.desc(), *groups)
        )
        with writing(self._engine) as connection:
            return tuple(HeldCount(*row) for row in connection.execute(statement))

    def rows(self, selection: Selection = _ALL) -> Iterator[HeldRow]:
        """See `QuarantineStore.rows`."""
        after: tuple[object, ...] | None = None
        while True:
            statement = sa.select(*_WITHOUT_BODY).where(*_chosen(selection, after)).order_by(*_KEY).limit(_PAGE_ROWS)
            with writing(self._engine) as connection:
                page = [_held(row) for row in connection.execute(statement)]
            if not page:
                return
            yield from page
            after = _key_of(page[-1])

    def sealed_rows(self, dataset: str, selection: Selection = _ALL) -> Iterator[pa.RecordBatch]:
        """See `QuarantineStore.sealed_rows`."""
        chosen = replace(selection, dataset=dataset)
        after: tuple[object, ...] | None = None
        while True:
            with writing(self._engine) as connection:
                page = [_held(row) for row in connection.execute(_page(chosen, after))]
            if not page:
                return
            yield from _batches(page)
            after = _key_of(page[-1])

    def get(self, dataset: str, place: Place) -> HeldRow:
        """See `QuarantineStore.get`."""
        statement = sa.select(quarantine).where(
            quarantine.c.dataset == dataset,
            quarantine.c.source == place.source,
            quarantine.c.part == place.part,
            quarantine.c.position == place.position,
        )
        with writing(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise NotHeldError(
                f"no row of {dataset} is held in quarantine at that place: `kasbah quarantine list --rows` shows them"
            )
        return _held(row)

    def purgeable(self, selection: Selection) -> Purged:
        """See `QuarantineStore.purgeable`."""
        statement = sa.select(sa.func.count(), sa.func.count().filter(_unopenable())).where(*_chosen(selection))
        with writing(self._engine) as connection:
            return Purged(*connection.execute(statement.select_from(quarantine)).one(), 0)

    def purge(self, selection: Selection) -> Purged:
        """See `QuarantineStore.purge`."""
        gone = sa.delete(quarantine).where(*_chosen(selection)).returning(_unopenable().label("lost")).cte("gone")
        statement = sa.select(sa.func.count(), sa.func.count().filter(gone.c.lost)).select_from(gone)
        with writing(self._engine) as connection:
            return Purged(*connection.execute(statement).one(), 0)


def check_places(*rows: pa.RecordBatch) -> None:
    """Raise PlaceTwiceError where two of all these rows have one source, part and position."""
    if sum(one.num_rows for one in rows) < 2:
        return
    places = pa.Table.from_batches([one.select(["source", "part", "position"]) for one in rows])
    if places.group_by(places.column_names).aggregate([]).num_rows != places.num_rows:
        raise PlaceTwiceError("two rows of a batch stand at one position of their source: nothing was stored")


def _keep_day_keys(connection: sa.Connection, expiry: datetime) -> None:
    """Let the incoming rows' day keys live as long as the rows do, and hold them until the transaction ends.

    A key's expiry is a midnight, so that the batches of one day don't each write it.
    """
    days = sa.select(incoming.c.day).where(incoming.c.day.is_not(None)).distinct()
    until = datetime.combine(expiry.date() + timedelta(days=1), time(), expiry.tzinfo)
    needed = day_keys.c.day.in_(days)
    connection.execute(
        sa.update(day_keys).where(needed, day_keys.c.expires_at < until, _alive()).values(expires_at=until)
    )
    alive = sa.select(day_keys.c.day).where(needed, _alive()).with_for_update(read=True)
    lost: set[date] = set(connection.scalars(days)) - set(connection.scalars(alive))
    if lost:
        raise DayKeyDestroyedError(
            f"the quarantine key of {', '.join(str(day) for day in sorted(lost))} isn't there, so rows sealed under it "
            "could never be opened: nothing was stored. Enforce them again"
        )


def _alive() -> sa.ColumnElement[bool]:
    return day_keys.c.sealed.is_not(None)


def _unopenable() -> sa.ColumnElement[bool]:
    """The row was sealed under a day's key that is gone."""
    key = sa.select(day_keys.c.day).where(day_keys.c.day == quarantine.c.day, _alive()).correlate(quarantine)
    return quarantine.c.day.is_not(None) & ~sa.exists(key)


def _read_again(run: str, dataset: str) -> sa.Delete:
    """Rows of earlier runs that come again at another place: the new copy stands for them."""
    return sa.delete(quarantine).where(
        quarantine.c.dataset == dataset,
        quarantine.c.source == incoming.c.source,
        quarantine.c.content == incoming.c.content,
        quarantine.c.run != run,
        sa.tuple_(quarantine.c.part, quarantine.c.position) != sa.tuple_(incoming.c.part, incoming.c.position),
    )


def _chosen(selection: Selection, after: tuple[object, ...] | None = None) -> list[sa.ColumnElement[bool]]:
    equal = {
        quarantine.c.dataset: selection.dataset,
        quarantine.c.reason: selection.reason,
        quarantine.c.field: selection.field,
        quarantine.c.source: selection.source,
    }
    terms: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if selection.expired_by is not None:
        terms.append(quarantine.c.expires_at <= selection.expired_by)
    if after is not None:
        terms.append(sa.tuple_(*_KEY) > sa.tuple_(*after))
    return terms


def _page(selection: Selection, after: tuple[object, ...] | None) -> sa.Select[tuple[object, ...]]:
    """The next rows with their bodies: as many as fit the page's bytes, and at least one."""
    heads = sa.select(*_KEY, sa.func.coalesce(sa.func.octet_length(quarantine.c.sealed), 0).label("size"))
    few = heads.where(*_chosen(selection, after)).order_by(*_KEY).limit(_PAGE_ROWS).subquery()
    order = (few.c.dataset, few.c.source, few.c.part, few.c.position)
    total = sa.func.sum(few.c.size).over(order_by=order) - few.c.size
    fitting = sa.select(*order, total.label("before")).subquery()
    same = [column == fitting.c[column.name] for column in _KEY]
    return sa.select(quarantine).join(fitting, sa.and_(*same)).where(fitting.c.before < _PAGE_BYTES).order_by(*_KEY)


def _held(row: sa.Row[tuple[object, ...]]) -> HeldRow:
    values = dict(row._mapping)
    values.pop("content", None)
    place = Place(values.pop("source"), values.pop("part"), values.pop("position"))
    return HeldRow(place=place, **values)


def _key_of(row: HeldRow) -> tuple[object, ...]:
    return (row.dataset, row.place.source, row.place.part, row.place.position)


def _batches(rows: list[HeldRow]) -> Iterator[pa.RecordBatch]:
    """One batch for each source and part, in order."""
    start = 0
    for end in range(1, len(rows) + 1):
        here = rows[start].place
        if end == len(rows) or (rows[end].place.source, rows[end].place.part) != (here.source, here.part):
            yield pa.RecordBatch.from_pylist([_record(row) for row in rows[start:end]], schema=QUARANTINED)
            start = end


def _record(row: HeldRow) -> dict[str, object]:
    place = {"source": row.place.source, "part": row.place.part, "position": row.place.position}
    names = ("reason", "field", "detail", "entity", "pseudonym", "day", "length", "sealed")
    return place | {name: getattr(row, name) for name in names}
