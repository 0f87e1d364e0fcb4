"""A batch load: enforce -> scan_gate -> quality_gate -> publish -> purge. Each step can be called alone and resumed.

Write, audit, publish: rows are staged governed, gates judge the table as it would look, and one warehouse transaction
publishes. Until then the last good version stays readable.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from threading import Event

import pyarrow as pa

from governance.audit.ledger import Ledger
from governance.audit.records import Record
from governance.contracts.types import Dataset, Source
from governance.enforcement.plan import EnforcementPlan
from governance.errors import ConflictError, GateError, KasbahError, UserError
from governance.flows import findings, scan_gate
from governance.flows.enforcing import Enforcing, Progress
from governance.flows.runs import STEPS, Run, RunStore
from governance.flows.stores import Lake, LakeFile, Merged, Publication, QualityGate, RuleResult, Warehouse
from governance.model.clock import Clock
from governance.pii.counts import ColumnCounts

_ORPHAN_AGE = timedelta(days=1)


@dataclass(frozen=True)
class Report:
    """What a run came to: rows by source and outcome, what was searched and found, the merge, the gate's verdicts."""

    run: str
    dataset: str
    contract_version: str
    totals: dict[str, dict[str, int]]
    rules: tuple[RuleResult, ...]
    publication: Publication | None
    not_scanned: tuple[str, ...]
    unknown_columns: tuple[str, ...]
    scanned: tuple[ColumnCounts, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        return asdict(replace(self, scanned=())) | {"scanned": findings.as_json(self.scanned)}


@dataclass(frozen=True)
class Ingest:
    """The flow and what it needs."""

    enforcing: Enforcing
    runs: RunStore
    warehouse: Warehouse
    lake: Lake
    gate: QualityGate
    ledger: Ledger
    clock: Clock
    actor: str

    def load(
        self,
        dataset: Dataset,
        plan: EnforcementPlan,
        sources: Sequence[Source],
        progress: Progress,
        *,
        run_id: str | None = None,
        step: str | None = None,
    ) -> Report:
        """Run all steps, or one of them, of a new run or of the run named. Steps that are done are passed over.

        Raises GateError when a gate blocks, UserError for what the caller can mend, TransientError when the same call
        may succeed later; the run stays and `--run` resumes it.
        """
        if step is not None and step not in STEPS:
            raise UserError(f"a step is one of {', '.join(STEPS)}")
        if run_id is None and step not in (None, STEPS[0]):
            raise UserError(f"step {step} needs {STEPS[0]} first: name the run that it goes on with (--run)")
        with self.runs.hold(dataset.id, plan.version, self.actor, run_id) as held:
            run = held
            actions: dict[str, Callable[[], dict[str, int]]] = {
                "enforce": lambda: self._enforce(run, dataset, plan, sources, progress),
                "scan_gate": lambda: self._scan_gate(run, plan),
                "quality_gate": lambda: self._gate(run, plan),
                "publish": lambda: self._publish(run, dataset, plan),
                "purge": lambda: self._purge(run, plan),
            }
            for name in STEPS if step is None else (step,):
                if name not in run.done:
                    self._require_before(run, name, step)
                    self._take(run, name, actions[name])
                    run = self.runs.get(run.id)
            self.ledger.publish_head()
            return self.report(run, plan)

    def report(self, run: Run, plan: EnforcementPlan) -> Report:
        """The report of a run, from what was recorded."""
        return Report(
            run=run.id,
            dataset=plan.dataset,
            contract_version=run.contract_version,
            totals=self.runs.totals(run.id),
            rules=self.runs.rules(run.id),
            publication=self.warehouse.publication(run.id),
            not_scanned=self.runs.not_scanned(run.id),
            unknown_columns=self.runs.unknown_columns(run.id),
            scanned=self.runs.scanned(run.id),
        )

    def _require_before(self, run: Run, name: str, alone: str | None) -> None:
        missing = [s for s in STEPS[: STEPS.index(name)] if s not in run.done]
        if missing and alone is not None:
            again = f"kasbah ingest … --run {run.id} --step {missing[0]}"
            raise UserError(f"step {name} of run {run.id} needs {missing[0]} first: {again}")

    def _take(self, run: Run, name: str, action: Callable[[], dict[str, int]]) -> None:
        """One step: begun, done or failed on record, and in the ledger."""
        self.runs.begin_step(run.id, name)
        try:
            counts = action()
        except GateError:
            self._note(run, f"{name}.blocked", {})
            self.runs.fail_step(run.id, name, "blocked")
            self.ledger.publish_head()
            raise
        except KasbahError as error:
            self.runs.fail_step(run.id, name, type(error).__name__)
            raise
        self._note(run, f"{name}.done", counts)
        self.runs.finish_step(run.id, name, counts)

    def _note(self, run: Run, action: str, counts: dict[str, int]) -> None:
        record = Record(actor=self.actor, action=f"ingest.{action}", dataset=run.dataset, run=run.id, counts=counts)
        self.ledger.append([record])

    def _enforce(
        self, run: Run, dataset: Dataset, plan: EnforcementPlan, sources: Sequence[Source], progress: Progress
    ) -> dict[str, int]:
        self.enforcing.run(run.id, dataset, plan, sources, progress)
        return _sum(self.runs.totals(run.id))

    def _scan_gate(self, run: Run, plan: EnforcementPlan) -> dict[str, int]:
        searched, whole = self.runs.scanned(run.id), self.runs.scanned(run.id, replayed=False)
        return scan_gate.judge(run.id, plan, self.runs.totals(run.id), searched, whole)

    def _gate(self, run: Run, plan: EnforcementPlan) -> dict[str, int]:
        merged = self.warehouse.merge(run.id, plan)
        results = self.gate.evaluate(plan, self.warehouse.gate_relation(run.id, plan))
        self.runs.record_rules(run.id, results)
        failed = [result for result in results if not result.success]
        if failed:
            raise GateError(
                f"run {run.id}: the quality gate blocked {plan.dataset}: "
                + "; ".join(_verdict(result) for result in failed)
                + ". The last published version stays readable. Mend the source or the contract and load again"
            )
        return _counts(merged)

    def _publish(self, run: Run, dataset: Dataset, plan: EnforcementPlan) -> dict[str, int]:
        published = self.warehouse.publication(run.id)
        if published is None:
            merged = self.warehouse.merge(run.id, plan)
            if _counts(merged) != next(step.counts for step in run.steps if step.name == "quality_gate"):
                self._gate(run, plan)  # another run has published since: what was judged is no longer what would stand
            marks: dict[str, datetime] = self.runs.watermarks(run.id)
            wanted = Publication(run.id, dataset.id, plan.version, merged, marks, (), self.clock())
            with self._lake_files(run, plan) as files:
                published = self.warehouse.publish(wanted, plan, files)
        self.runs.record_publication(published)
        return {"new": published.merged.new, "changed": published.merged.changed, "lake_files": len(published.files)}

    @contextmanager
    def _lake_files(self, run: Run, plan: EnforcementPlan) -> Iterator[Callable[[], tuple[LakeFile, ...]]]:
        """Write the lake's files while the warehouse moves the same rows; what the context gives waits for the files.
        They count from the warehouse's commit on, so when it fails the writing is given up.
        """
        failed = Event()

        def winners() -> Iterator[pa.RecordBatch]:
            for batch in self.warehouse.winners(run.id, plan):
                if failed.is_set():
                    raise ConflictError("the publication that these files were for has failed")
                yield batch

        with ThreadPoolExecutor(1, "kasbah-lake") as thread:
            try:
                yield thread.submit(self.lake.write, run.id, plan, winners()).result
            except BaseException:
                failed.set()
                raise

    def _purge(self, run: Run, plan: EnforcementPlan) -> dict[str, int]:
        self.warehouse.drop_stage(run.id, plan)
        manifest = self.warehouse.manifest(plan.dataset)
        return {"orphans": self.lake.sweep(plan.dataset, manifest, self.clock() - _ORPHAN_AGE)}


def _counts(merged: Merged) -> dict[str, int]:
    return dict(asdict(merged))


def _sum(totals: dict[str, dict[str, int]]) -> dict[str, int]:
    names = sorted({name for counts in totals.values() for name in counts})
    return {name: sum(counts.get(name, 0) for counts in totals.values()) for name in names}


def _verdict(result: RuleResult) -> str:
    what = "keys that stand more than once" if result.rule == "unique" else "rows"
    count = f" ({what}: {result.unexpected})" if result.unexpected is not None else ""
    return f"rule {result.name} [{result.rule}] failed{count}{': ' + result.detail if result.detail else ''}"
