"""What a flow needs of the stores it writes: Protocols, and the small values that pass between them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from governance.enforcement.plan import EnforcementPlan
from governance.errors import UserError


class StagingLostError(UserError):
    """Rows that were staged are gone, as after a crash of the database server. Nothing was published: a new run reads
    the sources again from the last watermark."""


@dataclass(frozen=True)
class Merged:
    """What merging the staged rows of a run against the published table came to. The parts add up to `staged`.

    `new` + `changed` rows will be published; `unchanged` rows are there already in the same version; `superseded`
    rows are older than another version of their key; `duplicates` repeat a staged row's key and version; `shredded`
    rows speak of a person whose key is gone, and are dropped.
    """

    staged: int
    new: int
    changed: int
    unchanged: int
    superseded: int
    duplicates: int
    shredded: int = 0


@dataclass(frozen=True)
class LakeFile:
    """One lake file. It counts only through its manifest row. `path` is relative to the lake; `sha256` of its
    bytes, hex.
    """

    path: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Publication:
    """One published run, as the warehouse's own `kasbah` schema records it in the same transaction as the rows."""

    run: str
    dataset: str
    contract_version: str
    merged: Merged
    watermarks: dict[str, datetime]
    files: tuple[LakeFile, ...]
    published_at: datetime | None = None


@dataclass(frozen=True)
class RuleResult:
    """One set rule's verdict: counts only. `success` is False when the rule could not be evaluated."""

    name: str
    rule: str
    success: bool
    observed: int | float | None = None
    unexpected: int | None = None
    detail: str = ""


class StageWriter(Protocol):
    """Appends governed rows to a run's staging table."""

    def write(self, batch_number: int, rows: pa.RecordBatch) -> int:
        """Durably stage one enforced batch (its own transaction); returns the rows written. Idempotent per batch
        number: writing a number again replaces what stood under it."""
        ...


class Warehouse(Protocol):
    """The relational store of one installation: staging, merge, gate view, publication."""

    def prepare(self, plan: EnforcementPlan) -> None:
        """Make the system's schema and the dataset's table unless they are there; add columns that are new and
        nullable. Raises SettingsError where the stored shape contradicts the plan."""
        ...

    def stage(self, run: str, plan: EnforcementPlan) -> AbstractContextManager[StageWriter]:
        """Open the run's staging table, made if absent."""
        ...

    def discard_batches(self, run: str, plan: EnforcementPlan, keep: set[int]) -> int:
        """Delete staged batches that are not in `keep` (a killed step's leftovers); returns the rows deleted."""
        ...

    def merge(self, run: str, plan: EnforcementPlan, shredded: tuple[str, ...] = ()) -> Merged:
        """Decide, once, which staged rows win; re-runnable. Does not touch the published table."""
        ...

    def winners(self, run: str, plan: EnforcementPlan) -> Iterator[pa.RecordBatch]:
        """The rows that will be published (new and changed), as Arrow, flat in memory."""
        ...

    def gate_relation(self, run: str, plan: EnforcementPlan) -> tuple[str, str]:
        """(schema, name) of the relation that set rules are evaluated on: the table as it would look once published."""
        ...

    def publish(
        self,
        publication: Publication,
        plan: EnforcementPlan,
        files: Callable[[], tuple[LakeFile, ...]] | None = None,
    ) -> Publication:
        """One transaction: move the winners into the table and record the publication. A run that is already published
        returns the recorded publication and changes nothing. `files`, called once the rows have been moved, waits for
        the lake's files, which are recorded with them; if it raises, nothing was published."""
        ...

    def publication(self, run: str) -> Publication | None:
        """The recorded publication of a run, if it was published."""
        ...

    def drop_stage(self, run: str, plan: EnforcementPlan) -> None:
        """Remove the run's staging and gate relations."""
        ...

    def manifest(self, dataset: str) -> tuple[LakeFile, ...]:
        """Every lake file that counts."""
        ...

    def watermarks(self, dataset: str) -> dict[str, datetime]:
        """The newest published `updated_at` per source."""
        ...


class Lake(Protocol):
    """Parquet files under one root (file, s3, gs)."""

    def write(self, run: str, plan: EnforcementPlan, rows: Iterator[pa.RecordBatch]) -> tuple[LakeFile, ...]:
        """Write the rows as Parquet under `<dataset>/run=<run>/`, replacing what an earlier try of this run left
        there.
        """
        ...

    def sweep(self, dataset: str, manifest: tuple[LakeFile, ...], older_than: datetime) -> int:
        """Delete files that no manifest row names and that are older than `older_than`; returns how many."""
        ...


class QualityGate(Protocol):
    """Evaluates a plan's set rules on a relation."""

    def evaluate(self, plan: EnforcementPlan, relation: tuple[str, str]) -> tuple[RuleResult, ...]:
        """One result a rule. A rule that can't be evaluated fails."""
        ...
