"""The scanner's Protocol and its four outcomes. Findings name the field and the entity, never the text."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import pyarrow as pa


class ScanOutcome(StrEnum):
    """A scan's only four answers for a cell."""

    CLEAN = "clean"
    DECLARED = "declared"
    UNDECLARED = "undeclared"
    CANNOT_TELL = "cannot-tell"


@dataclass(frozen=True)
class Finding:
    """How many cells of a field answered so: `entity` and `band` (low, medium, high) are empty for cannot-tell."""

    field: str
    outcome: ScanOutcome
    count: int
    entity: str = ""
    band: str = ""


@dataclass(frozen=True)
class ScannedColumn:
    """The scan of one column: `undeclared` and `cannot_tell` are boolean masks, one value a row."""

    undeclared: np.ndarray
    cannot_tell: np.ndarray
    findings: tuple[Finding, ...]


class Scanner(Protocol):
    """Looks at every cell of the columns that are to be stored in clear."""

    def scan(self, columns: Mapping[str, pa.Array], declared: Mapping[str, pa.Array]) -> dict[str, ScannedColumn]:
        """Scan `columns` (field id -> values); `declared` holds the row's own personal values, to be found in its
        free text.
        """
        ...


class CannotTell:
    """A scanner that has looked at nothing and says so: every cell that holds a value answers cannot-tell."""

    def scan(self, columns: Mapping[str, pa.Array], declared: Mapping[str, pa.Array]) -> dict[str, ScannedColumn]:
        """Every non-null cell is cannot-tell."""
        del declared
        return {field: self._unknown(field, values) for field, values in columns.items()}

    @staticmethod
    def _unknown(field: str, values: pa.Array) -> ScannedColumn:
        held = values.is_valid().to_numpy(zero_copy_only=False)
        count = int(held.sum())
        findings = (Finding(field, ScanOutcome.CANNOT_TELL, count),) if count else ()
        return ScannedColumn(np.zeros(len(values), dtype=bool), held, findings)
