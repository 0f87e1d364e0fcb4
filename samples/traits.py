"""Which row of a feed meets which oddity or defect: as many in every thousand as declared, so that each is counted.

A row meets one at most, so that the reason for which it is held is never in doubt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from samples.draws import Draws
from samples.rows import ADMITTED, Outcome

F = TypeVar("F")
Record = dict[str, Any]

REFUSED = frozenset({"underage", "age_unknown", "expired"})
"""The reasons of which only a count is left. All others hold a row in quarantine."""
ECHO = "echo"
"""The trait of a row that gives an earlier one again, word for word."""
_APART = 37
"""How many rows at least lie between a row and its echo: often they are on different pages."""
_STRIDE = 7919
"""A prime: stepping by it, rows that meet the same thing stand apart."""


@dataclass(frozen=True)
class Trait(Generic[F]):
    """An oddity (outcome admitted) or a defect: in how many of a thousand rows, and what it does to the record."""

    name: str
    share: int
    spoil: Callable[[Record, F, Draws], None]
    outcome: Outcome = ADMITTED


@dataclass(slots=True)
class Row(Generic[F]):
    """One row of a feed: its record as served, what the source means by it, and what must become of it.

    `version` is when it last changed, in microseconds from 1970, which is what merging goes by.
    """

    serial: int
    key: str
    version: int
    record: Record
    facts: F
    outcome: Outcome
    trait: str | None


class Pattern(Generic[F]):
    """`share` of the rows meet a trait, in the proportions of the traits' own shares; None takes those as they are."""

    def __init__(self, traits: Sequence[Trait[F]], seed: int, share: float | None = None) -> None:
        self._table = [trait for trait in traits for _ in range(trait.share)]
        if share is not None and not 0 <= share <= 1:
            raise ValueError("the share of rows with a defect lies between 0 and 1")
        wanted = len(self._table) / 1000 if share is None else share
        self._cycle = max(len(self._table), round(len(self._table) / wanted)) if wanted else 0
        if self._cycle % _STRIDE == 0 and self._cycle:
            self._cycle += 1
        self._shift = seed % self._cycle if self._cycle else 0

    def of(self, serial: int) -> Trait[F] | None:
        """What befalls this row."""
        if not self._cycle:
            return None
        place = (serial * _STRIDE + self._shift) % self._cycle
        return self._table[place] if place < len(self._table) else None

    def original(self, serial: int) -> int:
        """The row that an echo gives again: the nearest at least 37 rows before that nothing befalls, else itself."""
        latest = serial - _APART
        earlier = range(latest, max(latest - self._cycle, -1), -1)
        return next((place for place in earlier if self.of(place) is None), serial)
