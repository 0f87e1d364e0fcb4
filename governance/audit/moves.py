"""Records that stand at another index than the one their bytes carry: were they dropped, inserted or reordered?

Rows are told in order; neighbours that moved by the same distance are one run, so memory is flat.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_RUNS: Final = 1000


@dataclass
class _Run:
    first: int
    last: int
    shift: int


@dataclass
class Moves:
    """Collects the rows whose carried index differs from their place. `overflow`: runs beyond the first 1,000."""

    overflow: int = 0
    _runs: list[_Run] = field(default_factory=list)

    def see(self, place: int, carried: int) -> None:
        """One row, in order of `place`, that carries another index."""
        shift = carried - place
        run = self._runs[-1] if self._runs else None
        if run and run.shift == shift and run.last == place - 1:
            run.last = place
        elif len(self._runs) < MAX_RUNS:
            self._runs.append(_Run(place, place, shift))
        else:
            self.overflow += 1

    def __bool__(self) -> bool:
        return bool(self._runs)

    def dropped(self, newest: int) -> list[tuple[int, int]]:
        """Spans (first, last) of indexes that no row carries, up to `newest`, the largest that any row carries."""
        return [(a, min(b, newest)) for a, b in _minus(self._places(), self._carried()) if a <= newest]

    def inserted(self, rows: int) -> list[tuple[int, int]]:
        """Spans of indexes that two rows carry, so that one of the two was put in. `rows`: how many stand there."""
        return [(a, min(b, rows - 1)) for a, b in _minus(self._carried(), self._places()) if a < rows]

    def places(self) -> list[tuple[int, int]]:
        """Spans of places where another record stands than should."""
        return self._places()

    def _places(self) -> list[tuple[int, int]]:
        return _union((run.first, run.last) for run in self._runs)

    def _carried(self) -> list[tuple[int, int]]:
        return _union((run.first + run.shift, run.last + run.shift) for run in self._runs)


def _union(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _minus(spans: list[tuple[int, int]], holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    left = []
    for first, last in spans:
        start = first
        for hole_first, hole_last in holes:
            if hole_last < start or hole_first > last:
                continue
            if hole_first > start:
                left.append((start, hole_first - 1))
            start = hole_last + 1
        if start <= last:
            left.append((start, last))
    return left
