"""Where the records of delimited text begin and end (RFC 4180, with the freedoms that real files take).

A field that begins with the quote runs to the next lone quote; a doubled one stands for itself. A quote further on
in a field is an ordinary character. A record ends at LF, CR or CR LF outside quotes. `pyarrow.csv` reads the same
language; here only the structure is found, on whole blocks of bytes.
"""

from dataclasses import dataclass

import numpy as np

_LF, _CR = 10, 13


@dataclass(frozen=True)
class Dialect:
    """Delimiter and quote as byte values; no quote: nothing is quoted."""

    delimiter: int
    quote: int | None


@dataclass(frozen=True)
class State:
    """Where a block begins: inside quotes, after a separator (or at the start of a record), or right after a closing
    quote."""

    inside: bool = False
    after_separator: bool = True
    after_closing: bool = False


@dataclass(frozen=True)
class Structure:
    """The quotes of a block that open or close a field (or are halves of a doubled one, which comes to the same)."""

    block: np.ndarray
    quotes: np.ndarray
    start: State

    def outside(self, places: np.ndarray) -> np.ndarray:
        """Those places that aren't inside quotes."""
        if not len(self.quotes) and not self.start.inside:
            return places
        before = np.searchsorted(self.quotes, places) + int(self.start.inside)
        kept: np.ndarray = places[before % 2 == 0]
        return kept

    @property
    def end(self) -> State:
        """The state after the block."""
        inside = (len(self.quotes) + int(self.start.inside)) % 2 == 1
        if not len(self.block):
            return self.start
        last = int(self.block[-1])
        closing = not inside and len(self.quotes) > 0 and int(self.quotes[-1]) == len(self.block) - 1
        return State(inside, not inside and not closing and last in (_LF, _CR), closing)


def structure(data: bytes, dialect: Dialect, start: State | None = None) -> Structure:
    """Find the quotes that count. A block in which all are regular takes three passes of numpy, no loop."""
    start = start or State()
    block = np.frombuffer(data, np.uint8)
    if dialect.quote is None:
        return Structure(block, np.empty(0, np.int64), start)
    quotes = np.flatnonzero(block == dialect.quote)
    if not _regular(block, quotes, dialect, start):
        quotes = _careful(block, quotes, dialect, start)
    return Structure(block, quotes, start)


def _regular(block: np.ndarray, quotes: np.ndarray, dialect: Dialect, start: State) -> bool:
    """Whether every quote counts: each that would open follows a separator, or the quote that it doubles."""
    opening = quotes[int(start.inside) :: 2]
    if len(opening) and opening[0] == 0:
        if not (start.after_separator or start.after_closing):
            return False
        opening = opening[1:]
    before = block[opening - 1]
    fits = (before == dialect.delimiter) | (before == dialect.quote) | (before == _LF) | (before == _CR)
    return bool(fits.all())


def _careful(block: np.ndarray, quotes: np.ndarray, dialect: Dialect, start: State) -> np.ndarray:
    separators = {dialect.delimiter, _LF, _CR}
    inside, closed = start.inside, -1 if start.after_closing else -2
    count: list[int] = []
    before = block[quotes - 1].tolist()
    for place, previous in zip(quotes.tolist(), before, strict=True):
        if inside:
            inside, closed = False, place
        elif closed == place - 1 or (previous in separators if place else start.after_separator):
            inside = True
        else:
            continue
        count.append(place)
    return np.array(count, np.int64)


def boundary(data: bytes, dialect: Dialect) -> int:
    """The length of the whole records at the head of a block that begins with one; 0 where none is whole."""
    found = structure(data, dialect)
    ends = found.outside(_terminators(found.block))
    return int(ends[-1]) + 1 if len(ends) else 0


def first_end(found: Structure) -> int | None:
    """Where the first record's terminator stands, if it is in the block."""
    ends = found.outside(_terminators(found.block))
    return int(ends[0]) if len(ends) else None


def _terminators(block: np.ndarray) -> np.ndarray:
    return np.flatnonzero((block == _LF) | (block == _CR))


@dataclass(frozen=True)
class Records:
    """The records of a block: first byte, end (without terminator) and fields of each. Blank lines are none."""

    starts: np.ndarray
    ends: np.ndarray
    fields: np.ndarray
    unclosed: bool


def records(data: bytes, dialect: Dialect) -> Records:
    """Take apart a block that begins with a record. `unclosed`: the last one lacks its closing quote."""
    found = structure(data, dialect)
    ends = found.outside(_terminators(found.block))
    starts = np.concatenate([[0], ends + 1])
    ends = np.concatenate([ends, [len(data)]])
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    delimiters = found.outside(np.flatnonzero(found.block == dialect.delimiter))
    fields = np.searchsorted(delimiters, ends) - np.searchsorted(delimiters, starts) + 1
    return Records(starts, ends, fields, found.end.inside)
