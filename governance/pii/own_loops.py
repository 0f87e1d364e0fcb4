"""Which rows can hold one of their own values: compiled loops that say no for sure, yes perhaps.

A value found by `own_search` begins at the edge of a word and ends at one. So three symbols that begin at an edge, and
three that end at one, stand in the value and in the text alike: those of the text are put into small tables, those of
the value are looked up. Telephone numbers have their last six digits at the end of a group of digits; dates their year
and day, addresses a number, as runs of digits. A table's slot holds the row that last wrote it, so nothing is cleared.

Numba's cache notices a change of this file only: after a change of `folding.py`, touch it.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from governance.pii.folding import (
    LIMIT,
    SEPARATES,
    Bytes,
    Offsets,
    Words,
    breaks,
    compiled,
    decode,
    folded,
    stands_apart,
)

NAME, EMAIL, PHONE, DATE, DATE_TEXT, ADDRESS, IDENTIFIER = 0, 1, 2, 3, 4, 5, 6

LONGEST: Final = 2048
"""Symbols of a value. A longer one is looked at closely, whatever the text."""
_WORDS, _DIGITS = 4096, 1024
_BEGINS, _ENDS, _RUNS, _TAILS, _PAIRS, _SLOTS = 0, 4096, 8192, 9216, 10240, 11264
_TWO, _THREE, _SIX_BYTES = (1 << 42) - 1, (1 << 63) - 1, (1 << 48) - 1
Stamps = npt.NDArray[np.int32]
State = tuple[int, int, int, int, int, int, int]
"""What is known at a place of a text: its last three symbols; how many there were; which of the last three begin a
word; the run of digits and how many; the last six digits without a letter between them and how many there are.
"""


@compiled
def _slot(base: int, size: int, number: int) -> int:
    return base + (((number * 0x1E3779B97F4A7C15) >> 33) & (size - 1))


@compiled
def _end_run(stamps: Stamps, run: int, digits: int, stamp: int) -> None:
    """A run of digits: its number; a year's last two; of eight the year and the day wherever they may stand."""
    stamps[_slot(_RUNS, _DIGITS, run)] = stamp
    if digits == 4:
        stamps[_slot(_RUNS, _DIGITS, run % 100)] = stamp
    if digits == 8:
        for part in (run // 10000, run % 10000, run % 100, run // 1000000, run // 10000 % 100):
            stamps[_slot(_RUNS, _DIGITS, part)] = stamp


@compiled
def _end_word(stamps: Stamps, state: State, stamp: int) -> None:
    gram, count, _, run, digits, tail, tail_digits = state
    if count >= 3:
        stamps[_slot(_ENDS, _WORDS, gram)] = stamp
    if digits:
        _end_run(stamps, run, digits, stamp)
        if tail_digits >= 6:
            stamps[_slot(_TAILS, _DIGITS, tail)] = stamp


@compiled
def _symbol(stamps: Stamps, state: State, symbol: int, edge: bool, pair: bool, stamp: int) -> State:
    """Put one symbol of a text into the tables."""
    gram, count, begins, run, digits, tail, tail_digits = state
    if edge:
        run = digits = 0
    if 48 <= symbol <= 57:
        run, digits = (run * 10 + symbol - 48) & _SIX_BYTES, digits + 1
        tail, tail_digits = (tail * 10 + symbol - 48) % 1000000, tail_digits + 1
    else:
        tail = tail_digits = 0
    gram = ((gram << 21) | symbol) & _THREE
    begins = (begins << 1 | int(edge)) & 7
    if begins & 4:
        stamps[_slot(_BEGINS, _WORDS, gram)] = stamp
    if pair:
        stamps[_slot(_PAIRS, _DIGITS, gram & _TWO)] = stamp
    return gram, count + 1, begins, run, digits, tail, tail_digits


@compiled
def _is_ascii(data: Bytes, at: int, stop: int) -> bool:
    seen = np.uint8(0)
    for i in range(at, stop):
        seen |= data[i]
    return bool(seen < 0x80)


@compiled
def _has_umlaut(data: Bytes, at: int, stop: int) -> bool:
    """Whether a character from À to ÿ is there, as all that are written out are."""
    found = False
    for i in range(at, stop):
        found |= data[i] == 0xC3
    return found


@compiled
def _has_digit(data: Bytes, at: int, stop: int) -> bool:
    """Whether an ASCII digit is there."""
    found = 0
    for i in range(at, stop):
        found |= int(48 <= data[i] <= 57)
    return found != 0


@compiled
def _note_ascii(data: Bytes, at: int, stop: int, stamps: Stamps, stamp: int, plain: Bytes) -> None:
    """As `_note`, for a text of ASCII characters: `plain` has their symbols, 0 where they separate, 1 if ignored."""
    state = (0, 0, 0, 0, 0, 0, 0)
    digit = False
    separated = True
    for place in range(at, stop):
        symbol = int(plain[data[place]])
        if symbol <= 1:
            if symbol == 0 and not separated:
                _end_word(stamps, state, stamp)
                separated = True
            continue
        turned = digit != (symbol <= 57)
        if turned and not separated:
            _end_word(stamps, state, stamp)
        state = _symbol(stamps, state, symbol, separated or turned, False, stamp)
        digit = symbol <= 57
        separated = False
    if not separated:
        _end_word(stamps, state, stamp)


@compiled
def _spell_ascii(
    data: Bytes, at: int, stop: int, found: npt.NDArray[np.int64], edges: npt.NDArray[np.bool_], plain: Bytes
) -> int:
    count = 0
    digit = False
    separated = True
    for place in range(at, min(stop, at + LONGEST)):
        symbol = int(plain[data[place]])
        if symbol > 1:
            edges[count] = separated or digit != (symbol <= 57)
            found[count] = symbol
            digit = symbol <= 57
            count += 1
        separated = symbol == 0 or (separated and symbol == 1)
    edges[count] = True
    for i in range(3):
        found[count + i] = found[i]
    return count if stop - at <= LONGEST else -1


@compiled
def _note(
    data: Bytes, at: int, stop: int, stamps: Stamps, stamp: int,
    start: npt.NDArray[np.int32], sizes: Bytes, symbols: Words, apart: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    """Put a text's edges and digits into the tables."""
    state = (0, 0, 0, 0, 0, 0, 0)
    before = 0
    separated = True
    while at < stop:
        point, width = (int(data[at]), 1) if data[at] < 0x80 else decode(data, at, stop)
        at += width
        where = folded(point, start)
        if where == SEPARATES:
            if not separated:
                _end_word(stamps, state, stamp)
            separated = True
        elif where >= 0:
            one = where >= LIMIT
            for i in range(1 if point < 0x80 or one else int(sizes[point])):
                symbol = point if one else int(symbols[where + i])
                edge = separated or (i == 0 and breaks(before, symbol, apart))
                if edge and not separated:
                    _end_word(stamps, state, stamp)
                pair = before + symbol >= 0xE00 and (stands_apart(symbol, apart) or stands_apart(before, apart))
                state = _symbol(stamps, state, symbol, edge, pair and before != 0, stamp)
                before = symbol
                separated = False
    if not separated:
        _end_word(stamps, state, stamp)


@compiled
def _spell(
    data: Bytes, at: int, stop: int, found: npt.NDArray[np.int64], edges: npt.NDArray[np.bool_],
    start: npt.NDArray[np.int32], sizes: Bytes, symbols: Words, apart: npt.NDArray[np.bool_],
) -> int:  # fmt: skip
    """A value's symbols, its first three again at the end, and where words begin; how many they are, -1 if too many."""
    count = before = 0
    separated = True
    while at < stop:
        point, width = (int(data[at]), 1) if data[at] < 0x80 else decode(data, at, stop)
        at += width
        where = folded(point, start)
        if where == SEPARATES:
            separated = True
        elif where >= 0:
            one = where >= LIMIT
            for i in range(1 if one else int(sizes[point])):
                if count == LONGEST:
                    return -1
                symbol = point if one else int(symbols[where + i])
                edges[count] = separated or (i == 0 and breaks(before, symbol, apart))
                found[count] = symbol
                separated = False
                before = symbol
                count += 1
    edges[count] = True
    for i in range(3):
        found[count + i] = found[i]
    return count


@compiled
def _has_edges(
    found: npt.NDArray[np.int64], edges: npt.NDArray[np.bool_], count: int, stamps: Stamps, stamp: int, whole: bool
) -> bool:
    """Whether the text has a word that begins as one of the value's does (as its first does, for a `whole` one) and a
    word that ends as one of its words does.
    """
    begins = ends = False
    before = (found[count - 2] << 21 | found[count - 1]) & _TWO
    gram = before
    for at in range(count + 3):
        gram = ((gram << 21) | found[at]) & _THREE
        if at >= 2 and edges[at - 2] and not begins and (at == 2 or not whole):
            begins = stamps[_slot(_BEGINS, _WORDS, gram)] == stamp
        if at < count and edges[at + 1] and not ends:
            ends = stamps[_slot(_ENDS, _WORDS, gram)] == stamp
        if begins and ends:
            return True
    return False


@compiled
def _has_pair(
    found: npt.NDArray[np.int64], count: int, stamps: Stamps, stamp: int, apart: npt.NDArray[np.bool_]
) -> bool:
    for at in range(count - 1):
        low, high = found[at], found[at + 1]
        wide = stands_apart(low, apart) or stands_apart(high, apart)
        if wide and stamps[_slot(_PAIRS, _DIGITS, low << 21 | high)] == stamp:
            return True
    return False


@compiled
def _has_tail(
    found: npt.NDArray[np.int64], edges: npt.NDArray[np.bool_], count: int, stamps: Stamps, stamp: int
) -> bool:
    tail = digits = 0
    for at in range(count):
        if 48 <= found[at] <= 57:
            tail = (tail * 10 + found[at] - 48) % 1000000
            digits += 1
            if digits >= 6 and edges[at + 1] and stamps[_slot(_TAILS, _DIGITS, tail)] == stamp:
                return True
    return False


@compiled
def _has_number(
    found: npt.NDArray[np.int64], edges: npt.NDArray[np.bool_], count: int, stamps: Stamps, stamp: int
) -> bool:
    """Whether a run of the value's digits stands in the text, or several that follow each other; True without digits
    and where they are most of the value, as they may be grouped otherwise then.
    """
    digits = 0
    for at in range(count):
        if 48 <= found[at] <= 57:
            digits += 1
            if edges[at]:
                run = 0
                to = at
                while to < count and 48 <= found[to] <= 57:
                    run = (run * 10 + found[to] - 48) & _SIX_BYTES
                    to += 1
                    if edges[to] and stamps[_slot(_RUNS, _DIGITS, run)] == stamp:
                        return True
    return digits == 0 or 2 * digits >= count


@compiled
def _has_date(
    found: npt.NDArray[np.int64], edges: npt.NDArray[np.bool_], count: int, stamps: Stamps, stamp: int
) -> bool:
    """The year, of four digits or two, and another number of the date."""
    year = other = False
    run = digits = 0
    for at in range(count):
        if not 48 <= found[at] <= 57:
            continue
        run = run * 10 + found[at] - 48
        digits += 1
        if edges[at + 1]:
            met = stamps[_slot(_RUNS, _DIGITS, run)] == stamp
            if digits == 4:
                year = year or met or stamps[_slot(_RUNS, _DIGITS, run % 100)] == stamp
            else:
                other = other or met
            run = digits = 0
    return year and other


@compiled
def _may_hold(
    kind: int, found: npt.NDArray[np.int64], edges: npt.NDArray[np.bool_], count: int, stamps: Stamps, stamp: int,
    apart: npt.NDArray[np.bool_],
) -> bool:  # fmt: skip
    if kind == PHONE:
        return _has_tail(found, edges, count, stamps, stamp)
    if kind in (DATE, DATE_TEXT):
        met = _has_date(found, edges, count, stamps, stamp)
        if met or kind == DATE:
            return met
    if count >= 2 and _has_pair(found, count, stamps, stamp, apart):
        return True
    if count < 3 or (kind == ADDRESS and not _has_number(found, edges, count, stamps, stamp)):
        return False
    return _has_edges(found, edges, count, stamps, stamp, kind not in (NAME, ADDRESS))


@compiled
def _begins_whole(data: Bytes, at: int, stop: int, stamps: Stamps, stamp: int, plain: Bytes) -> bool:
    """Whether a word of the text begins with the first three symbols of a value of ASCII characters."""
    gram = count = 0
    while at < stop and count < 3:
        symbol = int(plain[data[at]])
        if symbol > 1:
            gram = (gram << 21) | symbol
            count += 1
        at += 1
    return count == 3 and stamps[_slot(_BEGINS, _WORDS, gram)] == stamp


@compiled
def _needs_digits(kind: int, data: Bytes, at: int, stop: int) -> bool:
    """Whether a text without a digit can't hold the value: a phone number, a date, an address with a number."""
    return kind in (PHONE, DATE) or (kind == ADDRESS and _has_digit(data, at, stop))


@compiled
def look_at_rows(
    text: tuple[Bytes, Offsets, Bytes], values: tuple[Bytes, npt.NDArray[np.int64], npt.NDArray[np.uint8]],
    kinds: npt.NDArray[np.int64],
    folds: tuple[npt.NDArray[np.int32], Bytes, Words], written_out: tuple[npt.NDArray[np.int32], Bytes, Words],
    plain: Bytes, apart: npt.NDArray[np.bool_], out: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    data, offsets, valid = text
    value_data, value_offsets, value_valid = values
    stamps = np.zeros(_SLOTS, np.int32)
    found = np.empty(LONGEST + 3, np.int64)
    edges = np.empty(LONGEST + 1, np.bool_)
    for row in range(len(valid)):
        low, high = offsets[row], offsets[row + 1]
        if valid[row] == 0 or low == high:
            continue
        plainly = _is_ascii(data, low, high)
        if plainly:
            _note_ascii(data, low, high, stamps, row + 1, plain)
        else:
            _note(data, low, high, stamps, row + 1, *folds, apart)
        worded = plainly and not _has_digit(data, low, high)
        for field in range(len(kinds)):
            low, high = value_offsets[field, row], value_offsets[field, row + 1]
            if value_valid[field, row] == 0 or (worded and _needs_digits(kinds[field], value_data, low, high)):
                continue
            if _is_ascii(value_data, low, high):
                whole = kinds[field] in (EMAIL, IDENTIFIER)
                if whole and not _begins_whole(value_data, low, high, stamps, row + 1, plain):
                    continue
                count = _spell_ascii(value_data, low, high, found, edges, plain)
                out[field, row] = count < 0 or _may_hold(kinds[field], found, edges, count, stamps, row + 1, apart)
                continue
            count = _spell(value_data, low, high, found, edges, *folds, apart)
            out[field, row] = count < 0 or _may_hold(kinds[field], found, edges, count, stamps, row + 1, apart)
            if not out[field, row] and _has_umlaut(value_data, low, high):
                count = _spell(value_data, low, high, found, edges, *written_out, apart)
                out[field, row] = count < 0 or _may_hold(kinds[field], found, edges, count, stamps, row + 1, apart)
