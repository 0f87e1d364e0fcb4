"""A person's own date, as of birth, in the forms in which people write dates."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from governance.pii.own_search import Place, Text
from governance.pii.own_words import DAY_WORDS, MONTHS

NUMERIC, SHORT = 1.0, 0.8
_ISO = re.compile(r"^\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?$")
_OTHER = re.compile(r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})\s*$")
_ORDERS = ((0, 1, 2), (2, 1, 0), (2, 0, 1), (0, 2, 1))
"""Where year, month and day stand: 1985-05-03, 3 May 1985, May 3 1985, 1985 3 May."""
_WINDOW = 8
"""Tokens in which a date stands: its three, and words between them."""


class _Token(NamedTuple):
    start: int
    stop: int
    text: str


def readings(value: object) -> tuple[date, ...]:
    """The dates that a declared value may mean: dates and timestamps, ISO 8601, day and month in either order before
    the year. None if it is no date.
    """
    if isinstance(value, datetime):
        return (value.date(),)
    if isinstance(value, date):
        return (value,)
    iso, other = _ISO.match(str(value)), _OTHER.match(str(value))
    if iso:
        orders = [(int(iso[1]), int(iso[2]), int(iso[3]))]
    elif other:
        orders = [(int(other[3]), int(other[2]), int(other[1])), (int(other[3]), int(other[1]), int(other[2]))]
    else:
        return ()
    return tuple(dict.fromkeys(d for o in orders if (d := _real(*o))))


def _real(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def born(text: Text, value: date) -> Iterator[Place]:
    """Year, month and day in any usual order: digits with or without zeros, two digits of the year between `-`, `/` or
    `.`, months by name, eight digits together. Raises TooManyError.
    """
    found: set[Place] = set()
    edges = text.folded.edge.nonzero()[0]
    seen = -1
    for at in text.every(f"{value.year % 100:02d}"):
        here = int(np.searchsorted(edges, at, "right"))
        for token in range(max(0, here - _WINDOW, seen + 1), here):
            seen = token
            found.update(_at(text, edges[token : token + _WINDOW].tolist(), value))
    yield from sorted(found)


def _at(text: Text, edges: list[int], value: date) -> Iterator[Place]:
    tokens = [_Token(low, high, text.folded.symbols[low:high]) for low, high in pairwise(edges)]
    if tokens and tokens[0].text in _compact(value):
        yield text.place(tokens[0].start, tokens[0].stop, NUMERIC)
    parts = _three(text, tokens)
    score = _reads(text, parts, value) if parts else 0.0
    if score:
        yield text.place(parts[0].start, parts[2].stop, score)


def _compact(value: date) -> tuple[str, ...]:
    parts = (f"{value.year:04d}", f"{value.month:02d}", f"{value.day:02d}")
    return ("".join(parts), "".join(parts[::-1]), f"{parts[1]}{parts[2]}{parts[0]}")


def _three(text: Text, tokens: list[_Token]) -> list[_Token]:
    """The three tokens that may be a date, leaving out words such as `of`; none if these aren't."""
    found: list[_Token] = []
    for token in tokens:
        if found and not text.near(token.start):
            return []
        if found and token.text in DAY_WORDS:
            continue
        if not (token.text in MONTHS or (token.text.isdecimal() and len(token.text) in {1, 2, 4})):
            return []
        found.append(token)
        if len(found) == 3:
            return found
    return []


def _reads(text: Text, parts: list[_Token], value: date) -> float:
    """How surely three tokens are this date; 0 if they aren't."""
    best = 0.0
    for order in _ORDERS:
        year, month, day = (parts[i].text for i in order)
        if not (_is_part(month, value.month, MONTHS) and _is_part(day, value.day, {}) and year.isdecimal()):
            continue
        if len(year) == 4 and int(year) == value.year:
            best = NUMERIC
        elif len(year) == 2 and int(year) == value.year % 100 and _dated(text, parts):
            best = max(best, SHORT)
    return best


def _is_part(word: str, number: int, names: dict[str, frozenset[int]]) -> bool:
    return number in names.get(word, ()) or (word.isdecimal() and len(word) <= 2 and int(word) == number)


def _dated(text: Text, parts: list[_Token]) -> bool:
    """With two digits of the year, the parts stand between the marks of a date, or the month has its name."""
    gaps = {text.gap(p.start).strip() for p in parts[1:]}
    return any(p.text in MONTHS for p in parts) or (len(gaps) == 1 and gaps <= {"-", "/", "."})
