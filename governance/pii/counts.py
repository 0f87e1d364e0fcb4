"""What a scan came to, column by column: counts alone, which add up over batches, files and tables."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from governance.pii.scanner import Finding, ScannedColumn, ScanOutcome

_ORDER = (ScanOutcome.UNDECLARED, ScanOutcome.CANNOT_TELL, ScanOutcome.DECLARED, ScanOutcome.CLEAN)


@dataclass(frozen=True)
class ColumnCounts:
    """One column: `cells` that were read (empty ones too), those of them with undeclared data, those that nobody can
    tell of, and the findings by entity and band.

    `declared` tells a field of the contract (its id) from a column that nobody declared (its name). A cell with two
    entities is one of `undeclared` and counts in two findings.
    """

    field: str
    declared: bool
    cells: int
    undeclared: int = 0
    cannot_tell: int = 0
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, field: str, scanned: ScannedColumn, *, declared: bool = True) -> "ColumnCounts":
        """The counts of a scanned column."""
        undeclared, unknown = int(scanned.undeclared.sum()), int(scanned.cannot_tell.sum())
        return cls(field, declared, len(scanned.undeclared), undeclared, unknown, _together(field, scanned.findings))

    @property
    def share(self) -> float:
        """Cells with undeclared data, of those that were read: 0 to 1."""
        return self.undeclared / self.cells if self.cells else 0.0

    @property
    def entities(self) -> dict[str, int]:
        """Undeclared cells by entity, the most frequent first."""
        counts: dict[str, int] = {}
        for one in self.findings:
            if one.outcome is ScanOutcome.UNDECLARED:
                counts[one.entity] = counts.get(one.entity, 0) + one.count
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def __add__(self, other: "ColumnCounts") -> "ColumnCounts":
        """Both together; the name is the left one's."""
        return ColumnCounts(
            self.field,
            self.declared,
            self.cells + other.cells,
            self.undeclared + other.undeclared,
            self.cannot_tell + other.cannot_tell,
            _together(self.field, (*self.findings, *other.findings)),
        )

    def called(self, name: str) -> "ColumnCounts":
        """The same counts under another name."""
        return replace(self, field=name, findings=_together(name, self.findings))


def together(columns: Iterable[ColumnCounts]) -> tuple[ColumnCounts, ...]:
    """One of each column, in the order in which they first appear: fields, then what nobody declared."""
    found: dict[tuple[bool, str], ColumnCounts] = {}
    for one in columns:
        key = (not one.declared, one.field)
        found[key] = found[key] + one if key in found else one
    return tuple(found[key] for key in sorted(found, key=lambda key: key[0]))


def _together(name: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    counts: dict[tuple[str, str, str], int] = {}
    for one in findings:
        key = (str(one.outcome), one.entity, one.band)
        counts[key] = counts.get(key, 0) + one.count
    found = [Finding(name, ScanOutcome(outcome), count, *rest) for (outcome, *rest), count in counts.items()]
    return tuple(sorted(found, key=lambda one: (_ORDER.index(one.outcome), -one.count, one.entity, one.band)))
