"""A folded text, and where a folded value stands in it between the edges of words."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from governance.errors import KasbahError
from governance.pii.folding import Folded, fold

ANYWHERE: frozenset[int] = frozenset({-1})
"""Joints of a value whose symbols may all stand apart, as digits do."""

WIDEST_GAP = 3
"""Characters other than white space that may stand between two symbols of one value."""

MOST_TRIES = 20_000
"""Occurrences of one value that are looked at in one text, some 100 ms: more is cannot-tell."""


class TooManyError(KasbahError):
    """A text holds a value more often than is worth looking at."""


class Place(NamedTuple):
    """Where a value was found, in the text's characters, and how sure that is."""

    begin: int
    end: int
    score: float


class Needle(NamedTuple):
    """A folded value: between which of its symbols something may stand (before symbol k)."""

    symbols: str
    joints: frozenset[int]


@dataclass(frozen=True)
class Text:
    """A cell as it is and folded."""

    raw: str

    @cached_property
    def folded(self) -> Folded:
        """The symbols."""
        return fold(self.raw)

    def place(self, start: int, stop: int, score: float) -> Place:
        """The characters of some symbols."""
        return Place(int(self.folded.begin[start]), int(self.folded.end[stop - 1]), score)

    def gap(self, symbol: int) -> str:
        """What stands before a symbol, back to the symbol before it or the text's beginning."""
        low = int(self.folded.end[symbol - 1]) if symbol else 0
        high = int(self.folded.begin[symbol]) if symbol < len(self.folded.symbols) else len(self.raw)
        return self.raw[low:high]

    def near(self, symbol: int) -> bool:
        """Whether a symbol follows the one before it in the same phrase."""
        gap = self.gap(symbol)
        return len("".join(gap.split())) <= WIDEST_GAP

    def every(self, symbols: str) -> Iterator[int]:
        """Each place of some symbols, whatever stands around them. Raises TooManyError."""
        at = self.folded.symbols.find(symbols)
        for _ in range(MOST_TRIES):
            if at < 0:
                return
            yield at
            at = self.folded.symbols.find(symbols, at + 1)
        raise TooManyError("a text holds a value more often than is worth looking at")

    def find(self, needle: Needle) -> Iterator[tuple[int, int]]:
        """Symbols at which the value stands: from the edge of a word to the edge of a word, with something in between
        only at its joints. Raises TooManyError.
        """
        edge, size = self.folded.edge, len(needle.symbols)
        for at in self.every(needle.symbols) if size else ():
            if edge[at] and edge[at + size] and self._holds(at, at + size, needle.joints):
                yield at, at + size

    def find_tail(self, digits: str) -> Iterator[tuple[int, int]]:
        """Symbols at which digits stand that end a group of digits. Raises TooManyError."""
        for at in self.every(digits):
            if self.folded.edge[at + len(digits)] and self._holds(at, at + len(digits), ANYWHERE):
                yield at, at + len(digits)

    def _holds(self, start: int, stop: int, joints: frozenset[int]) -> bool:
        apart = self.folded.apart[start + 1 : stop].nonzero()[0].tolist()
        if joints is not ANYWHERE and any(k + 1 not in joints for k in apart):
            return False
        return all(self.near(start + 1 + k) for k in apart)


def needles(value: str) -> list[Needle]:
    """A value's own spelling, and the one with its umlauts written out where that differs."""
    forms = [fold(value)] if value.isascii() else [fold(value), fold(value, written_out=True)]
    found = [needle_of(f, 0, len(f.symbols)) for f in forms]
    return list(dict.fromkeys(n for n in found if n.symbols))


def needle_of(one: Folded, start: int, stop: int) -> Needle:
    """Some symbols of a value, apart where they are apart in it."""
    apart = one.apart[start + 1 : stop].nonzero()[0]
    return Needle(one.symbols[start:stop], frozenset((apart + 1).tolist()))
