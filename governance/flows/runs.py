"""A run: what is known of one load while it goes on and afterwards. The Protocol that flows need, and its values.

Counts are kept per batch, and a batch is known by where it stood in its source, so writing it again replaces what stood
there. Nothing here holds a value of a row.
"""

import re
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import pyarrow as pa

from governance.errors import KasbahError
from governance.flows.stores import LakeFile, Publication, RuleResult
from governance.pii.counts import ColumnCounts

STEPS = ("enforce", "scan_gate", "quality_gate", "publish", "purge")
"""The steps of a batch load, in order."""

_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{6}")
_COLUMN_NAME = re.compile(r"(?!.*\d{6})[\w.\-\[\] ]{1,63}")
_ODD_NAME = "(a name that may hold data)"


class UncountedError(KasbahError):
    """A batch's admitted, quarantined and refused rows don't add up to the rows that were read."""


class State(StrEnum):
    """Of a run or a step. A blocked step failed at a gate; `pending` is a step's only."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Step:
    """One step of a run. `code` says why it failed: an error's class name, never its message."""

    name: str
    state: State
    started_at: datetime | None = None
    finished_at: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    code: str = ""


@dataclass(frozen=True)
class Run:
    """One load of one dataset under one contract version; `steps` in their order."""

    id: str
    dataset: str
    contract_version: str
    state: State
    actor: str
    started_at: datetime
    finished_at: datetime | None = None
    steps: tuple[Step, ...] = ()

    @property
    def done(self) -> frozenset[str]:
        """The names of the steps that are done."""
        return frozenset(step.name for step in self.steps if step.state is State.DONE)


@dataclass(frozen=True)
class BatchRecord:
    """What became of one batch: `rows` records read from `part` of `source`, at positions from `first_position` on.

    `number` is the batch's number in the run's staging. `cursor_after` is where an API goes on. `quarantined` and
    `refused` are counts by reason; the store fills them in from the rows that it is given with the record. `scanned`
    is given to be recorded, and read through `RunStore.scanned`.
    """

    number: int
    source: str
    part: str
    first_position: int
    rows: int
    admitted: int
    cursor_after: str | None = None
    max_updated_at: datetime | None = None
    not_scanned: tuple[str, ...] = ()
    unknown_columns: tuple[str, ...] = ()
    created_subjects: int = 0
    possible_links: int = 0
    shared_aliases: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    scanned: tuple[ColumnCounts, ...] = ()


class RunStore(Protocol):
    """Runs, their steps and what became of their batches. Raises StoreUnavailableError where the store is away."""

    def hold(
        self, dataset: str, version: str, actor: str, run_id: str | None = None, steps: Sequence[str] = STEPS
    ) -> AbstractContextManager[Run]:
        """Begin a run, or take up the one that is named, and hold it while the context lasts.

        One process holds a dataset: ConflictError names the run that another holds. A process that dies lets go. A name
        that is unknown begins a run of that name. Raises UserError where the named run is of another dataset, was begun
        under another contract version and isn't done, or isn't named as `new_run_id` names runs.
        """
        ...

    def get(self, run: str) -> Run:
        """The run. Raises UserError if there is none of that name."""
        ...

    def last(self, dataset: str) -> Run | None:
        """The dataset's newest run."""
        ...

    def unfinished(self, dataset: str) -> Run | None:
        """The dataset's newest run, if some step of it isn't done: what `--run` would take up."""
        ...

    def begin_step(self, run: str, name: str) -> None:
        """Mark the step as running. Like all that follow and write: only by the holder, else ConflictError."""
        ...

    def finish_step(self, run: str, name: str, counts: dict[str, int]) -> None:
        """Mark it as done, with its counts; with the last step the run is done."""
        ...

    def fail_step(self, run: str, name: str, code: str) -> None:
        """Mark it as failed, or as blocked where the code is `blocked`, and the run with it."""
        ...

    def record_batch(
        self,
        run: str,
        batch: BatchRecord,
        quarantined: pa.RecordBatch,
        refused: pa.RecordBatch,
        contract_version: str,
        positions: pa.Array | None = None,
    ) -> None:
        """Record a batch with its quarantined (QUARANTINED) and refused (REFUSED) rows, in one transaction.

        Replaces what this run has recorded under the batch's number and at its positions. `positions` are those that
        the batch covers where they aren't `rows` on end, as in a replay. Raises UncountedError where the outcomes don't
        add up, ConflictError where another batch of the run covers one of the positions or the run isn't held.
        """
        ...

    def done_batches(self, run: str) -> list[BatchRecord]:
        """The recorded batches by number."""
        ...

    def totals(self, run: str) -> dict[str, dict[str, int]]:
        """Rows by source: `rows`, `admitted`, `quarantined`, `refused`, and by reason as `quarantined.<reason>` and
        `refused.<reason>` where there are any.
        """
        ...

    def not_scanned(self, run: str) -> tuple[str, ...]:
        """The columns that some batch admitted without a scan's answer, sorted."""
        ...

    def unknown_columns(self, run: str) -> tuple[str, ...]:
        """The columns that some batch had and the contract doesn't, sorted. See `column_names`."""
        ...

    def scanned(self, run: str, *, replayed: bool = True) -> tuple[ColumnCounts, ...]:
        """What the run's scans came to, by column; without the batches of a replay unless `replayed`."""
        ...

    def watermarks(self, run: str) -> dict[str, datetime]:
        """The newest `updated_at` that the run admitted, by source."""
        ...

    def record_rules(self, run: str, results: Sequence[RuleResult]) -> None:
        """Record the gate's verdicts, instead of those recorded before."""
        ...

    def rules(self, run: str) -> tuple[RuleResult, ...]:
        """The gate's verdicts, in the order they were recorded."""
        ...

    def record_publication(self, publication: Publication) -> None:
        """Copy watermarks and lake manifest from a publication, and let go of what earlier runs hold in quarantine, or
        have counted as refused, at the positions that this run has now decided. Repeating it changes nothing.
        """
        ...

    def published_watermarks(self, dataset: str) -> dict[str, datetime]:
        """The copied watermarks, by source."""
        ...

    def manifest(self, dataset: str) -> tuple[LakeFile, ...]:
        """The copied lake manifest."""
        ...


def new_run_id(now: datetime) -> str:
    """A run's name: time-ordered, readable, without data, as in 20261121T101500-ab12cd."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def is_run_id(text: str) -> bool:
    """Whether the text is named as `new_run_id` names runs: nothing else may reach paths, tables and messages."""
    return _RUN_ID.fullmatch(text) is not None


def column_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns fit for a report, sorted. A key of a JSON object may itself be data (an address, a number), so a
    name with an unusual sign, over 63 signs or with six digits on end is only said to be there.
    """
    return tuple(sorted({column_name(name) for name in names}))


def column_name(name: str) -> str:
    """One of them."""
    return name if _COLUMN_NAME.fullmatch(name) else _ODD_NAME
