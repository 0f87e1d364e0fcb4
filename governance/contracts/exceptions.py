"""What a contract excepts from the search for undeclared personal data, each time with its reason: no fault, and never
unsaid.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from governance.contracts.faults import at
from governance.contracts.types import Contract, Dataset, Field, Line, OnCannotTell, Protect, Scan


@dataclass(frozen=True)
class ScanException:
    """One field that is searched less than it could be: where that stands, how, and why."""

    where: Line
    code: str
    dataset: str
    field: str
    message: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: field {self.field}: {self.message}: {self.reason}"


def scan_exceptions(contract: Contract) -> Iterator[ScanException]:
    """Every exception of a contract, in the order of the file."""
    for dataset in contract.datasets:
        for field in dataset.fields:
            if field.protect in (None, Protect.CLEAR):
                yield from _exceptions(dataset, field)


def _exceptions(dataset: Dataset, field: Field) -> Iterator[ScanException]:
    reason = " ".join((field.reason or "").split())
    if field.scan is Scan.NONE:
        where = at(field, "scan")
        yield ScanException(where, "not-scanned", dataset.id, field.id, "stored in clear and not searched", reason)
        return
    if field.scan is Scan.PATTERN and field.is_free_text:
        message = "a free text, searched for patterns only"
        yield ScanException(at(field, "scan"), "patterns-only", dataset.id, field.id, message, reason)
    if field.on_cannot_tell is OnCannotTell.ADMIT:
        message = "stored also where nobody can tell what a cell holds"
        where = at(field, "onCannotTell")
        yield ScanException(where, "cannot-tell-admitted", dataset.id, field.id, message, reason)
