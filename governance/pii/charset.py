"""Sets of code points, those of the `regex` module's own Unicode tables among them, and how RE2 writes them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import regex

LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
# A set with more ranges than this outside ASCII becomes all that lies outside ASCII: RE2's program stays small.
_MOST_RANGES = 12
# A set with more members than this that have a case is closed over case by adding every character that has one.
_MOST_CASED = 128


@dataclass(frozen=True)
class CharSet:
    """A set of code points as disjoint ranges in order, both ends in."""

    ranges: tuple[tuple[int, int], ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.ranges)

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> "CharSet":
        """From ranges in any order, overlapping or not."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted(ranges):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return cls(tuple(merged))

    @classmethod
    def chars(cls, text: str) -> "CharSet":
        """The characters of a text."""
        return cls.of((ord(c), ord(c)) for c in text)

    def __or__(self, other: "CharSet") -> "CharSet":
        return CharSet.of((*self.ranges, *other.ranges))

    def __and__(self, other: "CharSet") -> "CharSet":
        return ~(~self | ~other)

    def __sub__(self, other: "CharSet") -> "CharSet":
        return self & ~other

    def __invert__(self) -> "CharSet":
        return _complement(self)

    def __le__(self, other: "CharSet") -> bool:
        return (self & other).ranges == self.ranges

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, char: int) -> bool:
        return any(low <= char <= high for low, high in self.ranges)

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    def members(self) -> str:
        """All of its characters, in order."""
        return "".join(chr(c) for low, high in self.ranges for c in range(low, high + 1))


@lru_cache(maxsize=4096)
def _complement(chars: CharSet) -> CharSet:
    start, gaps = 0, []
    for low, high in chars.ranges:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    return CharSet((*gaps, (start, LAST)) if start <= LAST else tuple(gaps))


ANY = CharSet(((0, LAST),))
NONE = CharSet(())
NOT_ASCII = CharSet(((0x80, LAST),))


@lru_cache(maxsize=1)
def _every_character() -> str:
    return "".join(map(chr, range(LAST + 1)))


@lru_cache(maxsize=32)
def matched(pattern: str) -> CharSet:
    """All characters that a one-character pattern of the `regex` module matches: found by trying each."""
    return CharSet.of((m.start(), m.end() - 1) for m in regex.finditer(f"(?:{pattern})+", _every_character()))


def digits() -> CharSet:
    r"""What \d is to `regex`."""
    return matched(r"\d")


def words() -> CharSet:
    r"""What \w is to `regex`."""
    return matched(r"\w")


def spaces() -> CharSet:
    r"""What \s is to `regex`."""
    return matched(r"\s")


@lru_cache(maxsize=1)
def _cased() -> CharSet:
    return matched(r"[\p{Changes_When_Casemapped}\p{Changes_When_Casefolded}\p{Cased}]") | CharSet.chars("\u0130\u0131")


@lru_cache(maxsize=1)
def _cased_text() -> str:
    return _cased().members()


@lru_cache(maxsize=4096)
def orbit(char: str) -> CharSet:
    """The characters that `regex` may take for this one when it ignores case (K, k and the kelvin sign): those that it
    takes for one of them are all in, since its answer for i and I isn't the same both ways.
    """
    if ord(char) not in _cased():
        return CharSet.chars(char)
    known, fresh = set(char), [char]
    while fresh:
        found = _taken_for(fresh.pop()) - known
        known |= found
        fresh += found
    return CharSet.chars("".join(known))


@lru_cache(maxsize=4096)
def _taken_for(char: str) -> frozenset[str]:
    if char in "iI\u0130\u0131":
        return frozenset("iI\u0130\u0131")
    return frozenset(regex.findall(regex.escape(char), _cased_text(), flags=regex.IGNORECASE | regex.VERSION0))


@lru_cache(maxsize=4096)
def closed(chars: CharSet) -> CharSet:
    """A set with, at least, all that equals one of its members when case is ignored."""
    cased = chars & _cased()
    if len(cased) > _MOST_CASED:
        return chars | _cased()
    return CharSet.of(r for c in cased.members() for r in orbit(c).ranges) | chars


@lru_cache(maxsize=4096)
def re2(chars: CharSet, exact: bool = False) -> str:
    """An RE2 class that holds at least these characters: exactly these if asked, or if few ranges lie outside ASCII."""
    far = chars & NOT_ASCII
    if not exact and len(far.ranges) > _MOST_RANGES:
        chars = chars | NOT_ASCII
    chars = chars - CharSet((_SURROGATES,))
    if not chars:
        return r"[^\x00-\x{10FFFF}]"
    if len(chars) == 1 and chr(chars.ranges[0][0]).isalnum() and chars.ranges[0][0] < 0x80:
        return chr(chars.ranges[0][0])
    return "[" + "".join(_re2_range(low, high) for low, high in chars.ranges) + "]"


def _re2_range(low: int, high: int) -> str:
    return rf"\x{{{low:x}}}" if low == high else rf"\x{{{low:x}}}-\x{{{high:x}}}"
