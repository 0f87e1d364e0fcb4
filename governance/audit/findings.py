"""What a verification found, in words that name the record, the span between two heads, the head or the line."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MAX_FINDINGS: Final = 200


class Fault(StrEnum):
    """Every kind of tampering that is told apart."""

    ALTERED = "record altered"
    LEAF = "stored leaf hash altered"
    DROPPED = "record dropped"
    INSERTED = "record inserted"
    REORDERED = "records reordered"
    REWRITTEN = "span rewritten"
    TRUNCATED = "records cut off the end"
    ROLLED_BACK = "database rolled back"
    STATE = "running state altered"
    TILE = "stored tile altered"
    HEAD_FORGED = "head forged"
    HEAD_FOREIGN = "head signed by another key"
    HEAD_MISSING = "head dropped"
    HEAD_FORKED = "heads contradict each other"
    ANCHOR = "anchor altered"


@dataclass(frozen=True)
class Finding:
    """One fault. `first` and `last`: the record indexes it is about (inclusive), where it is about records."""

    fault: Fault
    message: str
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        return f"{self.fault}: {self.message}"


@dataclass(frozen=True)
class Report:
    """The outcome. `size`: records read; `heads`: heads that held; `proven`: records under the newest head that the
    verifier held; `more`: findings beyond the first 200; `notes`: what a reader should know and is no fault.
    """

    size: int
    heads: int
    proven: int
    findings: tuple[Finding, ...]
    more: int = 0
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.findings


@dataclass
class Findings:
    """Collects findings in bounded memory."""

    kept: list[Finding] = field(default_factory=list)
    more: int = 0

    def add(self, fault: Fault, message: str, first: int | None = None, last: int | None = None) -> None:
        """One more."""
        if len(self.kept) < MAX_FINDINGS:
            self.kept.append(Finding(fault, message, first, last))
        else:
            self.more += 1

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.kept)


def records(first: int, last: int) -> str:
    """`record 7` or `records 7 to 9`."""
    return f"record {first}" if first == last else f"records {first} to {last}"


def they_are(first: int, last: int) -> str:
    """`record 7 is` or `records 7 to 9 are`."""
    return f"{records(first, last)} {'is' if first == last else 'are'}"
