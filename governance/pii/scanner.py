"""The scanner's Protocol and its four outcomes. Findings name the field and the entity, never the text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.errors import ContractError

Mask = npt.NDArray[np.bool_]


class ScanOutcome(StrEnum):
    """A scan's only four answers for a cell."""

    CLEAN = "clean"
    DECLARED = "declared"
    UNDECLARED = "undeclared"
    CANNOT_TELL = "cannot-tell"


class Band(StrEnum):
    """How sure a finding is: its score from 0.75 on is high, from 0.5 on medium."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @classmethod
    def of(cls, score: float) -> "Band":
        """The band of a score from 0 to 1."""
        return cls.HIGH if score >= 0.75 else cls.MEDIUM if score >= 0.5 else cls.LOW


@dataclass(frozen=True)
class FieldScan:
    """How the cells of one column are searched.

    `text` adds the row's own declared values and names to the patterns; `context` are the words that speak for an
    entity (the field's name and description); with `redact` the scanner gives the cells back with each found span
    replaced by its entity's tag. An entity in `declared` is one that the contract declares for this very field: a cell
    that holds it and no other is declared.
    """

    field: str
    text: bool = True
    redact: bool = False
    context: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanPlan:
    """What a dataset's cells are searched for: pure data, compiled from its contract.

    `entities` are Presidio's names; `countries` are ISO 3166-1 alpha-2, lower case. Entities alone: these, whatever
    their country. Countries alone: what belongs to no country, and all that Presidio has for these. Both: of these
    entities those that belong to no country or to one of these. Neither: what belongs to no country, and what Presidio
    enables by itself (a few of the United States and the United Kingdom). A match counts from its entity's score in
    `thresholds` on, else from `threshold` on. A column that is not in `fields` is one that nobody declared: it is
    searched for patterns. `own` gives the entity of each declared personal field (field id -> entity), by which the
    row's own values are called where its free text holds them.
    """

    entities: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    threshold: float = 0.4
    thresholds: Mapping[str, float] = field(default_factory=dict)
    fields: tuple[FieldScan, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> FieldScan:
        """How this column is searched."""
        return self._by_name.get(name) or FieldScan(name, text=False)

    @cached_property
    def _by_name(self) -> dict[str, FieldScan]:
        """A record of a document store may bring thousands of columns."""
        return {f.field: f for f in reversed(self.fields)}

    def least(self, entity: str) -> float:
        """The least score that counts for an entity."""
        return self.thresholds.get(entity, self.threshold)


@dataclass(frozen=True)
class Finding:
    """How many cells of a field answered so: `entity` and `band` are empty for cannot-tell.

    A cell in which several entities were found counts once for each.
    """

    field: str
    outcome: ScanOutcome
    count: int
    entity: str = ""
    band: str = ""


@dataclass(frozen=True)
class ScannedColumn:
    """The scan of one column: `undeclared` and `cannot_tell` are boolean masks, one value a row.

    `redacted`, where the column's plan says `redact` and something was found, is the column with the found spans
    replaced; the rows whose spans were all replaced are not in `undeclared`.
    """

    undeclared: Mask
    cannot_tell: Mask
    findings: tuple[Finding, ...]
    redacted: pa.Array | None = None


class Scanner(Protocol):
    """Looks at every cell of the columns that are to be stored in clear. Safe from several threads."""

    def scan(
        self, columns: Mapping[str, pa.Array], plan: ScanPlan, declared: Mapping[str, pa.Array]
    ) -> dict[str, ScannedColumn]:
        """Scan `columns` (field id -> values of any Arrow type); `declared` holds the row's own personal values (field
        id -> values, as many rows), to be found in its free text. An answer for every column, always.
        """
        ...


def searched(
    scanner: Scanner,
    columns: Mapping[str, pa.Array],
    plan: ScanPlan,
    declared: Mapping[str, pa.Array],
    *,
    known: bool,
) -> dict[str, ScannedColumn]:
    """The scanner's answer for each column, in their order; not `known` are columns that nobody declared, whose names
    may be data. Raises ContractError where it leaves one out.
    """
    answers = scanner.scan(columns, plan, declared) if columns else {}
    for name in columns:
        if name not in answers:
            which = f"field {name}" if known else "a column that nobody declared"
            raise ContractError(f"the scanner gave no answer for {which}: unknown is never a pass")
    return {name: answers[name] for name in columns}


class CannotTell:
    """A scanner that has looked at nothing and says so: every cell that holds a value answers cannot-tell."""

    def scan(
        self, columns: Mapping[str, pa.Array], plan: ScanPlan, declared: Mapping[str, pa.Array]
    ) -> dict[str, ScannedColumn]:
        """Every non-null cell is cannot-tell."""
        del plan, declared
        return {field: self._unknown(field, values) for field, values in columns.items()}

    @staticmethod
    def _unknown(field: str, values: pa.Array) -> ScannedColumn:
        held = values.is_valid().to_numpy(zero_copy_only=False)
        count = int(held.sum())
        findings = (Finding(field, ScanOutcome.CANNOT_TELL, count),) if count else ()
        return ScannedColumn(np.zeros(len(values), dtype=bool), held, findings)
