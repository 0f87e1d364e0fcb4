"""What a kind of personal data is to the corpus, and the drawing of texts from masks."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

Draw = Callable[[random.Random], str]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FIRST_DAY = date(1940, 1, 1)


@dataclass(frozen=True)
class Kind:
    """One entity as one country writes it (ISO 3166-1 alpha-2; empty: everywhere).

    `words` are what a field or a sentence calls it, the first one in a field's name; `share` is how many cells it has
    beside an ordinary kind.
    """

    entity: str
    country: str
    words: tuple[str, ...]
    draw: Draw
    share: int = 1


def fill(chance: random.Random, mask: str, letters: str = LETTERS) -> str:
    """A text from a mask: # is a digit, % a digit from 1 to 9, @ one of `letters`, all else itself."""
    made = {"#": "0123456789", "%": "123456789", "@": letters}
    return "".join(chance.choice(made[c]) if c in made else c for c in mask)


def one_of(*masks: str, letters: str = LETTERS) -> Draw:
    """Draws from one of these masks."""
    return lambda chance: fill(chance, chance.choice(masks), letters)


def grouped(text: str, sizes: Sequence[int], separator: str) -> str:
    """The text in groups of these sizes."""
    groups, at = [], 0
    for size in sizes:
        groups.append(text[at : at + size])
        at += size
    return separator.join(groups)


def until_valid(chance: random.Random, mask: str, finish: Callable[[str], str | None]) -> str:
    """`finish` of drawn texts until it isn't None: some bodies have no check digit by their rule."""
    while True:
        whole = finish(fill(chance, mask))
        if whole is not None:
            return whole


def birthday(chance: random.Random, last: date = date(2005, 12, 31)) -> date:
    """A day from 1940 on."""
    return _FIRST_DAY + timedelta(days=chance.randrange((last - _FIRST_DAY).days + 1))
