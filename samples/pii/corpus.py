"""The corpus: cells with labelled places, the same for the same seed on every machine."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from samples.pii import africa, americas, asia, europe, generic, germany, people
from samples.pii.disguises import disguise
from samples.pii.kinds import Kind
from samples.pii.misses import misses
from samples.pii.sentences import JOINED, TOLD, UNTOLD, WRAPPED, put
from samples.seeded import stream

ALONE, UNTOLD_TEXT, TOLD_TEXT, WRAP, JOIN, DISGUISED, MISS, NAME = (
    "alone", "text", "text with the word", "wrapped", "joined", "disguised", "near miss", "name",
)  # fmt: skip
_CELLS = ((ALONE, 24), (UNTOLD_TEXT, 12), (TOLD_TEXT, 8), (WRAP, 6), (JOIN, 3), (DISGUISED, 7))
_MISSES_EACH, _NAMES = 80, 400


@dataclass(frozen=True)
class Label:
    """A place in a cell's text, in code points, and the entity that stands there."""

    start: int
    end: int
    entity: str


@dataclass(frozen=True)
class Cell:
    """One cell: `style` is how it holds its data, or which near miss it is; `country` the one whose contract would see
    it.
    """

    text: str
    labels: tuple[Label, ...]
    country: str
    style: str


def kinds() -> tuple[Kind, ...]:
    """Every kind, generic ones first."""
    countries = (americas, europe, germany, asia, africa)
    return (*generic.kinds(), *(kind for module in countries for kind in module.kinds()))


def corpus(seed: int = 20261121) -> list[Cell]:
    """All cells. Near misses, generic kinds and names fall to the countries in turn."""
    turns = cycle(countries())
    cells = [cell for kind in kinds() for cell in _of_kind(kind, stream(seed, kind.entity), turns)]
    cells += [Cell(text, (), next(turns), MISS) for _, text in misses(stream(seed, "misses"), _MISSES_EACH)]
    return cells + list(_of_names(stream(seed, "names"), turns))


def countries() -> tuple[str, ...]:
    """Those that have kinds of their own."""
    return tuple(dict.fromkeys(kind.country for kind in kinds() if kind.country))


def _of_kind(kind: Kind, chance: random.Random, turns: "cycle[str]") -> Iterator[Cell]:
    for style, count in _CELLS:
        for _ in range(count * kind.share):
            text, start, end = _placed(style, kind, chance)
            yield Cell(text, (Label(start, end, kind.entity),), kind.country or next(turns), style)


def _placed(style: str, kind: Kind, chance: random.Random) -> tuple[str, int, int]:
    value = kind.draw(chance)
    templates = {UNTOLD_TEXT: UNTOLD, TOLD_TEXT: TOLD, WRAP: WRAPPED, JOIN: JOINED}
    if style == DISGUISED:
        value = disguise(chance, value)
    template = chance.choice(templates.get(style, ("{}",)))
    text, start = put(template, value, chance.choice(kind.words))
    return text, start, start + len(value)


def _of_names(chance: random.Random, turns: "cycle[str]") -> Iterator[Cell]:
    for _ in range(_NAMES):
        name = people.name(chance)
        text, start = put(chance.choice(people.TEMPLATES), name, "")
        yield Cell(text, (Label(start, start + len(name), "PERSON"),), next(turns), NAME)
    for text in people.NOT_NAMES:
        yield Cell(text, (), next(turns), MISS)
