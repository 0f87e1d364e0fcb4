"""Scan what is stored: every clear cell of every copy of a dataset, resumable, with counts by column as its report."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Protocol, TypeAlias

import orjson

from governance.audit.ledger import Ledger
from governance.audit.records import Record
from governance.enforcement.plan import EnforcementPlan
from governance.flows import findings
from governance.flows.stored import Copy, StoredCells
from governance.flows.stored_columns import StoredColumns
from governance.pii.counts import ColumnCounts, together
from governance.pii.scanner import Scanner

LIMITS = (
    "A person's own declared values are tokens in the stores, so they can't be looked for in free text here: "
    "the load does that, before anything is stored.",
    "Protected columns are checked by the form of their cells; nothing was decrypted.",
)
"""What a scan of stores doesn't see; part of each report."""

_COPIES = {"lake": "files", "kafka": "partitions", "elasticsearch": "indices", "mongodb": "collections"}

Progress: TypeAlias = Callable[[Copy, int], None]
"""Called with a copy and the rows of it that were dealt with so far."""


@dataclass(frozen=True)
class CopyScan:
    """How far the scan of one copy came, and what it came to until there."""

    copy: Copy
    position: int = 0
    rows: int = 0
    done: bool = False
    columns: tuple[ColumnCounts, ...] = ()


@dataclass(frozen=True)
class Scan:
    """One scan of one dataset. `copies` by store and name."""

    id: str
    started_at: datetime
    copies: Mapping[tuple[str, str], CopyScan]


class ScanStore(Protocol):
    """Scans and how far they came. Raises StoreUnavailableError where the store is away."""

    def hold(
        self, dataset: str, version: str, searched: str, actor: str, *, restart: bool = False
    ) -> AbstractContextManager[Scan]:
        """Take up the dataset's unfinished scan, or begin one, and hold it while the context lasts.

        An unfinished scan under another contract version, or for something else (`searched`), is dropped, as it is with
        `restart`. ConflictError where another process scans the dataset.
        """
        ...

    def record(self, scan: str, copy: CopyScan) -> None:
        """Keep how far a copy was scanned, instead of what was kept of it before, in one transaction."""
        ...

    def finish(self, scan: str) -> datetime:
        """The scan is done; returns when."""
        ...


@dataclass(frozen=True)
class StoreReport:
    """What one store's copies of a dataset came to."""

    store: str
    copies: tuple[str, ...]
    rows: int
    columns: tuple[ColumnCounts, ...]

    @property
    def where(self) -> str:
        """Where in the store: the copy's name, or how many copies there are."""
        return self.copies[0] if len(self.copies) == 1 else f"{len(self.copies)} {_COPIES.get(self.store, 'parts')}"


@dataclass(frozen=True)
class ScanReport:
    """What a scan came to. `exempt` are fields that the contract has not searched, with its reasons; `admitted` those
    whose cells it stores although nobody can tell of them.
    """

    scan: str
    dataset: str
    contract_version: str
    started_at: datetime
    finished_at: datetime
    stores: tuple[StoreReport, ...]
    exempt: dict[str, str]
    admitted: tuple[str, ...] = ()
    limits: tuple[str, ...] = LIMITS

    @property
    def found(self) -> bool:
        """Whether undeclared data is stored somewhere."""
        return any(column.undeclared for store in self.stores for column in store.columns)

    @property
    def unknown(self) -> bool:
        """Whether nobody can tell of some cell, in a column of which the contract doesn't say why such may pass."""
        columns = (column for store in self.stores for column in store.columns if column.cannot_tell)
        return any(not (column.declared and column.field in self.admitted) for column in columns)

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        stores = [
            {"store": s.store, "copies": s.copies, "rows": s.rows, "columns": findings.as_json(s.columns)}
            for s in self.stores
        ]
        return asdict(replace(self, stores=())) | {"stores": stores, "found": self.found, "unknown": self.unknown}


@dataclass(frozen=True)
class StoredScan:
    """The flow and what it needs."""

    stores: Sequence[StoredCells]
    scanner: Scanner
    scans: ScanStore
    ledger: Ledger
    actor: str

    def run(
        self, plans: Sequence[EnforcementPlan], progress: Progress, *, restart: bool = False
    ) -> tuple[ScanReport, ...]:
        """Scan all stored copies of these datasets; an unfinished scan goes on where it ended, unless `restart`. None
        is finished before all are: so a call that was stopped goes on behind the datasets that it had done.

        Raises ConflictError where another process scans one, TransientError where the same call may succeed later.
        """
        scanned = [self._dataset(plan, progress, restart) for plan in plans]
        reports = tuple(replace(report, finished_at=self.scans.finish(report.scan)) for report in scanned)
        self.ledger.append([self._record(report) for report in reports])
        self.ledger.publish_head()
        return reports

    def _dataset(self, plan: EnforcementPlan, progress: Progress, restart: bool) -> ScanReport:
        columns = StoredColumns(plan, self.scanner)
        searched = _searched(plan, self.scanner)
        with self.scans.hold(plan.dataset, plan.version, searched, self.actor, restart=restart) as scan:
            stored = [(store, copy) for store in self.stores for copy in store.copies(plan)]
            done = [self._copy(scan, store, copy, columns, progress) for store, copy in stored]
        begun = scan.started_at
        stores = _by_store(done)
        told = {one.field for store in stores for one in store.columns if one.declared and one.cannot_tell}
        admitted = tuple(field for field in plan.admit_unscanned if field in told)
        return ScanReport(scan.id, plan.dataset, plan.version, begun, begun, stores, columns.exempt, admitted)

    def _copy(self, scan: Scan, store: StoredCells, copy: Copy, columns: StoredColumns, progress: Progress) -> CopyScan:
        known = scan.copies.get((copy.store, copy.name))
        state = known if known is not None and known.copy.version == copy.version else CopyScan(copy)
        progress(copy, state.rows)
        if state.done:
            return state
        for piece in store.pieces(columns.plan, copy, columns.leave, state.position):
            state = replace(
                state,
                rows=state.rows + piece.rows.num_rows,
                columns=together((*state.columns, *columns.search(piece.rows))),
            )
            if piece.after is not None:
                state = replace(state, position=piece.after)
                self.scans.record(scan.id, state)
            if piece.rows.num_rows:
                progress(copy, state.rows)
        state = replace(state, done=True)
        self.scans.record(scan.id, state)
        return state

    def _record(self, report: ScanReport) -> Record:
        columns = [column for store in report.stores for column in store.columns]
        entities: dict[str, int] = {}
        for column in columns:
            for entity, count in column.entities.items():
                entities[entity] = entities.get(entity, 0) + count
        counts = {
            "rows": sum(store.rows for store in report.stores),
            "cells": sum(column.cells for column in columns),
            "undeclared": sum(column.undeclared for column in columns),
            "cannot_tell": sum(column.cannot_tell for column in columns),
        }
        return Record(
            "scan.done",
            self.actor,
            report.dataset,
            contract=report.contract_version,
            item=report.scan,
            ok=not report.found,
            counts=counts,
            reasons=entities,
        )


def _by_store(done: Sequence[CopyScan]) -> tuple[StoreReport, ...]:
    names = dict.fromkeys(one.copy.store for one in done)
    found = []
    for name in names:
        mine = [one for one in done if one.copy.store == name]
        columns = together(column for one in mine for column in one.columns)
        found.append(StoreReport(name, tuple(one.copy.name for one in mine), sum(one.rows for one in mine), columns))
    return tuple(found)


def _searched(plan: EnforcementPlan, scanner: Scanner) -> str:
    """A digest of all that decides what a cell answers: what was counted under another doesn't count."""
    columns = [(c.name, c.field, c.protect, c.field in plan.scanned) for c in plan.columns if c.stored]
    told = [asdict(plan.scan), columns, [s.pseudonym_column for s in plan.subjects], type(scanner).__name__]
    return hashlib.blake2b(orjson.dumps(told, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
