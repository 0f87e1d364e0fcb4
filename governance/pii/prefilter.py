"""What a cell must have for a recogniser to be able to match it, and which cells have it.

A condition is necessary, never sufficient: a cell that doesn't meet it can't be matched, whatever the score. It speaks
of the text as given; another form of it (NFKC) is asked about on its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from governance.pii.measures import DIGITS, LENGTH
from governance.pii.sifting import Bits, Ints, Sieve
from governance.pii.superset import Clause

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Condition:
    """A recogniser can match a cell only if one of the clauses holds; without any, it can match none."""

    clauses: tuple[Clause, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """The RE2 patterns of all clauses."""
        return tuple(pattern for clause in self.clauses for pattern in clause.patterns)


def met(conditions: Sequence[Condition | None], values: pa.Array) -> list[Mask]:
    """For each condition, which of the values (strings, large or not; null meets none) meet it.

    None is a condition that isn't known: every value that isn't null meets it.
    """
    masks = []
    for rows in met_rows(conditions, values):
        mask = np.zeros(len(values), dtype=bool)
        mask[rows] = True
        masks.append(mask)
    return masks


def met_rows(conditions: Sequence[Condition | None], values: pa.Array) -> list[Ints]:
    """As `met`, but the rows in order instead of a mask: cheap where few meet few."""
    known = tuple(c for c in conditions if c is not None)
    text = values if pa.types.is_large_string(values.type) else values.cast(pa.large_string())
    found = iter(_prefilter(known).rows(text))
    every = (
        np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False)).astype(np.int64)
        if len(known) < len(conditions)
        else np.zeros(0, np.int64)
    )
    return [every if condition is None else next(found) for condition in conditions]


def least_length(conditions: Sequence[Condition | None]) -> int:
    """The fewest characters that a text must have to meet any of the conditions."""
    return _least(conditions, LENGTH)


def least_digits(conditions: Sequence[Condition | None]) -> int:
    """The fewest decimal digits that a text must have to meet any of the conditions."""
    return _least(conditions, DIGITS)


def _least(conditions: Sequence[Condition | None], measure: int) -> int:
    if any(condition is None for condition in conditions):
        return 0
    return min((clause.needs[measure] for c in conditions if c is not None for clause in c.clauses), default=0)


class _Prefilter:
    """Some conditions, made ready: one pass over the cheap facts for all of them, then RE2 on what that leaves."""

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        self.conditions = conditions
        self.clauses = tuple(dict.fromkeys(clause for condition in conditions for clause in condition.clauses))
        number = {clause: i for i, clause in enumerate(self.clauses)}
        self.numbers = [[number[clause] for clause in condition.clauses] for condition in conditions]
        self.sieve = Sieve(tuple(clause.needs for clause in self.clauses))

    def rows(self, values: pa.Array) -> list[Ints]:
        """For each condition, the rows (in order) of the values that meet it."""
        row, bits = self.sieve.sift(values)
        left = _Left(values, row, bits)
        holding = [left.holding(i, clause) for i, clause in enumerate(self.clauses)]
        return [row[_union([holding[i] for i in numbers])] for numbers in self.numbers]


class _Left:
    """The cells that the cheap pass left."""

    def __init__(self, values: pa.Array, rows: Ints, bits: Bits) -> None:
        self.bits = bits
        self.values = values.take(pa.array(rows)) if len(rows) < len(values) else values
        self.any = np.bitwise_or.reduce(bits, axis=0) if len(bits) else np.zeros(bits.shape[1], np.uint64)
        self.every = np.arange(len(rows), dtype=np.int64)
        self.matches: dict[tuple[str, int], Ints] = {}

    def holding(self, number: int, clause: Clause) -> Ints:
        """The places, among what was left, of the cells for which a clause holds."""
        word, bit = divmod(number, 64)
        one = np.uint64(1 << bit)
        if not self.any[word] & one:
            return self.every[:0]
        places = np.flatnonzero(self.bits[:, word] & one).astype(np.int64)
        for pattern in clause.patterns:
            if not len(places):
                break
            text = self.values if len(places) == len(self.values) else self.values.take(pa.array(places))
            places = places[pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False).astype(bool)]
        return places


def _union(parts: list[Ints]) -> Ints:
    held = [part for part in parts if len(part)]
    if len(held) < 2:
        return held[0] if held else np.zeros(0, np.int64)
    return np.unique(np.concatenate(held))


@lru_cache(maxsize=64)
def _prefilter(conditions: tuple[Condition, ...]) -> _Prefilter:
    return _Prefilter(conditions)
