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

_ROOM = 8000  # characters of patterns searched for together
_SAMPLE = 256
_WORTH_A_SAMPLE = 2048
_SELDOM = 0.05


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
        places = {i: left.places(i) for i in left.asked(len(self.clauses))}
        left.join({i: self.clauses[i] for i in places}, places)
        holding = {i: left.found(self.clauses[i].patterns, place) for i, place in places.items()}
        return [row[_union([holding[i] for i in numbers if i in holding], len(row))] for numbers in self.numbers]


class _Left:
    """The cells that the cheap pass left, by their places among them."""

    def __init__(self, values: pa.Array, rows: Ints, bits: Bits) -> None:
        self.bits = bits
        self.values = values.take(pa.array(rows)) if len(rows) < len(values) else values
        self.any = np.bitwise_or.reduce(bits, axis=0) if len(bits) else np.zeros(bits.shape[1], np.uint64)

    def asked(self, clauses: int) -> list[int]:
        """The clauses that some cell may hold."""
        return [i for i in range(clauses) if int(self.any[i // 64]) >> (i % 64) & 1]

    def places(self, number: int) -> Ints:
        """The cells that may hold a clause."""
        word, bit = divmod(number, 64)
        return np.flatnonzero(self.bits[:, word] & np.uint64(1 << bit)).astype(np.int64)

    def found(self, patterns: Sequence[str], places: Ints) -> Ints:
        """Those of the places in whose cells each pattern is found."""
        for pattern in patterns:
            if not len(places):
                break
            text = self.values if len(places) == len(self.values) else self.values.take(pa.array(places))
            places = places[pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False).astype(bool)]
        return places

    def join(self, clauses: dict[int, Clause], places: dict[int, Ints]) -> None:
        """Narrow the places of clauses that seldom hold by one search for all: what it doesn't find, none does.

        A clause that often holds, as a sample tells, is left out: it would take all the others' cells along.
        """
        for group in _groups(
            [(i, c.patterns[0]) for i, c in clauses.items() if c.patterns and self.seldom(c, places[i])]
        ):
            every = _union([places[i] for i, _ in group], len(self.values))
            mask = np.zeros(len(self.values), bool)
            mask[self.found(["|".join(f"(?:{pattern})" for _, pattern in group)], every)] = True
            for i, _ in group:
                places[i] = places[i][mask[places[i]]]

    def seldom(self, clause: Clause, places: Ints) -> bool:
        """Whether few of the cells that may hold a clause do, as far as a sample tells."""
        if len(places) < _WORTH_A_SAMPLE:
            return True
        sample = places[:: len(places) // _SAMPLE]
        return len(self.found(clause.patterns[:1], sample)) <= _SELDOM * len(sample)


def _groups(patterns: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """Patterns to be searched for together: small ones, and not more than RE2's automaton has room for."""
    groups: list[list[tuple[int, str]]] = []
    size = _ROOM
    for number, pattern in sorted(patterns, key=lambda one: len(one[1])):
        if size + len(pattern) > _ROOM:
            groups.append([])
            size = 0
        groups[-1].append((number, pattern))
        size += len(pattern)
    return [group for group in groups if len(group) > 1]


def _union(parts: list[Ints], size: int) -> Ints:
    held = [part for part in parts if len(part)]
    if len(held) < 2:
        return held[0] if held else np.zeros(0, np.int64)
    mask = np.zeros(size, bool)
    for part in held:
        mask[part] = True
    return np.flatnonzero(mask).astype(np.int64)


@lru_cache(maxsize=64)
def _prefilter(conditions: tuple[Condition, ...]) -> _Prefilter:
    return _Prefilter(conditions)
