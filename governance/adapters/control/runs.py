"""Runs in PostgreSQL. What a process may write of a run, it may write while it holds the run."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from governance.adapters.control.batch_records import BatchWriter, Outcomes, let_go_of_decided, read_batch
from governance.adapters.control.bulk import writing
from governance.adapters.control.dataset_lock import lock_dataset
from governance.adapters.control.quarantine import PostgresQuarantine
from governance.adapters.control.run_tables import batches, manifest, rules, runs, steps, watermarks
from governance.adapters.control.scan_tables import batch_scans, read_counts
from governance.errors import ConflictError, UserError
from governance.flows.runs import STEPS, BatchRecord, Run, State, Step, is_run_id, new_run_id
from governance.flows.stores import LakeFile, Publication, RuleResult
from governance.model.clock import Clock
from governance.pii.counts import ColumnCounts, together

_BLOCKED = "blocked"


class PostgresRuns:
    """`RunStore` on the control database. Quarantined rows go to the given store, in the batch's own transaction."""

    def __init__(self, engine: sa.Engine, quarantine: PostgresQuarantine, clock: Clock) -> None:
        self._engine = engine
        self._quarantine = quarantine
        self._clock = clock
        self._fences: dict[str, int] = {}

    @contextmanager
    def hold(
        self, dataset: str, version: str, actor: str, run_id: str | None = None, steps: Sequence[str] = STEPS
    ) -> Iterator[Run]:
        """See `RunStore.hold`."""
        if run_id is not None and not is_run_id(run_id):
            raise UserError("a run's name has the form 20261121T101500-ab12cd: `kasbah ingest` prints it")
        with self._lock(dataset):
            run = self._take_up(dataset, version, actor, run_id, steps)
            try:
                yield self.get(run)
            finally:
                self._fences.pop(run, None)

    @contextmanager
    def _lock(self, dataset: str) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(lock_dataset(self._engine, dataset))
            except ConflictError:
                other = self.unfinished(dataset)
                name = f"run {other.id}, begun {other.started_at:%Y-%m-%d %H:%M} UTC," if other else "another run"
                raise ConflictError(
                    f"{name} is at work on {dataset}: wait until it is done, or end its process"
                ) from None
            yield

    def _take_up(self, dataset: str, version: str, actor: str, run_id: str | None, names: Sequence[str]) -> str:
        now = self._clock()
        name = run_id or new_run_id(now)
        with writing(self._engine) as connection:
            known = connection.execute(sa.select(runs).where(runs.c.id == name)).one_or_none()
            if known is not None:
                _check_same(known, dataset, version)
            else:
                _insert_run(connection, name, dataset, version, actor, now, names)
            raised = sa.update(runs).where(runs.c.id == name).values(fence=runs.c.fence + 1).returning(runs.c.fence)
            self._fences[name] = connection.execute(raised).scalar_one()
        return name

    def get(self, run: str) -> Run:
        """See `RunStore.get`."""
        found = self._one(sa.select(runs).where(runs.c.id == run))
        if found is None:
            raise UserError("there is no run of that name")
        return found

    def last(self, dataset: str) -> Run | None:
        """See `RunStore.last`."""
        newest = sa.select(runs).where(runs.c.dataset == dataset).order_by(runs.c.started_at.desc(), runs.c.id.desc())
        return self._one(newest.limit(1))

    def unfinished(self, dataset: str) -> Run | None:
        """See `RunStore.unfinished`."""
        newest = self.last(dataset)
        return None if newest is None or newest.state is State.DONE else newest

    def begin_step(self, run: str, name: str) -> None:
        """See `RunStore.begin_step`."""
        with self._held(run) as (connection, _):
            self._set_step(connection, run, name, State.RUNNING, started_at=self._clock(), finished_at=None, counts={})
            _set_run(connection, run, State.RUNNING, None)

    def finish_step(self, run: str, name: str, counts: dict[str, int]) -> None:
        """See `RunStore.finish_step`."""
        now = self._clock()
        with self._held(run) as (connection, _):
            self._set_step(connection, run, name, State.DONE, finished_at=now, counts=counts)
            missing = sa.select(steps.c.step).where(steps.c.run == run, steps.c.state != State.DONE.value).limit(1)
            if connection.scalar(missing) is None:
                _set_run(connection, run, State.DONE, now)

    def fail_step(self, run: str, name: str, code: str) -> None:
        """See `RunStore.fail_step`."""
        now = self._clock()
        state = State.BLOCKED if code == _BLOCKED else State.FAILED
        with self._held(run) as (connection, _):
            self._set_step(connection, run, name, state, finished_at=now, code=code)
            _set_run(connection, run, state, now)

    def record_batch(
        self,
        run: str,
        batch: BatchRecord,
        quarantined: pa.RecordBatch,
        refused: pa.RecordBatch,
        contract_version: str,
        positions: pa.Array | None = None,
    ) -> None:
        """See `RunStore.record_batch`."""
        with self._held(run) as (connection, dataset):
            writer = BatchWriter(self._quarantine, run, dataset)
            writer.write(connection, batch, Outcomes(quarantined, refused, contract_version, positions), self._clock())

    def done_batches(self, run: str) -> list[BatchRecord]:
        """See `RunStore.done_batches`."""
        return [read_batch(row) for row in self._all(batches, run, batches.c.number)]

    def totals(self, run: str) -> dict[str, dict[str, int]]:
        """See `RunStore.totals`."""
        totals: dict[str, dict[str, int]] = {}
        for batch in self.done_batches(run):
            counts = totals.setdefault(batch.source, dict.fromkeys(("rows", "admitted", "quarantined", "refused"), 0))
            counts["rows"] += batch.rows
            counts["admitted"] += batch.admitted
            for outcome, reasons in (("quarantined", batch.quarantined), ("refused", batch.refused)):
                counts[outcome] += sum(reasons.values())
                for reason, number in reasons.items():
                    counts[f"{outcome}.{reason}"] = counts.get(f"{outcome}.{reason}", 0) + number
        return totals

    def not_scanned(self, run: str) -> tuple[str, ...]:
        """See `RunStore.not_scanned`."""
        return tuple(sorted({name for batch in self.done_batches(run) for name in batch.not_scanned}))

    def unknown_columns(self, run: str) -> tuple[str, ...]:
        """See `RunStore.unknown_columns`."""
        return tuple(sorted({name for batch in self.done_batches(run) for name in batch.unknown_columns}))

    def scanned(self, run: str, *, replayed: bool = True) -> tuple[ColumnCounts, ...]:
        """See `RunStore.scanned`."""
        found = sa.select(batch_scans).join(
            batches, sa.and_(batches.c.run == batch_scans.c.run, batches.c.number == batch_scans.c.number)
        )
        chosen = found.where(batch_scans.c.run == run, sa.or_(sa.literal(replayed), batches.c.positions.is_(None)))
        with writing(self._engine) as connection:
            rows = connection.execute(chosen.order_by(batch_scans.c.number, batch_scans.c.ordinal))
            return together(read_counts(row) for row in rows)

    def watermarks(self, run: str) -> dict[str, datetime]:
        """See `RunStore.watermarks`."""
        newest: dict[str, datetime] = {}
        for batch in self.done_batches(run):
            if batch.max_updated_at is not None:
                newest[batch.source] = max(batch.max_updated_at, newest.get(batch.source, batch.max_updated_at))
        return newest

    def record_rules(self, run: str, results: Sequence[RuleResult]) -> None:
        """See `RunStore.record_rules`."""
        with self._held(run) as (connection, _):
            connection.execute(sa.delete(rules).where(rules.c.run == run))
            for ordinal, one in enumerate(results):
                values = {"run": run, "ordinal": ordinal, "name": one.name, "rule": one.rule, "detail": one.detail}
                values |= {"success": one.success, "observed": one.observed, "unexpected": one.unexpected}
                connection.execute(sa.insert(rules).values(values))

    def rules(self, run: str) -> tuple[RuleResult, ...]:
        """See `RunStore.rules`."""
        found = self._all(rules, run, rules.c.ordinal)
        return tuple(RuleResult(r.name, r.rule, r.success, r.observed, r.unexpected, r.detail) for r in found)

    def record_publication(self, publication: Publication) -> None:
        """See `RunStore.record_publication`."""
        run, dataset = publication.run, publication.dataset
        with self._held(run) as (connection, held):
            if held != dataset:
                raise UserError(f"run {run} is of {held}, the publication of {dataset}")
            for source, at in publication.watermarks.items():
                mark = insert(watermarks).values(dataset=dataset, source=source, at=at, run=run)
                newer = {"at": mark.excluded.at, "run": mark.excluded.run}
                connection.execute(
                    mark.on_conflict_do_update(
                        index_elements=["dataset", "source"], set_=newer, where=watermarks.c.at < mark.excluded.at
                    )
                )
            for one in publication.files:
                values = {"dataset": dataset, "run": run, "path": one.path, "rows": one.rows}
                row = insert(manifest).values(values | {"size": one.size, "sha256": one.sha256})
                same = {name: row.excluded[name] for name in ("rows", "size", "sha256", "run")}
                connection.execute(row.on_conflict_do_update(index_elements=["dataset", "path"], set_=same))
            let_go_of_decided(connection, run, dataset)

    def published_watermarks(self, dataset: str) -> dict[str, datetime]:
        """See `RunStore.published_watermarks`."""
        statement = sa.select(watermarks.c.source, watermarks.c.at).where(watermarks.c.dataset == dataset)
        with writing(self._engine) as connection:
            return {row.source: row.at for row in connection.execute(statement.order_by(watermarks.c.source))}

    def manifest(self, dataset: str) -> tuple[LakeFile, ...]:
        """See `RunStore.manifest`."""
        columns = (manifest.c.path, manifest.c.rows, manifest.c.size, manifest.c.sha256)
        statement = sa.select(*columns).where(manifest.c.dataset == dataset).order_by(manifest.c.path)
        with writing(self._engine) as connection:
            return tuple(LakeFile(*row) for row in connection.execute(statement))

    @contextmanager
    def _held(self, run: str) -> Iterator[tuple[sa.Connection, str]]:
        """A transaction in which nobody else takes the run up, with its dataset. ConflictError if it isn't ours."""
        fence = self._fences.get(run)
        owner = sa.select(runs.c.fence, runs.c.dataset).where(runs.c.id == run).with_for_update(key_share=True)
        with writing(self._engine) as connection:
            row = connection.execute(owner).one_or_none()
            if fence is None or row is None or row.fence != fence:
                raise ConflictError(f"run {run} is not held by this process, so nothing of it was recorded")
            yield connection, row.dataset

    def _set_step(self, connection: sa.Connection, run: str, name: str, state: State, **values: Any) -> None:
        after = sa.select(sa.func.coalesce(sa.func.max(steps.c.ordinal), -1) + 1).where(steps.c.run == run)
        values = {"state": state.value, "code": "", **values}
        fresh = {"run": run, "step": name, "ordinal": after.scalar_subquery(), "counts": {}, **values}
        upsert = insert(steps).values(fresh)
        connection.execute(upsert.on_conflict_do_update(index_elements=["run", "step"], set_=values))

    def _one(self, statement: sa.Select[Any]) -> Run | None:
        with writing(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
            if row is None:
                return None
            taken = sa.select(steps).where(steps.c.run == row.id).order_by(steps.c.ordinal)
            return _run(row, connection.execute(taken).all())

    def _all(self, table: sa.Table, run: str, order: sa.Column[Any]) -> Sequence[sa.Row[Any]]:
        with writing(self._engine) as connection:
            return connection.execute(sa.select(table).where(table.c.run == run).order_by(order)).all()


def _check_same(known: sa.Row[Any], dataset: str, version: str) -> None:
    if known.dataset != dataset:
        raise UserError(f"run {known.id} is of {known.dataset}, not of {dataset}")
    if known.contract_version != version and known.state != State.DONE.value:
        raise UserError(
            f"run {known.id} was begun under contract version {known.contract_version}, which is {version} now: "
            "begin a new run, without naming one"
        )


def _insert_run(
    connection: sa.Connection, run: str, dataset: str, version: str, actor: str, now: datetime, names: Sequence[str]
) -> None:
    head = {"id": run, "dataset": dataset, "contract_version": version, "actor": actor}
    connection.execute(sa.insert(runs).values(head | {"state": State.RUNNING.value, "started_at": now, "fence": 0}))
    for ordinal, name in enumerate(names):
        values = {"run": run, "step": name, "ordinal": ordinal, "state": State.PENDING.value, "counts": {}, "code": ""}
        connection.execute(sa.insert(steps).values(values))


def _set_run(connection: sa.Connection, run: str, state: State, finished_at: datetime | None) -> None:
    connection.execute(sa.update(runs).where(runs.c.id == run).values(state=state.value, finished_at=finished_at))


def _run(row: sa.Row[Any], taken: Sequence[sa.Row[Any]]) -> Run:
    return Run(
        id=row.id,
        dataset=row.dataset,
        contract_version=row.contract_version,
        state=State(row.state),
        actor=row.actor,
        started_at=row.started_at,
        finished_at=row.finished_at,
        steps=tuple(Step(s.step, State(s.state), s.started_at, s.finished_at, dict(s.counts), s.code) for s in taken),
    )
