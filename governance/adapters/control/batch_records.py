"""What one batch came to, written in the transaction of its caller: its record, its quarantined and its refused rows.

A batch is known by its number in the run and by where it stood in its source. Writing it again replaces all of it.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from governance.adapters.control.bulk import copy_in
from governance.adapters.control.quarantine import PostgresQuarantine, check_places, incoming, quarantine
from governance.adapters.control.run_tables import batches, incoming_refused, refused_positions
from governance.adapters.control.scan_tables import batch_scans, replace_counts
from governance.errors import ConflictError
from governance.flows.runs import BatchRecord, UncountedError, column_names


@dataclass(frozen=True)
class Outcomes:
    """The rows of a batch that were not admitted, and the contract version that decided."""

    quarantined: pa.RecordBatch
    refused: pa.RecordBatch
    contract_version: str
    positions: pa.Array | None = None


@dataclass(frozen=True)
class BatchWriter:
    """Writes the batches of one run."""

    quarantine: PostgresQuarantine
    run: str
    dataset: str

    def write(self, connection: sa.Connection, batch: BatchRecord, outcomes: Outcomes, now: datetime) -> None:
        """See `RunStore.record_batch`."""
        _check_sum(batch, outcomes)
        check_places(outcomes.quarantined, outcomes.refused)
        first, last = _span(batch, outcomes.positions)
        before = self._before(connection, batch, first, last)
        if outcomes.quarantined.num_rows or before is not None:
            self._hold(connection, outcomes, now)
        if outcomes.refused.num_rows or before is not None:
            self._count_refused(connection, outcomes.refused)
        if before is not None:
            self._drop_leftovers(connection, before)
        self._upsert(connection, batch, outcomes, first, last)
        replace_counts(connection, batch_scans, {"run": self.run, "number": batch.number}, batch.scanned)

    def _before(self, connection: sa.Connection, batch: BatchRecord, first: int, last: int) -> sa.Row[Any] | None:
        """The batch as it was recorded under this number before. ConflictError where another covers its positions."""
        overlapping = sa.and_(
            batches.c.source == batch.source,
            batches.c.part == batch.part,
            batches.c.first_position <= last,
            batches.c.last_position >= first,
            batches.c.rows > 0,
            sa.literal(batch.rows > 0),
        )
        same = batches.c.number == batch.number
        statement = sa.select(batches).where(batches.c.run == self.run, sa.or_(same, overlapping))
        found = {row.number: row for row in connection.execute(statement)}
        before = found.pop(batch.number, None)
        if found:
            raise ConflictError(
                f"run {self.run}: batch {batch.number} covers positions from {first} on of {batch.source} that batch "
                f"{min(found)} has recorded already. The source or the batch size has changed since: begin a new run"
            )
        return before

    def _hold(self, connection: sa.Connection, outcomes: Outcomes, now: datetime) -> None:
        """Quarantine; a place has one outcome, so what was counted as refused there no longer is."""
        renew = outcomes.positions is None
        self.quarantine.put_within(
            connection, self.run, self.dataset, outcomes.contract_version, outcomes.quarantined, now, renew=renew
        )
        if outcomes.quarantined.num_rows:
            connection.execute(sa.delete(refused_positions).where(*_at(refused_positions, incoming, self.dataset)))

    def _count_refused(self, connection: sa.Connection, rows: pa.RecordBatch) -> None:
        """Count, and let go of a body that an earlier run held there: a refused row leaves nothing else."""
        copy_in(connection, incoming_refused, rows)
        if not rows.num_rows:
            return
        connection.execute(sa.delete(quarantine).where(*_at(quarantine, incoming_refused, self.dataset)))
        given = sa.select(sa.literal(self.dataset), *incoming_refused.c, sa.literal(self.run))
        names = ["dataset", "source", "part", "position", "reason", "run"]
        upsert = insert(refused_positions).from_select(names, given)
        changed = {"reason": upsert.excluded.reason, "run": upsert.excluded.run}
        connection.execute(upsert.on_conflict_do_update(index_elements=names[:4], set_=changed))

    def _drop_leftovers(self, connection: sa.Connection, before: sa.Row[Any]) -> None:
        """What the same batch left when it was recorded before, and hasn't left now."""
        for table, now in ((quarantine, incoming), (refused_positions, incoming_refused)):
            still = sa.select(now.c.position).where(
                now.c.source == table.c.source, now.c.part == table.c.part, now.c.position == table.c.position
            )
            statement = sa.delete(table).where(
                table.c.dataset == self.dataset,
                table.c.run == self.run,
                table.c.source == before.source,
                table.c.part == before.part,
                table.c.position.between(before.first_position, before.last_position),
                ~sa.exists(still.correlate(table)),
            )
            connection.execute(statement)

    def _upsert(self, connection: sa.Connection, batch: BatchRecord, outcomes: Outcomes, first: int, last: int) -> None:
        positions = outcomes.positions
        values = {
            "run": self.run,
            "number": batch.number,
            "source": batch.source,
            "part": batch.part,
            "first_position": first,
            "last_position": last,
            "positions": None if positions is None else positions.to_pylist(),
            "rows": batch.rows,
            "admitted": batch.admitted,
            "quarantined": _by_reason(outcomes.quarantined),
            "refused": _by_reason(outcomes.refused),
            "cursor_after": batch.cursor_after,
            "max_updated_at": batch.max_updated_at,
            "not_scanned": list(column_names(batch.not_scanned)),
            "unknown_columns": list(column_names(batch.unknown_columns)),
            "created_subjects": batch.created_subjects,
            "possible_links": batch.possible_links,
            "shared_aliases": batch.shared_aliases,
        }
        upsert = insert(batches).values(values)
        replaced = {name: upsert.excluded[name] for name in values if name not in ("run", "number")}
        connection.execute(upsert.on_conflict_do_update(index_elements=["run", "number"], set_=replaced))


def read_batch(row: sa.Row[Any]) -> BatchRecord:
    """A stored batch."""
    values = dict(row._mapping)
    for name in ("run", "positions", "last_position"):
        values.pop(name)
    values["not_scanned"] = tuple(values["not_scanned"])
    values["unknown_columns"] = tuple(values["unknown_columns"])
    return BatchRecord(**values)


def let_go_of_decided(connection: sa.Connection, run: str, dataset: str) -> None:
    """Remove what other runs hold in quarantine, or counted as refused, at the places that this run has decided.

    What this run itself holds or refuses there stands under its own name, and stays.
    """
    whole = sa.select(batches.c.source, batches.c.part, batches.c.first_position, batches.c.last_position).where(
        batches.c.run == run, batches.c.positions.is_(None)
    )
    sparse = sa.select(batches.c.source, batches.c.part, sa.func.unnest(batches.c.positions).label("position")).where(
        batches.c.run == run, batches.c.positions.is_not(None)
    )
    spans, places = whole.subquery(), sparse.subquery()
    for table in (quarantine, refused_positions):
        others = (table.c.dataset == dataset, table.c.run != run)
        inside = table.c.position.between(spans.c.first_position, spans.c.last_position)
        same = (table.c.source == spans.c.source, table.c.part == spans.c.part, inside)
        connection.execute(sa.delete(table).where(*others, *same))
        here = (table.c.source == places.c.source, table.c.part == places.c.part, table.c.position == places.c.position)
        connection.execute(sa.delete(table).where(*others, *here))


def _check_sum(batch: BatchRecord, outcomes: Outcomes) -> None:
    ends = batch.admitted + outcomes.quarantined.num_rows + outcomes.refused.num_rows
    covered = batch.rows if outcomes.positions is None else len(outcomes.positions)
    if not batch.rows == ends == covered:
        raise UncountedError(
            f"batch {batch.number} of {batch.source}: {batch.rows} rows were read at {covered} positions, but "
            f"{batch.admitted} were admitted, {outcomes.quarantined.num_rows} quarantined and "
            f"{outcomes.refused.num_rows} refused. Nothing was recorded"
        )


def _span(batch: BatchRecord, positions: pa.Array | None) -> tuple[int, int]:
    if positions is None or not len(positions):
        return batch.first_position, batch.first_position + batch.rows - 1
    ends = pc.min_max(positions).as_py()
    return ends["min"], ends["max"]


def _by_reason(rows: pa.RecordBatch) -> dict[str, int]:
    return dict(sorted(Counter(rows.column("reason").to_pylist()).items()))


def _at(table: sa.Table, given: sa.Table, dataset: str) -> tuple[sa.ColumnElement[bool], ...]:
    """The table's rows at the places of the given rows."""
    return (
        table.c.dataset == dataset,
        table.c.source == given.c.source,
        table.c.part == given.c.part,
        table.c.position == given.c.position,
    )
