"""The warehouse as flows see it (`governance.flows.stores.Warehouse`), on PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa

from governance.adapters.warehouse import ledgers, merge, publish, reading
from governance.adapters.warehouse.session import Connection, arrow, hold, transaction, translated
from governance.adapters.warehouse.shape import STAGING, judged_columns, make_table, shape_of
from governance.adapters.warehouse.staging import Stage, Writer, take_lock
from governance.enforcement.plan import EnforcementPlan
from governance.flows.stores import LakeFile, Merged, Publication


class PostgresWarehouse:
    """One PostgreSQL database. Every method opens its own connection, so an instance may be shared by threads.

    `dsn` is a libpq address. `work_memory` is what one sort or hash of the server may take before it goes to disk.

    Every method raises StoreUnavailableError when the server is away, full or ends the connection; ConflictError when
    somebody else holds what is needed; SettingsError when the server doesn't let us in; ContractError when a plan can't
    be a table.
    """

    def __init__(self, dsn: str, *, work_memory: str = "64MB") -> None:
        self._dsn, self._work_memory = dsn, work_memory

    def prepare(self, plan: EnforcementPlan) -> None:
        """Make the books, the system's schema and the dataset's table, or bring an older table up to the plan. Raises
        SettingsError where the stored table contradicts it."""
        shape = shape_of(plan)
        with transaction(self._dsn, f"preparing the table of {plan.dataset}") as connection:
            ledgers.make_books(connection)
            make_table(connection, shape)

    @contextmanager
    def stage(self, run: str, plan: EnforcementPlan) -> Iterator[Writer]:
        """Open the run's staging table, made if absent; one process at a time (ConflictError). What the run has merged
        before no longer stands."""
        shape, stage = shape_of(plan), Stage(run, plan)
        with arrow(self._dsn, f"staging rows of {plan.dataset}") as connection:
            with translated(f"staging rows of {plan.dataset}"):
                take_lock(connection, stage)
            with transaction(self._dsn, f"opening the staging table of {plan.dataset}") as books:
                stage.make(books, shape)
                ledgers.forget_merge(books, run, plan.dataset)
                known = set(ledgers.staged_batches(books, run, plan.dataset))
            yield Writer(connection, stage, shape, plan.output_schema(), known)

    def discard_batches(self, run: str, plan: EnforcementPlan, keep: set[int]) -> int:
        """Delete staged batches that aren't in `keep`; returns the rows deleted. Raises StagingLostError if staged
        rows, or a batch of `keep`, are gone."""
        stage = Stage(run, plan)
        with transaction(self._dsn, f"discarding half-staged batches of {plan.dataset}") as connection:
            hold(connection, *stage.lock)
            return stage.discard(connection, keep)

    def merge(self, run: str, plan: EnforcementPlan, shredded: tuple[str, ...] = ()) -> Merged:
        """Decide which staged rows win; nothing published is touched. Raises StagingLostError."""
        with transaction(self._dsn, f"merging {plan.dataset}") as connection:
            self._tune(connection)
            return merge.merge(connection, Stage(run, plan), shape_of(plan), plan, shredded)

    def winners(self, run: str, plan: EnforcementPlan) -> Iterator[pa.RecordBatch]:
        """The new and changed rows as Arrow, in the order they were staged. Raises StagingLostError at the end if they
        weren't as many as were merged."""
        stage = Stage(run, plan)
        with transaction(self._dsn, f"reading the merge of {plan.dataset}") as connection:
            noted = ledgers.noted_merge(connection, run, plan.dataset)
        given = 0
        wanted = 0 if noted is None else noted[1].new + noted[1].changed
        if noted is not None and not wanted:
            return
        with arrow(self._dsn, f"reading the merged rows of {plan.dataset}") as connection:
            for batch in reading.winners(connection, stage, shape_of(plan), plan.output_schema()):
                given += batch.num_rows
                yield batch
        if noted is None or given != wanted:
            raise stage.lost()

    def gate_relation(self, run: str, plan: EnforcementPlan) -> tuple[str, str]:
        """(schema, name) of the published table as it would look with this run's merge in it: the columns that the
        plan's set rules speak of, and the key's."""
        stage, shape = Stage(run, plan), shape_of(plan)
        with transaction(self._dsn, f"laying out {plan.dataset} for the gate") as connection:
            hold(connection, *stage.lock)
            self._tune(connection)
            reading.make_gate(connection, stage, shape, judged_columns(plan, shape))
        return STAGING, stage.gate_name

    def publish(
        self,
        publication: Publication,
        plan: EnforcementPlan,
        files: Callable[[], tuple[LakeFile, ...]] | None = None,
    ) -> Publication:
        """Move the winners into the table and write the books, in one durable transaction. A run that is published
        already gives its record back and changes nothing. `files` waits for lake files that are being written
        meanwhile. Raises ConflictError, and then nothing was published."""
        with transaction(self._dsn, f"publishing {plan.dataset}") as connection:
            self._tune(connection)
            return publish.publish(connection, Stage(publication.run, plan), shape_of(plan), publication, files)

    def publication(self, run: str) -> Publication | None:
        """What a run has published, or None."""
        with transaction(self._dsn, "reading the publications") as connection:
            return ledgers.recorded(connection, run) if ledgers.have_books(connection) else None

    def drop_stage(self, run: str, plan: EnforcementPlan) -> None:
        """Remove the run's staging and gate relations. Safe to repeat."""
        stage = Stage(run, plan)
        with transaction(self._dsn, f"removing the staging table of {plan.dataset}") as connection:
            if ledgers.have_books(connection):
                hold(connection, *stage.lock)
                stage.drop(connection)

    def manifest(self, dataset: str) -> tuple[LakeFile, ...]:
        """Every lake file of the dataset that counts, oldest publication first."""
        with transaction(self._dsn, f"reading the manifest of {dataset}") as connection:
            return ledgers.manifest(connection, dataset) if ledgers.have_books(connection) else ()

    def watermarks(self, dataset: str) -> dict[str, datetime]:
        """The newest published `updated_at` per source, in UTC."""
        with transaction(self._dsn, f"reading the watermarks of {dataset}") as connection:
            return ledgers.watermarks(connection, dataset) if ledgers.have_books(connection) else {}

    def _tune(self, connection: Connection) -> None:
        connection.execute(
            "SELECT set_config('work_mem', %s, true), set_config('jit', 'off', true)", (self._work_memory,)
        )
