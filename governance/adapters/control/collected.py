"""What collectors have met and may be given again, in PostgreSQL (`flows.met_again.CollectStore`).

A digest is kept for as long as its record may come again, and no longer; nobody without the index key can tell what it
is of.
"""

from collections.abc import Sequence

import pyarrow as pa
import sqlalchemy as sa

from governance.adapters.control.bulk import writing
from governance.adapters.control.database import SCHEMA, metadata
from governance.adapters.control.progress import PostgresProgress
from governance.flows.met_again import Memory, Met
from governance.flows.progress import Counts, Place, Standing

collected = sa.Table(
    "collected",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("poll", sa.BigInteger, nullable=False),
    sa.Column("page", sa.Text, nullable=False),
)

_REMEMBER = sa.text(
    f"""
    INSERT INTO {SCHEMA}.collected (dataset, source, digest, number, poll, page)
    SELECT :dataset, :source, met.*
    FROM unnest(CAST(:digests AS bytea[]), CAST(:numbers AS int[]), CAST(:polls AS bigint[]),
                CAST(:pages AS text[])) AS met
    ON CONFLICT (dataset, source, digest, number) DO UPDATE SET poll = excluded.poll, page = excluded.page
    """  # noqa: S608  the schema's name is a constant
)


class PostgresCollected:
    """Standings and memory on the control database."""

    def __init__(self, engine: sa.Engine, progress: PostgresProgress) -> None:
        self._engine = engine
        self._progress = progress

    def standing(self, place: Place) -> Standing:
        """See `CollectStore.standing`."""
        return self._progress.standing(place)

    def met(self, place: Place, digests: Sequence[bytes]) -> list[Met]:
        """See `CollectStore.met`."""
        if not digests:
            return []
        # An array that the key's index is searched by: a join would read all that was ever met for each page.
        wanted = sa.any_(sa.bindparam("digests", sorted({*digests}), sa.ARRAY(sa.LargeBinary)))
        statement = sa.select(collected).where(*_of(place), collected.c.digest == wanted)
        with writing(self._engine) as connection:
            rows = connection.execute(statement).all()
        return [Met(row.digest, row.number, row.poll, row.page) for row in rows]

    def advance(
        self,
        place: Place,
        before: int,
        after: Standing,
        memory: Memory,
        quarantined: pa.RecordBatch | None = None,
        contract_version: str = "",
    ) -> None:
        """See `CollectStore.advance`."""
        with writing(self._engine) as connection:
            self._progress.advance_within(connection, place, before, after, quarantined, contract_version)
            if memory.unchanged:
                still = sa.update(collected).where(*_of(place), collected.c.page.in_(list(memory.unchanged)))
                connection.execute(still.values(poll=memory.poll))
            if memory.met:
                connection.execute(_REMEMBER, _columns(place, memory.met))
            if memory.forget_before is not None:
                gone = sa.delete(collected).where(*_of(place), collected.c.poll < memory.forget_before)
                connection.execute(gone)

    def settle(
        self, place: Place, part: str, decided: pa.Array, counts: Counts, quarantined: pa.RecordBatch, version: str
    ) -> None:
        """See `CollectStore.settle`."""
        with writing(self._engine) as connection:
            self._progress.settle_within(connection, place, part, decided, counts, quarantined, version)


def _of(place: Place) -> tuple[sa.ColumnElement[bool], ...]:
    return (collected.c.dataset == place.dataset, collected.c.source == place.source)


def _columns(place: Place, met: Sequence[Met]) -> dict[str, object]:
    return {
        "dataset": place.dataset,
        "source": place.source,
        "digests": [one.digest for one in met],
        "numbers": [one.number for one in met],
        "polls": [one.poll for one in met],
        "pages": [one.page for one in met],
    }
