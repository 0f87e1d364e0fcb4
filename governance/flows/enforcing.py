"""The first step of a load: read, enforce and stage, batch by batch, in one process.

Nothing unprotected rests between tasks: a batch is in memory until its tokens are staged. While one batch is being
written, the next two are enforced and another is read, so memory holds a few batches, whatever the source's size.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contracts.types import Dataset, Source
from governance.enforcement.apply import Keys, enforce
from governance.enforcement.outcomes import QUARANTINED, Enforced
from governance.enforcement.plan import EnforcementPlan
from governance.enforcement.reading import with_origin
from governance.enforcement.seal import Unreadable, seal_unreadable, with_content
from governance.errors import SourceError
from governance.flows.crew import Crew, Turn
from governance.flows.runs import BatchRecord, RunStore, column_name
from governance.flows.source import Malformed, SourceBatch, SourceReader
from governance.flows.stores import StageWriter, Warehouse
from governance.model.clock import Clock
from governance.model.secret import Secret
from governance.pii.counts import ColumnCounts, together
from governance.pii.scanner import Scanner
from governance.protection.subjects import Resolved


class Lease(Protocol):
    """The right to use unwrapped keys until the sink has acknowledged, with those keys."""

    @property
    def keys(self) -> Keys:
        """The keys."""
        ...

    def check(self) -> None:
        """Raise LeaseExpiredError if it has run out: then nothing may be sent."""
        ...


class Keyring(Protocol):
    """Gives out keys, one lease a batch."""

    def lease(self, holder: str) -> AbstractContextManager[Lease]:
        """Begin a lease; it ends with the context."""
        ...


_NO_RECORDS = pa.record_batch({})
_MOMENT = pa.timestamp("us", tz="UTC")

_Item: TypeAlias = SourceBatch | BaseException | None

Progress: TypeAlias = Callable[[str, int], None]
"""Called with a source's name and the records just dealt with."""


@dataclass(frozen=True)
class Enforcing:
    """What the step needs."""

    runs: RunStore
    warehouse: Warehouse
    keyring: Keyring
    scanner: Scanner
    clock: Clock
    open_source: Callable[[Source], SourceReader]
    threads: int = 1
    enforce: Callable[..., Enforced] = enforce

    def run(
        self, run: str, dataset: Dataset, plan: EnforcementPlan, sources: Iterable[Source], progress: Progress
    ) -> None:
        """Enforce every source into the run's staging. A resumed run goes on after its last recorded batch."""
        done = self.runs.done_batches(run)
        self.warehouse.prepare(plan)
        self.warehouse.discard_batches(run, plan, {batch.number for batch in done})
        with self.warehouse.stage(run, plan) as stage, Crew() as crew:
            number = max((batch.number for batch in done), default=-1) + 1
            for source in sources:
                mine = [batch for batch in done if batch.source == source.name]
                job = _Job(self, run, dataset, plan, source, stage, crew, progress)
                number = job.go(number, {(b.part, b.first_position, b.rows) for b in mine}, _cursor(source, mine))


@dataclass
class _Job:
    """One source of one run."""

    step: Enforcing
    run: str
    dataset: Dataset
    plan: EnforcementPlan
    source: Source
    stage: StageWriter
    crew: Crew
    progress: Progress

    def go(self, number: int, done: set[tuple[str, int, int]], cursor: str | None) -> int:
        """Enforce and stage each batch that isn't done; returns the next free batch number."""
        since = _since(self.step.warehouse, self.dataset, self.source)
        reader = self.step.open_source(self.source)
        first = True
        for read in read_ahead(reader.batches(since=since, cursor=cursor)):
            batch = read if read.replayed else replace(read, part=_part(read.part, since))
            if first and not batch.replayed:
                check_columns(batch, self.plan, self.source)
                first = False
            if (batch.part, _first(batch), batch.records_read) in done:
                self.progress(self.source.name, batch.records_read)
                continue
            self.crew.put(_Batch(self, number, batch))
            number += 1
            del read, batch
        self.crew.finish()
        return number


class _Batch:
    """One batch on its way from memory to staging, under one lease."""

    def __init__(self, job: _Job, number: int, batch: SourceBatch) -> None:
        self.job, self.number, self.batch = job, number, batch
        self.held = ExitStack()
        self.lease: Lease
        self.enforced: Enforced

    def enforce(self, turn: Turn) -> None:
        """Enforce it, under a lease that begins now; the source's records go as soon as nobody needs them."""
        job, batch, step = self.job, self.batch, self.job.step
        self.lease = self.held.enter_context(step.keyring.lease(f"ingest {job.run}"))
        records = with_origin(batch.records, job.source.name, batch.part, batch.positions)
        self.batch = batch = replace(batch, records=_NO_RECORDS)
        keys = _InTurn(self.lease.keys, turn, len(job.plan.subjects))
        enforced = step.enforce(records, job.plan, keys, step.scanner, step.clock, threads=step.threads)
        self.enforced = self._with_unreadable(enforced) if batch.malformed else enforced

    def _with_unreadable(self, enforced: Enforced) -> Enforced:
        job, batch = self.job, self.batch
        day = job.step.clock().date()
        key = None if job.plan.has_minimum_age else self.lease.keys.day_key(day)
        unreadable = [_unreadable(m) for m in batch.malformed]
        sealed = seal_unreadable(unreadable, job.source.name, batch.part, job.plan, day, key)
        sealed = with_content(sealed, self.lease.keys.fingerprints([_or_place(u, batch, job.plan) for u in unreadable]))
        both = pa.Table.from_batches([enforced.quarantined, sealed], QUARANTINED).combine_chunks().to_batches()
        return replace(enforced, quarantined=both[0] if both else sealed)

    def store(self) -> None:
        """Stage, then record; the lease ends when both have been acknowledged."""
        job, enforced = self.job, self.enforced
        self.lease.check()
        job.stage.write(self.number, enforced.admitted)
        job.step.runs.record_batch(
            job.run,
            _record(self.number, self.batch, job, enforced),
            enforced.quarantined,
            enforced.refused,
            job.plan.version,
            _scattered(self.batch),
        )

    def end(self) -> None:
        """End the lease and wipe its keys."""
        self.held.close()

    def tell(self) -> None:
        """Say that it is dealt with."""
        self.job.progress(self.job.source.name, self.batch.records_read)


class _InTurn:
    """The keys of a batch that resolves its subjects in its turn. So who gets a value that several new people bring
    doesn't depend on which thread is faster, and two batches never make the same people at once.
    """

    def __init__(self, keys: Keys, turn: Turn, calls: int) -> None:
        self._keys, self._turn, self._left = keys, turn, calls

    def resolve(self, entity: str, keys: list[pa.Array], create: np.ndarray) -> Resolved:
        """See `Keys.resolve`; after the last of the plan's subjects the next batch has its turn."""
        self._turn.wait()
        resolved = self._keys.resolve(entity, keys, create)
        self._left -= 1
        if not self._left:
            self._turn.pass_on()
        return resolved

    def fingerprints(self, bodies: list[bytes]) -> list[bytes]:
        """See `Keys.fingerprints`."""
        return self._keys.fingerprints(bodies)

    def day_key(self, day: date) -> Secret:
        """See `Keys.day_key`."""
        return self._keys.day_key(day)


def check_columns(batch: SourceBatch, plan: EnforcementPlan, source: Source) -> None:
    """Raise SourceError where a source with a header, or a table, lacks a required column: no row of it could be
    right.
    """
    names = set(batch.records.schema.names)
    if source.format in ("csv", "sql", "parquet"):
        wanted = [c for c in plan.columns if c.required and c.derive is None]
        missing = [" or ".join(c.names_in(source.name)) for c in wanted if not names & set(c.names_in(source.name))]
        if missing:
            raise SourceError(
                f"{source.name}: {batch.part} lacks required columns ({', '.join(missing)}); "
                "nothing was stored. Add them to the source or to the contract's sourceNames"
            )


def read_ahead(batches: Iterator[SourceBatch]) -> Iterator[SourceBatch]:
    """Read one batch ahead in a thread of its own; an error comes out where the batch would have."""
    queue: Queue[_Item] = Queue(1)
    stop = Event()

    def fill() -> None:
        try:
            for batch in batches:
                if not _put(queue, batch, stop):
                    return
                del batch
            _put(queue, None, stop)
        except BaseException as error:  # noqa: BLE001  handed over, not swallowed
            _put(queue, error, stop)

    thread = Thread(target=fill, name="kasbah-read", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = queue.get(timeout=0.5)
            except Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
            del item
    finally:
        stop.set()


def _put(queue: "Queue[_Item]", item: "_Item", stop: Event) -> bool:
    while not stop.is_set():
        try:
            queue.put(item, timeout=0.2)
        except Full:
            continue
        return True
    return False


def _since(warehouse: Warehouse, dataset: Dataset, source: Source) -> datetime | None:
    """The stored watermark less the overlap that the contract declares; None where the source can't be asked for
    changes.
    """
    if source.updated_field is None and source.updated_parameter is None:
        return None
    mark = warehouse.watermarks(dataset.id).get(source.name)
    return mark - timedelta(hours=dataset.overlap_hours) if mark else None


def _part(part: str, since: datetime | None) -> str:
    """Positions count from where the reading began, so the part says it."""
    return part if since is None else f"{part} since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}".strip()


def _cursor(source: Source, done: list[BatchRecord]) -> str | None:
    """Where an API goes on; files are read again from the start and their done batches passed over."""
    if source.format != "api" or not done:
        return None
    return max(done, key=lambda batch: batch.number).cursor_after


def _scattered(batch: SourceBatch) -> pa.Array | None:
    """The positions of a replayed batch; None where they are one after the other, as a source is read."""
    return batch.positions if batch.replayed else None


def _first(batch: SourceBatch) -> int:
    places = [m.position for m in batch.malformed[:1]]
    if len(batch.positions):
        places.append(batch.positions[0].as_py())
    return min(places, default=0)


def _unreadable(one: Malformed) -> Unreadable:
    return Unreadable(one.position, one.length, str(one.reason), one.body)


def _or_place(one: Unreadable, batch: SourceBatch, plan: EnforcementPlan) -> bytes:
    """What tells a record that can't be read from others: its body, or where it stood if that may not be kept."""
    return one.body if one.body is not None and not plan.has_minimum_age else f"{batch.part} {one.position}".encode()


def _newest(batch: SourceBatch, job: _Job, enforced: Enforced) -> datetime | None:
    """How far this batch moves the watermark: not beyond this moment, or one wrong date at the source would end all
    reading of changes; and not at all in a replay, whose rows may stand behind others that were never published.
    """
    field = job.plan.version_field
    if field is None or batch.replayed:
        return None
    newest = pc.max(enforced.admitted.column(job.plan.column(field).name).cast(_MOMENT)).as_py()
    return None if newest is None else min(newest, job.step.clock())


def _record(number: int, batch: SourceBatch, job: _Job, enforced: Enforced) -> BatchRecord:
    return BatchRecord(
        number=number,
        source=job.source.name,
        part=batch.part,
        first_position=_first(batch),
        rows=batch.records_read,
        admitted=enforced.admitted.num_rows,
        cursor_after=batch.cursor,
        max_updated_at=_newest(batch, job, enforced),
        not_scanned=enforced.not_scanned,
        unknown_columns=enforced.unknown_columns,
        created_subjects=enforced.created_subjects,
        possible_links=enforced.possible_links,
        shared_aliases=enforced.shared_aliases,
        scanned=together(_fit(one) for one in enforced.scanned),
    )


def _fit(one: ColumnCounts) -> ColumnCounts:
    """The name of a column that nobody declared may itself be data."""
    return one if one.declared else one.called(column_name(one.field))
