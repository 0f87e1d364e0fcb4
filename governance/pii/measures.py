"""Cheap facts of a cell, and the least of them that a match must have.

A measure counts, in the longest stretch of a text whose characters are all of some kinds, those that are of some
(other) kinds: the most digits side by side, the letters of the whole text. Since a match is a stretch of the text, a
text that measures less than every possible match holds none. One algebra gives the least of a pattern for each.
"""

from collections.abc import Sequence as Listed
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from governance.pii.charset import ANY, LAST, CharSet, digits, matched, words
from governance.pii.syntax import Chars, Choice, Node, Repeat, Sequence, edge

# A measure stops here, and so does what is asked for.
CAP = 31


class Kind(IntEnum):
    """Every character is of one kind."""

    OTHER = 0
    DIGIT = 1
    LETTER = 2
    UNDERSCORE = 3
    AT = 4
    DOT = 5
    COLON = 6
    HYPHEN = 7
    SLASH = 8


@dataclass(frozen=True)
class Measure:
    """In the longest stretch of `within`, how many are of `counted` (a part of `within`)."""

    within: tuple[Kind, ...]
    counted: tuple[Kind, ...]


_ALL = tuple(Kind)
_WORD = (Kind.DIGIT, Kind.LETTER, Kind.UNDERSCORE)
# Counts of the whole text come first, then those of a stretch.
WHOLE = (
    Measure(_ALL, _ALL),
    Measure(_ALL, (Kind.DIGIT,)),
    Measure(_ALL, (Kind.LETTER,)),
    Measure(_ALL, (Kind.AT,)),
    Measure(_ALL, (Kind.DOT,)),
    Measure(_ALL, (Kind.COLON,)),
    Measure(_ALL, (Kind.HYPHEN,)),
    Measure(_ALL, (Kind.SLASH,)),
)
STRETCHES = (
    Measure((Kind.DIGIT,), (Kind.DIGIT,)),
    Measure(_WORD, _WORD),
    Measure((*_WORD, Kind.HYPHEN), (Kind.DIGIT,)),
)
MEASURES = (*WHOLE, *STRETCHES)
SIZE = len(MEASURES) + 1
"""How many facts there are: the measures, and last how often a full stop has part of a word right behind it."""
LENGTH, DIGITS, LETTERS, RUN = 0, 1, 2, len(WHOLE)
"""The places among the measures of the length in characters, the decimal digits, the letters, the digits in a row."""

Needs = tuple[int, ...]
NOTHING: Needs = (0,) * SIZE


@lru_cache(maxsize=1)
def kinds() -> dict[Kind, CharSet]:
    """The characters of each kind; letters are all that `regex` takes for part of a word, but for digits and _."""
    digit = digits() | CharSet.of((c, c) for c in range(LAST + 1) if chr(c).isdecimal())
    signs = {Kind.AT: "@", Kind.DOT: ".", Kind.COLON: ":", Kind.HYPHEN: "-", Kind.SLASH: "/", Kind.UNDERSCORE: "_"}
    found = {kind: CharSet.chars(sign) for kind, sign in signs.items()}
    letter = (words() | matched(r"\p{Alphabetic}")) - digit - found[Kind.UNDERSCORE]
    found |= {Kind.DIGIT: digit, Kind.LETTER: letter}
    known = CharSet.of(r for chars in found.values() for r in chars.ranges)
    return found | {Kind.OTHER: ANY - known}


@lru_cache(maxsize=1)
def kind_of() -> npt.NDArray[np.uint8]:
    """The kind of each code point."""
    table = np.zeros(LAST + 1, np.uint8)
    for kind, chars in kinds().items():
        for low, high in chars.ranges:
            table[low : high + 1] = kind
    return table


@lru_cache(maxsize=64)
def _of(members: tuple[Kind, ...]) -> CharSet:
    if len(members) == len(_ALL):
        return ANY
    return CharSet.of(r for kind in members for r in kinds()[kind].ranges)


@dataclass(frozen=True)
class _Least:
    """The least that a measure can be over what a tree matches: in it all (if it is `pure`, all of it lies within), at
    its begin, at its end, and in its best stretch.
    """

    pure: bool
    whole: int
    first: int
    last: int
    best: int

    def then(self, after: "_Least") -> "_Least":
        return _Least(
            self.pure and after.pure,
            min(CAP, self.whole + after.whole),
            min(CAP, self.whole + after.first) if self.pure else self.first,
            min(CAP, after.whole + self.last) if after.pure else after.last,
            min(CAP, max(self.best, after.best, self.last + after.first)),
        )

    def either(self, other: "_Least") -> "_Least":
        return _Least(
            self.pure and other.pure,
            min(self.whole, other.whole),
            min(self.first, other.first),
            min(self.last, other.last),
            min(self.best, other.best),
        )


_EMPTY = _Least(True, 0, 0, 0, 0)


def needs(node: Node) -> Needs:
    """The least of each fact that a text with a match of this tree has."""
    return (*(_least(node, measure).best for measure in MEASURES), min(CAP, _inner_stops(node)))


def _inner_stops(node: Node) -> int:
    """The fewest full stops in a match that have part of a word right behind them."""
    if isinstance(node, Sequence):
        items = [item for item in node.items if edge(item, left=True)[0]]
        beside = sum(_ends_in_stop(a) and _begins_as_word(b) for a, b in pairwise(items))
        return beside + sum(map(_inner_stops, items))
    if isinstance(node, Choice):
        return min(map(_inner_stops, node.branches))
    return node.low * _inner_stops(node.node) if isinstance(node, Repeat) else 0


def _ends_in_stop(node: Node) -> bool:
    chars, empty = edge(node, left=False)
    return not empty and _within(chars, (Kind.DOT,))


def _begins_as_word(node: Node) -> bool:
    chars, empty = edge(node, left=True)
    return not empty and _within(chars, _WORD)


def weakest(needed: Listed[Needs]) -> Needs:
    """What is needed where any one of these suffices."""
    return tuple(min(column) for column in zip(*needed, strict=True)) if needed else NOTHING


def strongest(needed: Listed[Needs]) -> Needs:
    """What is needed where all of these are."""
    return tuple(max(column) for column in zip(*needed, strict=True)) if needed else NOTHING


@lru_cache(maxsize=100_000)
def _within(chars: CharSet, members: tuple[Kind, ...]) -> bool:
    return chars <= _of(members)


def _least(node: Node, measure: Measure) -> _Least:
    if isinstance(node, Chars):
        if not _within(node.most, measure.within):
            return _Least(False, 0, 0, 0, 0)
        one = int(_within(node.most, measure.counted))
        return _Least(True, one, one, one, one)
    if isinstance(node, Sequence):
        return _in_order(node.items, measure)
    if isinstance(node, Choice):
        branches = [_least(branch, measure) for branch in node.branches]
        total = branches[0]
        for branch in branches[1:]:
            total = total.either(branch)
        return total
    if isinstance(node, Repeat):
        return _repeated(_least(node.node, measure), node.low, node.high)
    # A boundary or a look takes no character.
    return _EMPTY


def _in_order(items: tuple[Node, ...], measure: Measure) -> _Least:
    total = _EMPTY
    plain: list[Chars] = []
    for item in items:
        if isinstance(item, Chars):
            plain.append(item)
            continue
        total = total.then(_characters(plain, measure)).then(_least(item, measure))
        plain = []
    return total.then(_characters(plain, measure)) if plain else total


def _characters(items: list[Chars], measure: Measure) -> _Least:
    """Of characters in a row, as if each were joined to the one before."""
    whole = run = best = 0
    first: int | None = None
    for item in items:
        if _within(item.most, measure.within):
            one = int(_within(item.most, measure.counted))
            whole, run = whole + one, run + one
            best = max(best, run)
        else:
            first = run if first is None else first
            run = 0
    return _Least(
        first is None, min(CAP, whole), min(CAP, run if first is None else first), min(CAP, run), min(CAP, best)
    )


def _repeated(one: _Least, low: int, high: int | None) -> _Least:
    total = _EMPTY
    for _ in range(min(low, CAP + 1)):
        total = total.then(one)
    exact = high == low and low <= CAP + 1
    return total if exact else total.then(_Least(one.pure, 0, 0, 0, 0))
