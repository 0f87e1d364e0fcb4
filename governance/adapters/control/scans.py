"""Scans of stored copies in PostgreSQL (`governance.flows.scan.ScanStore`)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from governance.adapters.control.bulk import writing
from governance.adapters.control.dataset_lock import lock_dataset
from governance.adapters.control.scan_tables import read_counts, replace_counts, scan_columns, scan_copies, scans
from governance.errors import ConflictError
from governance.flows.runs import new_run_id
from governance.flows.scan import CopyScan, Scan
from governance.flows.stored import Copy
from governance.model.clock import Clock
from governance.pii.counts import ColumnCounts


class PostgresScans:
    """See `ScanStore`. Loads of the same dataset go on meanwhile: a scan has a lock of its own."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @contextmanager
    def hold(self, dataset: str, version: str, searched: str, actor: str, *, restart: bool = False) -> Iterator[Scan]:
        """See `ScanStore.hold`."""
        with self._lock(dataset):
            with writing(self._engine) as connection:
                name = self._take_up(connection, dataset, version, searched, actor, restart)
                started = connection.execute(sa.select(scans.c.started_at).where(scans.c.id == name)).scalar_one()
                copies = _copies(connection, name)
            yield Scan(name, started, copies)

    @contextmanager
    def _lock(self, dataset: str) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(lock_dataset(self._engine, f"scan {dataset}"))
            except ConflictError:
                message = f"another process scans {dataset}: wait until it is done, or end its process"
                raise ConflictError(message) from None
            yield

    def _take_up(
        self, connection: sa.Connection, dataset: str, version: str, searched: str, actor: str, restart: bool
    ) -> str:
        begun = sa.and_(scans.c.dataset == dataset, scans.c.finished_at.is_(None))
        same = sa.and_(scans.c.contract_version == version, scans.c.searched == searched)
        connection.execute(sa.delete(scans).where(begun, sa.or_(sa.literal(restart), ~same)))
        known = connection.execute(sa.select(scans.c.id).where(begun).order_by(scans.c.id.desc()).limit(1)).scalar()
        if known is not None:
            return str(known)
        now = self._clock()
        name = new_run_id(now)
        head = {"id": name, "dataset": dataset, "contract_version": version, "searched": searched, "actor": actor}
        connection.execute(sa.insert(scans).values(head | {"started_at": now}))
        return name

    def record(self, scan: str, copy: CopyScan) -> None:
        """See `ScanStore.record`."""
        place = {"scan": scan, "store": copy.copy.store, "name": copy.copy.name}
        state = {"version": copy.copy.version, "position": copy.position, "rows": copy.rows, "done": copy.done}
        with writing(self._engine) as connection:
            upsert = insert(scan_copies).values(place | state)
            connection.execute(upsert.on_conflict_do_update(index_elements=list(place), set_=state))
            replace_counts(connection, scan_columns, place, copy.columns)

    def finish(self, scan: str) -> datetime:
        """See `ScanStore.finish`."""
        now = self._clock()
        with writing(self._engine) as connection:
            connection.execute(sa.update(scans).where(scans.c.id == scan).values(finished_at=now))
        return now


def _copies(connection: sa.Connection, scan: str) -> dict[tuple[str, str], CopyScan]:
    columns: dict[tuple[str, str], list[ColumnCounts]] = {}
    found = sa.select(scan_columns).where(scan_columns.c.scan == scan).order_by(scan_columns.c.ordinal)
    for row in connection.execute(found):
        columns.setdefault((row.store, row.name), []).append(read_counts(row))
    return {
        (row.store, row.name): CopyScan(
            Copy(row.store, row.name, row.version),
            row.position,
            row.rows,
            row.done,
            tuple(columns.get((row.store, row.name), ())),
        )
        for row in connection.execute(sa.select(scan_copies).where(scan_copies.c.scan == scan))
    }
