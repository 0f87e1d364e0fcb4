"""Where personal data was found: places in the cells of one column, as numpy arrays. No text is kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def _no_rows() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Spans:
    """Found places of one column, one a position in each array.

    `start` and `end` are offsets in code points of the cell, as Python counts them; `entity` is an index into `names`;
    `score` lies between 0 and 1. `unread` are the rows that could not be searched: they are cannot-tell, whatever was
    found in them.
    """

    row: Ints
    start: Ints
    end: Ints
    entity: Ints
    score: Floats
    names: tuple[str, ...]
    unread: Ints = field(default_factory=_no_rows)

    @classmethod
    def none(cls, unread: Ints | None = None) -> "Spans":
        """Nothing found."""
        return cls.of((), unread)

    @classmethod
    def of(cls, found: Iterable[tuple[int, int, int, str, float]], unread: Ints | None = None) -> "Spans":
        """From (row, start, end, entity, score), in any order."""
        rows = list(found)
        names = tuple(dict.fromkeys(r[3] for r in rows))
        index = {name: i for i, name in enumerate(names)}
        return cls(
            np.array([r[0] for r in rows], np.int64),
            np.array([r[1] for r in rows], np.int64),
            np.array([r[2] for r in rows], np.int64),
            np.array([index[r[3]] for r in rows], np.int64),
            np.array([r[4] for r in rows], np.float64),
            names,
            _no_rows() if unread is None else np.unique(np.asarray(unread, np.int64)),
        )

    def __len__(self) -> int:
        return len(self.row)

    def tuples(self) -> list[tuple[int, int, int, str, float]]:
        """(row, start, end, entity, score), as they lie."""
        whole = zip(self.row, self.start, self.end, self.entity, self.score, strict=True)
        return [(int(r), int(s), int(e), self.names[n], float(p)) for r, s, e, n, p in whole]

    def where(self, which: Mask | Ints) -> "Spans":
        """Some of the places, by a mask or by positions; all unread rows."""
        taken = (self.row[which], self.start[which], self.end[which], self.entity[which], self.score[which])
        return Spans(*taken, self.names, self.unread)

    def at_least(self, scores: dict[str, float], otherwise: float) -> "Spans":
        """The places that reach their entity's score."""
        least = np.array([scores.get(name, otherwise) for name in self.names] or [otherwise])
        return self.where(self.score >= least[self.entity]) if len(self) else self

    def spread(self, index: Ints, rows: Ints | None = None) -> "Spans":
        """Places in distinct values, told of the cells that hold them.

        `index` gives each cell's distinct value (negative for none); `rows` its row, 0, 1, 2, … unless given.
        """
        rows = np.arange(len(index), dtype=np.int64) if rows is None else rows
        held = index >= 0
        order = np.argsort(index[held], kind="stable")
        value, row = index[held][order], rows[held][order]
        first, last = np.searchsorted(value, self.row, "left"), np.searchsorted(value, self.row, "right")
        counts = last - first
        which = np.repeat(np.arange(len(self)), counts)
        place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
        spread = self.where(which)
        unread = np.sort(row[np.isin(value, self.unread)]).astype(np.int64)
        return Spans(row[place], spread.start, spread.end, spread.entity, spread.score, self.names, unread)

    def merged(self) -> "Spans":
        """In order of row and place, with overlapping places made one: the highest score names it, the longer and then
        the earlier of equals. Places that only touch stay two.
        """
        if not len(self):
            return self
        one = self.where(np.lexsort((-self.end, self.start, self.row)))
        width = int(one.end.max()) + 1
        reach = np.maximum.accumulate(one.row * width + one.end)
        fresh = np.ones(len(one), dtype=bool)
        fresh[1:] = (one.row * width + one.start)[1:] >= reach[:-1]
        group = np.cumsum(fresh) - 1
        first = np.flatnonzero(fresh)
        best = np.lexsort((one.start, one.start - one.end, -one.score, group))[first]
        start, row = one.start[first], one.row[first]
        end = np.maximum.reduceat(one.end, first)
        return Spans(row, start, end, one.entity[best], one.score[best], self.names, self.unread)

    def counts(self, rows: int) -> Ints:
        """How many places each row has."""
        return np.bincount(self.row, minlength=rows).astype(np.int64)

    def touched(self, rows: int) -> Mask:
        """Which rows have a place."""
        mask = np.zeros(rows, dtype=bool)
        mask[self.row] = True
        return mask

    def not_read(self, rows: int) -> Mask:
        """Which rows could not be searched."""
        mask = np.zeros(rows, dtype=bool)
        mask[self.unread] = True
        return mask


def concat(*parts: Spans) -> Spans:
    """All places of several searches of the same column."""
    names = tuple(dict.fromkeys(name for p in parts for name in p.names))
    index = {name: i for i, name in enumerate(names)}
    entities = [np.array([index[n] for n in p.names], np.int64)[p.entity] for p in parts if len(p)]
    held = [p for p in parts if len(p)]
    unread = np.unique(np.concatenate([p.unread for p in parts])) if parts else _no_rows()
    if not held:
        return Spans.none(unread)
    return Spans(
        np.concatenate([p.row for p in held]),
        np.concatenate([p.start for p in held]),
        np.concatenate([p.end for p in held]),
        np.concatenate(entities),
        np.concatenate([p.score for p in held]),
        names,
        unread,
    )
