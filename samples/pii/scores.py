"""Precision and recall of found places beside labelled ones, entity by entity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samples.pii.corpus import Cell

Places = Mapping[int, Sequence[tuple[int, int]]]
"""Found places (start, end) of one entity, by the position of their cell."""


@dataclass(frozen=True)
class Score:
    """How one entity was found.

    `cells` hold it, `found` are those of them in which it was found, `wrong` are cells that don't hold it and in which
    it was found. `labels`, `met` and `stray` are the same of places: a label is met by a place that overlaps it, a
    place is stray that overlaps no label.
    """

    cells: int = 0
    found: int = 0
    wrong: int = 0
    labels: int = 0
    met: int = 0
    stray: int = 0

    def __add__(self, other: "Score") -> "Score":
        """Both together."""
        return Score(
            self.cells + other.cells,
            self.found + other.found,
            self.wrong + other.wrong,
            self.labels + other.labels,
            self.met + other.met,
            self.stray + other.stray,
        )

    @property
    def recall(self) -> float:
        """Share of the cells that hold the entity in which it was found: 0 to 1."""
        return self.found / self.cells if self.cells else 0.0

    @property
    def precision(self) -> float:
        """Share of the cells in which the entity was found that hold it; 1 where it was found in none."""
        return self.found / (self.found + self.wrong) if self.found + self.wrong else 1.0

    @property
    def span_recall(self) -> float:
        """Share of the labelled places that a found one overlaps."""
        return self.met / self.labels if self.labels else 0.0

    @property
    def span_precision(self) -> float:
        """Share of the labels met in all that was found; 1 where nothing was."""
        return self.met / (self.met + self.stray) if self.met + self.stray else 1.0


NOTHING = Score()


def score(entity: str, cells: Sequence[Cell], places: Places) -> Score:
    """How well these places tell where the entity stands in these cells."""
    held = found = wrong = labels = met = stray = 0
    for index, cell in enumerate(cells):
        mine = [(one.start, one.end) for one in cell.labels if one.entity == entity]
        here = places.get(index, ())
        held += bool(mine)
        found += bool(mine and here)
        wrong += bool(here and not mine)
        labels += len(mine)
        met += sum(any(_overlap(label, place) for place in here) for label in mine)
        stray += sum(not any(_overlap(label, place) for label in mine) for place in here)
    return Score(held, found, wrong, labels, met, stray)


def _overlap(one: tuple[int, int], two: tuple[int, int]) -> bool:
    return one[0] < two[1] and two[0] < one[1]
