"""The first three digits that the numbers of a pattern can have, for each length of number.

A walk over the pattern's tree keeps, for each count of digits read, the set of starts that led there: as bits of one
integer, so that all thousand are walked at once.
"""

from collections import defaultdict
from functools import lru_cache

from governance.pii.syntax import Chars, Choice, Look, Node, NotUnderstoodError, Repeat, Sequence, parse

LONGEST = 17
"""Digits of a national number, phonenumberutil's _MAX_LENGTH_FOR_NSN."""
EVERY_START = frozenset(f"{n:03}" for n in range(1000))
_SIZE = 3
_ALL = (1 << 1000) - 1

# For a count of digits read, the starts (bit n is the start n) with which it can be reached.
_States = dict[int, int]


@lru_cache(maxsize=1024)
def starts_of(pattern: str | None) -> dict[int, frozenset[str]]:
    """For each length from three on, the starts of the numbers that the whole pattern matches; all, where it isn't
    understood.
    """
    if pattern is None:
        return dict.fromkeys(range(_SIZE, LONGEST + 1), EVERY_START)
    try:
        reached = _walk(parse(pattern, 0), {0: _ALL})
    except NotUnderstoodError:
        return starts_of(None)
    return {length: _named(reached.get(length, 0)) for length in range(_SIZE, LONGEST + 1)}


def _named(bits: int) -> frozenset[str]:
    return frozenset(f"{n:03}" for n in range(1000) if bits >> n & 1)


@lru_cache(maxsize=64)
def _with_digit(place: int, digit: int) -> int:
    return sum(1 << n for n in range(1000) if int(f"{n:03}"[place]) == digit)


def _walk(node: Node, states: _States) -> _States:
    if isinstance(node, Chars):
        return _read(node, states)
    if isinstance(node, Sequence):
        for item in node.items:
            states = _walk(item, states)
        return states
    if isinstance(node, Choice):
        return _joined([_walk(branch, states) for branch in node.branches])
    if isinstance(node, Repeat):
        return _repeated(node, states)
    if isinstance(node, Look):
        # It only narrows what the rest matches.
        return states
    raise NotUnderstoodError("a boundary in a pattern of digits")


def _read(node: Chars, states: _States) -> _States:
    digits = [digit for digit in range(10) if ord(str(digit)) in node.most]
    after: _States = {}
    for count, starts in states.items():
        left = starts & sum(_with_digit(count, digit) for digit in digits) if count < _SIZE else starts
        if left and digits and count < LONGEST:
            after[count + 1] = left
    return after


def _repeated(node: Repeat, states: _States) -> _States:
    for _ in range(min(node.low, LONGEST + 1)):
        states = _walk(node.node, states)
    found = [states]
    more = LONGEST if node.high is None else min(node.high - node.low, LONGEST)
    for _ in range(more):
        states = _walk(node.node, states)
        if not states:
            break
        found.append(states)
    return _joined(found)


def _joined(parts: list[_States]) -> _States:
    whole: defaultdict[int, int] = defaultdict(int)
    for part in parts:
        for count, starts in part.items():
            whole[count] |= starts
    return dict(whole)
