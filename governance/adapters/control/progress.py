"""How far collectors and consumers have come, in PostgreSQL (`governance.flows.progress.ProgressStore`)."""

from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from governance.adapters.control.bulk import writing
from governance.adapters.control.database import metadata
from governance.adapters.control.quarantine import PostgresQuarantine, quarantine
from governance.enforcement.outcomes import QUARANTINED
from governance.flows.progress import Counts, Flow, MovedOnError, Place, Standing
from governance.model.clock import Clock

positions = sa.Table(
    "stream_position",
    metadata,
    sa.Column("flow", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("state", JSONB, nullable=False),
    sa.Column("counts", JSONB, nullable=False),
    sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
)


class PostgresProgress:
    """Positions on the control database. Quarantined rows go to the given store, in the same transaction."""

    def __init__(self, engine: sa.Engine, held: PostgresQuarantine, clock: Clock) -> None:
        self._engine = engine
        self._quarantine = held
        self._clock = clock

    def standing(self, place: Place) -> Standing:
        """See `ProgressStore.standing`."""
        with writing(self._engine) as connection:
            row = connection.execute(sa.select(positions).where(*_at(place))).one_or_none()
        return Standing() if row is None else _standing(row)

    def standings(self, dataset: str | None = None) -> tuple[tuple[Place, Standing], ...]:
        """See `ProgressStore.standings`."""
        chosen = [positions.c.dataset == dataset] if dataset is not None else []
        key = (positions.c.dataset, positions.c.flow, positions.c.source, positions.c.part)
        with writing(self._engine) as connection:
            rows = connection.execute(sa.select(positions).where(*chosen).order_by(*key)).all()
        return tuple((Place(Flow(row.flow), row.dataset, row.source, row.part), _standing(row)) for row in rows)

    def advance(
        self,
        place: Place,
        before: int,
        after: Standing,
        quarantined: pa.RecordBatch | None = None,
        contract_version: str = "",
    ) -> None:
        """See `ProgressStore.advance`."""
        with writing(self._engine) as connection:
            self.advance_within(connection, place, before, after, quarantined, contract_version)

    def advance_within(
        self,
        connection: sa.Connection,
        place: Place,
        before: int,
        after: Standing,
        quarantined: pa.RecordBatch | None = None,
        contract_version: str = "",
    ) -> None:
        """`advance` in a transaction that is under way."""
        row = self._locked(connection, place)
        if row.position != before:
            raise MovedOnError(
                f"{place.dataset}: {place.part} of {place.source} stands at {row.position}, not at {before}: "
                "another process has read on, and what this one just did counts for nothing"
            )
        if quarantined is not None:
            self._hold(connection, place, before, quarantined, contract_version)
        self._move(connection, place, after.position, after.state, _counts(row) + after.counts)

    def settle(
        self,
        place: Place,
        decided: pa.Array,
        counts: Counts,
        quarantined: pa.RecordBatch | None = None,
        contract_version: str = "",
    ) -> None:
        """See `ProgressStore.settle`."""
        with writing(self._engine) as connection:
            self.settle_within(connection, place, place.part, decided, counts, quarantined, contract_version)

    def settle_within(
        self,
        connection: sa.Connection,
        place: Place,
        part: str,
        decided: pa.Array,
        counts: Counts,
        quarantined: pa.RecordBatch | None = None,
        contract_version: str = "",
    ) -> None:
        """`settle` in a transaction that is under way, of rows that are held under another part than the place's."""
        row = self._locked(connection, place)
        failed = pa.RecordBatch.from_pylist([], QUARANTINED) if quarantined is None else quarantined
        self._let_go(connection, replace(place, part=part), decided, failed.column("position"))
        self._hold(connection, place, row.position, failed, contract_version, renew=False)
        self._move(connection, place, row.position, row.state, _counts(row) + counts)

    def _locked(self, connection: sa.Connection, place: Place) -> sa.Row[Any]:
        """The place's row, made if absent, held until the transaction ends."""
        fresh = asdict(place) | {"position": 0, "state": {}, "counts": {}, "moved_at": self._clock()}
        connection.execute(insert(positions).values(fresh).on_conflict_do_nothing())
        return connection.execute(sa.select(positions).where(*_at(place)).with_for_update()).one()

    def _hold(
        self,
        connection: sa.Connection,
        place: Place,
        position: int,
        rows: pa.RecordBatch,
        version: str,
        *,
        renew: bool = True,
    ) -> None:
        if rows.num_rows:
            run = f"{place.flow}@{position}"
            self._quarantine.put_within(connection, run, place.dataset, version, rows, self._clock(), renew=renew)

    def _let_go(self, connection: sa.Connection, place: Place, decided: pa.Array, failed: pa.Array) -> None:
        """Those that failed again are written over afterwards, so that they keep the expiry they had."""
        here = (
            quarantine.c.dataset == place.dataset,
            quarantine.c.source == place.source,
            quarantine.c.part == place.part,
            quarantine.c.position.in_(decided.to_pylist()),
        )
        there = set(connection.scalars(sa.select(quarantine.c.position).where(*here).with_for_update()))
        if len(there) != len(decided):
            raise MovedOnError(
                f"{place.dataset}: another process has dealt with held rows of {place.part} of {place.source} "
                "meanwhile: nothing was changed"
            )
        settled = there - set(failed.to_pylist())
        connection.execute(sa.delete(quarantine).where(*here, quarantine.c.position.in_(settled)))

    def _move(
        self, connection: sa.Connection, place: Place, position: int, state: dict[str, Any], counts: Counts
    ) -> None:
        values = {"position": position, "state": state, "counts": asdict(counts), "moved_at": self._clock()}
        connection.execute(sa.update(positions).where(*_at(place)).values(values))


def _at(place: Place) -> tuple[sa.ColumnElement[bool], ...]:
    return tuple(positions.c[name] == value for name, value in asdict(place).items())


def _counts(row: sa.Row[Any]) -> Counts:
    return Counts(**row.counts)


def _standing(row: sa.Row[Any]) -> Standing:
    return Standing(row.position, dict(row.state), _counts(row), row.moved_at)
