"""Texts without case, accents, spacing and punctuation, each remaining symbol with its place in the text.

A symbol is a letter or digit of the character's compatibility decomposition (Unicode Standard Annex 15), case folded,
without marks that have a combining class (so vowel signs that are letters of their script remain). Every decimal digit
becomes its ASCII twin. Format and control characters, variation selectors and enclosing marks vanish; all else
separates.
"""

import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., object])

SEPARATES, IGNORED = -1, -2
LIMIT = 0x30000
"""Characters from here on are rare ideographs, which fold to themselves, and tags, which vanish."""

_LETTERS = {
    "ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "ŧ": "t", "ŋ": "n", "þ": "th", "æ": "ae",
    "œ": "oe",
}  # fmt: skip
_WRITTEN_OUT = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"}
_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x30FF),
    (0x3130, 0x318F), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FF),
    (0xF900, 0xFAFF), (0x20000, 0x323AF),
)  # fmt: skip
"""Scripts that put no space between words, or join endings to a name: Thai, Lao, Burmese, Khmer, Chinese, Japanese,
Korean."""


class Table(NamedTuple):
    """For each character the place of its symbols in `symbols` (or SEPARATES, IGNORED) and how many they are."""

    start: npt.NDArray[np.int32]
    sizes: Bytes
    symbols: Words


def compiled(function: F) -> F:
    """Compile at the first call, and keep the machine code for the next process where a folder can be written."""
    try:
        return cast("F", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # no such folder, as in a container whose root is read-only
        return cast("F", numba.njit(nogil=True)(function))


def table(*, written_out: bool = False) -> Table:
    """The fold of every character below LIMIT. With `written_out`, ä is ae, ö and ø are oe, ü is ue, å is aa."""
    return _table(written_out)


@cache
def _table(written_out: bool) -> Table:
    start, count = np.full(LIMIT, SEPARATES, np.int32), np.zeros(LIMIT, np.uint8)
    symbols: list[int] = []
    for point in range(LIMIT):
        folded = _fold(chr(point), written_out=written_out)
        if folded is None:
            start[point] = IGNORED
        elif folded:
            start[point], count[point] = len(symbols), len(folded)
            symbols.extend(map(ord, folded))
    return Table(start, count, np.array(symbols, np.uint32))


def _fold(character: str, *, written_out: bool) -> str | None:
    """The character's symbols, none if it separates; None if it vanishes."""
    kind = unicodedata.category(character)
    if kind in {"Cf", "Me"} or (kind == "Cc" and character not in _SPACES) or "\ufe00" <= character <= "\ufe0f":
        return None
    if written_out and character.casefold() in _WRITTEN_OUT:
        return _WRITTEN_OUT[character.casefold()]
    decomposed = unicodedata.normalize("NFKD", character).casefold()
    if unicodedata.combining(character):
        return None
    return "".join(_symbol(c) for c in unicodedata.normalize("NFKD", decomposed))


def _symbol(character: str) -> str:
    kind = unicodedata.category(character)
    if character in _LETTERS:
        return _LETTERS[character]
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    if "\u02b0" <= character <= "\u02ff" or unicodedata.combining(character):  # as the apostrophe in Hawaiian names
        return ""
    return character if kind[0] in "LN" or kind in {"Mn", "Mc"} else ""


@lru_cache(maxsize=1)
def unspaced() -> npt.NDArray[np.bool_]:
    """Which symbols below LIMIT are of a script in which words don't stand apart."""
    which = np.zeros(LIMIT, dtype=bool)
    for low, high in _UNSPACED:
        which[low : high + 1] = True
    return which


@compiled
def decode(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """The character at a place of UTF-8 text, and how many bytes it takes. Never reads past `stop`."""
    first = int(data[at])
    size = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if size == 1 or at + size > stop:
        return first, 1
    point = first & (0xFF >> (size + 1))
    for i in range(1, size):
        point = point << 6 | (int(data[at + i]) & 0x3F)
    return point, size


@compiled
def folded(point: int, start: npt.NDArray[np.int32]) -> int:
    """Where the character's symbols stand; SEPARATES; IGNORED; from LIMIT on the symbol itself, as LIMIT + it."""
    if point < LIMIT:
        return int(start[point])
    if point < 0x32400:
        return LIMIT + point
    return IGNORED if 0xE0000 <= point <= 0xE0FFF else SEPARATES


@compiled
def stands_apart(symbol: int, apart: npt.NDArray[np.bool_]) -> bool:
    """Whether a symbol is of a script without spaces."""
    return symbol >= LIMIT or bool(apart[symbol])


@compiled
def breaks(before: int, here: int, apart: npt.NDArray[np.bool_]) -> bool:
    """Whether a word may end between two symbols that touch: at a change between digit and letter, and in scripts that
    put no space between words.
    """
    if (48 <= here <= 57) != (48 <= before <= 57):
        return True
    return before + here >= 0xE00 and (stands_apart(before, apart) or stands_apart(here, apart))


class Folded(NamedTuple):
    """A text's symbols, each with the characters it came from: `begin` to `end`, marks included.

    `edge[i]` says that a word may begin at symbol i (and end before it); `apart[i]` that something stands between
    symbol i - 1 and i. Both have one more value than there are symbols, both true at the two ends.
    """

    symbols: str
    begin: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    edge: npt.NDArray[np.bool_]
    apart: npt.NDArray[np.bool_]


@compiled
def _fold_bytes(
    data: Bytes, start: npt.NDArray[np.int32], count: Bytes, symbols: Words, unspaced: npt.NDArray[np.bool_],
    out: tuple[Words, npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
) -> int:  # fmt: skip
    found, begin, end, edge, apart = out
    size = 0
    place = 0
    at = 0
    separated = True
    before = 0
    stop = len(data)
    while at < stop:
        point, width = decode(data, at, stop)
        at += width
        where = folded(point, start)
        if where == SEPARATES:
            separated = True
        elif where == IGNORED:
            if size and end[size - 1] == place:
                end[size - 1] = place + 1
        else:
            one = where >= LIMIT
            for i in range(1 if one else count[point]):
                symbol = point if one else int(symbols[where + i])
                found[size] = symbol
                begin[size] = place
                end[size] = place + 1
                apart[size] = separated
                edge[size] = separated or (i == 0 and breaks(before, symbol, unspaced))
                separated = False
                before = symbol
                size += 1
        place += 1
    edge[size] = True
    apart[size] = True
    return size


@compiled
def _symbol_count(data: Bytes, start: npt.NDArray[np.int32], count: Bytes) -> int:
    size = 0
    at = 0
    while at < len(data):
        point, width = decode(data, at, len(data))
        at += width
        if folded(point, start) >= 0:
            size += 1 if point >= LIMIT else count[point]
    return size


def fold(text: str, *, written_out: bool = False) -> Folded:
    """Fold one text. Lone surrogates separate."""
    start, count, symbols = table(written_out=written_out)
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    size = _symbol_count(data, start, count)
    found = np.empty(size, np.uint32)
    begin, end = np.empty(size, np.int32), np.empty(size, np.int32)
    edge, apart = np.empty(size + 1, np.bool_), np.empty(size + 1, np.bool_)
    _fold_bytes(data, start, count, symbols, unspaced(), (found, begin, end, edge, apart))
    return Folded(found.tobytes().decode("utf-32-le", "replace"), begin, end, edge, apart)


class TextBuffer(NamedTuple):
    """A text column's bytes and where each row's begin and end; `valid` is 0 for a null row."""

    data: Bytes
    offsets: Offsets
    valid: Bytes


def text_buffer(column: pa.Array) -> TextBuffer:
    """The column's own memory. Raises TypeError for a column that isn't text."""
    if pa.types.is_string(column.type):
        width: np.dtype[np.signedinteger] = np.dtype(np.int32)
    elif pa.types.is_large_string(column.type):
        width = np.dtype(np.int64)
    else:
        raise TypeError(f"a column of {column.type} is no text")
    _, ends, values = column.buffers()
    offsets = np.zeros(1, np.int64)
    if ends is not None and len(ends):
        offsets = np.frombuffer(ends, width, len(column) + 1, column.offset * width.itemsize).astype(np.int64)
    data = np.frombuffer(values, np.uint8) if values is not None and len(values) else np.zeros(1, np.uint8)
    data, offsets = data[offsets[0] : offsets[-1]], offsets - offsets[0]  # a slice's own part
    valid = column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8)
    return TextBuffer(data, offsets, valid)
