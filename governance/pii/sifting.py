"""The compiled pass over a column's text: which clauses each cell has measures enough for."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.pii.measures import CAP, SIZE, STRETCHES, WHOLE, Kind, Needs, kind_of

F = TypeVar("F", bound=Callable[..., object])
Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

_LANE = 8  # bits of one count in the sum of all of them
_FOLDED = 192  # characters after which the sums are folded away, before a lane of 8 bits is full
_BLOCK = 65536


def _compiled(function: F) -> F:
    try:
        return cast("F", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # no folder to keep the machine code in, as in a container whose root is read-only
        return cast("F", numba.njit(nogil=True)(function))


def _lanes() -> Bits:
    """What one character of each kind adds to the sums of the measures of the whole text."""
    lanes = [sum(1 << (_LANE * i) for i, m in enumerate(WHOLE) if kind in m.counted) for kind in Kind]
    return np.array(lanes, np.uint64)


def _marks() -> npt.NDArray[np.uint8]:
    """For each kind: bit 2i says that it belongs to stretch i, bit 2i+1 that it is counted there; bit 6 is a stop."""
    marks = [
        sum((kind in m.within) << (2 * i) | (kind in m.counted) << (2 * i + 1) for i, m in enumerate(STRETCHES))
        | (kind == Kind.DOT) << 6
        for kind in Kind
    ]
    return np.array(marks, np.uint8)


class Sieve:
    """Which of some needs each cell of a column meets, in one pass. Safe from several threads."""

    def __init__(self, needs: tuple[Needs, ...]) -> None:
        self.words = max(1, -(-len(needs) // 64))
        # For each measure and value, the set of needs that it suffices for.
        self.suffices = np.zeros((SIZE, CAP + 1, self.words), np.uint64)
        for number, needed in enumerate(needs):
            word, bit = divmod(number, 64)
            for measure, least in enumerate(needed):
                self.suffices[measure, least:, word] |= np.uint64(1 << bit)
        self.kinds, self.lanes, self.marks = kind_of(), _lanes(), _marks()

    def sift(self, values: pa.Array) -> tuple[Ints, Bits]:
        """The rows of a large_string array that meet some need, and the set of the needs of each."""
        offsets = np.frombuffer(values.buffers()[1], np.int64)[values.offset : values.offset + len(values) + 1]
        buffer = values.buffers()[2]
        data = np.frombuffer(buffer, np.uint8) if buffer is not None else np.zeros(0, np.uint8)
        rows: list[Ints] = []
        bits: list[Bits] = []
        for start in range(0, len(values), _BLOCK):
            stop = min(start + _BLOCK, len(values))
            row, bit = np.empty(stop - start, np.int64), np.empty((stop - start, self.words), np.uint64)
            found = _sift(data, offsets, start, stop, self.kinds, self.lanes, self.marks, self.suffices, row, bit)
            rows.append(row[:found].copy())
            bits.append(bit[:found].copy())
        if not rows:
            return np.zeros(0, np.int64), np.zeros((0, self.words), np.uint64)
        row, bit = np.concatenate(rows), np.concatenate(bits)
        if values.null_count:
            held = values.is_valid().to_numpy(zero_copy_only=False)[row]
            row, bit = row[held], bit[held]
        return row, bit


@_compiled
def _sift(
    data: Any,
    offsets: Any,
    start: int,
    stop: int,
    kinds: Any,
    lanes: Any,
    marks: Any,
    suffices: Any,
    rows: Any,
    bits: Any,
) -> int:
    """Fill `rows` and `bits` for the cells from `start` to `stop`; how many there are.

    Sizes come with the arguments, never from another module: the kept machine code doesn't see that change.
    """
    cap = suffices.shape[1] - 1
    facts = np.zeros(suffices.shape[0], np.int64)
    found = 0
    for row in range(start, stop):
        _measure(data, offsets[row], offsets[row + 1], kinds, lanes, marks, facts)
        some = np.uint64(0)
        for word in range(suffices.shape[2]):
            left = suffices[0, min(facts[0], cap), word]
            for fact in range(1, suffices.shape[0]):
                left &= suffices[fact, min(facts[fact], cap), word]
            bits[found, word] = left
            some |= left
        if some != np.uint64(0):
            rows[found] = row
            found += 1
    return found


@_compiled
def _measure(data: Any, at: Any, end: Any, kinds: Any, lanes: Any, marks: Any, facts: Any) -> None:
    """The facts of one cell, in the order of the needs."""
    facts[:] = 0
    sums, steps = np.uint64(0), 0
    run0, run1, run2 = np.int64(0), np.int64(0), np.int64(0)
    best0, best1, best2 = np.int64(0), np.int64(0), np.int64(0)
    stop, stops = np.int64(0), np.int64(0)
    while at < end:
        code = np.int64(data[at])
        size = 1
        if code >= 0x80:
            size = 2 if code < 0xE0 else 3 if code < 0xF0 else 4
            code = _code_point(data, at, size) if at + size <= end else np.int64(0)
        at += size
        kind = kinds[code]
        sums += lanes[kind]
        mark = np.int64(marks[kind])
        run0 = (run0 + (mark >> 1 & 1)) * (mark & 1)
        run1 = (run1 + (mark >> 3 & 1)) * (mark >> 2 & 1)
        run2 = (run2 + (mark >> 5 & 1)) * (mark >> 4 & 1)
        best0, best1, best2 = max(best0, run0), max(best1, run1), max(best2, run2)
        stops += stop & (mark >> 2)
        stop = mark >> 6 & 1
        steps += 1
        if steps == _FOLDED:
            _fold(sums, facts)
            sums, steps = np.uint64(0), 0
    _fold(sums, facts)
    facts[8], facts[9], facts[10], facts[11] = best0, best1, best2, stops


@_compiled
def _code_point(data: Any, at: Any, size: int) -> Any:
    """The code point of a sequence of two to four bytes; what is no UTF-8 counts for nothing but its length."""
    code = np.int64(data[at]) & (0x7F >> size)
    for place in range(1, size):
        code = code << 6 | np.int64(data[at + place] & 0x3F)
    return code if code < 0x110000 else np.int64(0)


@_compiled
def _fold(sums: Any, facts: Any) -> None:
    """Add the counts in the lanes of a sum."""
    for lane in range(8):
        facts[lane] += np.int64(sums >> np.uint64(_LANE * lane) & np.uint64(0xFF))
