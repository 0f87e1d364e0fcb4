"""What may differ between two versions of a contract, and how much it matters."""

from dataclasses import dataclass
from enum import StrEnum

from governance.contracts.types import Line


class ChangeKind(StrEnum):
    """How much a change matters. Breaking: what reads or writes the data must change too. Weakening: a person is
    protected less, or a gate lets more through.
    """

    BREAKING = "breaking"
    WEAKENING = "weakening"
    COMPATIBLE = "compatible"


@dataclass(frozen=True)
class Change:
    """One difference, by the place where it stands in the new file (in the old one where the thing is gone)."""

    kind: ChangeKind
    code: str
    message: str
    where: Line
    dataset: str | None = None
    field: str | None = None

    @property
    def stops(self) -> bool:
        """Whether it needs somebody's consent."""
        return self.kind is not ChangeKind.COMPATIBLE

    def __str__(self) -> str:
        subject = f" field {self.field}:" if self.field else ""
        return f"{self.where}: {self.kind}:{subject} {self.message}"


def breaking(where: Line, code: str, message: str, field: str | None = None) -> Change:
    """A change that what reads or writes the data must follow."""
    return Change(ChangeKind.BREAKING, code, message, where, field=field)


def weakening(where: Line, code: str, message: str, field: str | None = None) -> Change:
    """A change by which a person is protected less, or a gate lets more through."""
    return Change(ChangeKind.WEAKENING, code, message, where, field=field)


def compatible(where: Line, code: str, message: str, field: str | None = None) -> Change:
    """A change that nobody need follow."""
    return Change(ChangeKind.COMPATIBLE, code, message, where, field=field)
