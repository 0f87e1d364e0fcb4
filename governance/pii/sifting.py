"""The compiled pass over a column's text: which clauses each cell has measures enough for."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.pii.measures import CAP, MEASURES, STRETCHES, WHOLE, Kind, Needs, kind_of

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
    """For each kind: bit 2i says that it belongs to stretch i, bit 2i+1 that it is counted there."""
    marks = [
        sum((kind in m.within) << (2 * i) | (kind in m.counted) << (2 * i + 1) for i, m in enumerate(STRETCHES))
        for kind in Kind
    ]
    return np.array(marks, np.uint8)


class Sieve:
    """Which of some needs each cell of a column meets, in one pass. Safe from several threads."""

    def __init__(self, needs: tuple[Needs, ...]) -> None:
        self.words = max(1, -(-len(needs) // 64))
        # For each measure and value, the set of needs that it suffices for.
        self.suffices = np.zeros((len(MEASURES), CAP + 1, self.words), np.uint64)
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
def _sift(  # noqa: C901
    data: Bytes,
    offsets: Ints,
    start: int,
    stop: int,
    kinds: Bytes,
    lanes: Bits,
    marks: Bytes,
    suffices: Bits,
    rows: Ints,
    bits: Bits,
) -> int:
    """Fill `rows` and `bits` for the cells from `start` to `stop`; how many there are.

    A sequence of bytes that is no UTF-8 counts for nothing but its length.
    """
    words = suffices.shape[2]
    found = 0
    whole = np.zeros(8, np.int64)
    for row in range(start, stop):
        at, end = offsets[row], offsets[row + 1]
        whole[:] = 0
        sums = np.uint64(0)
        steps = 0
        run0, run1, run2 = np.int64(0), np.int64(0), np.int64(0)
        best0, best1, best2 = 0, 0, 0
        while at < end:
            lead = data[at]
            if lead < 0x80:
                kind = kinds[lead]
                at += 1
            elif lead < 0xE0:
                kind = kinds[(lead & 0x1F) << 6 | (data[at + 1] & 0x3F)] if at + 1 < end else kinds[0]
                at += 2
            elif lead < 0xF0:
                kind = (
                    kinds[(lead & 0xF) << 12 | np.int64(data[at + 1] & 0x3F) << 6 | (data[at + 2] & 0x3F)]
                    if at + 2 < end
                    else kinds[0]
                )
                at += 3
            else:
                code = np.int64(0)
                if at + 3 < end:
                    code = (
                        np.int64(lead & 0x7) << 18
                        | np.int64(data[at + 1] & 0x3F) << 12
                        | np.int64(data[at + 2] & 0x3F) << 6
                        | np.int64(data[at + 3] & 0x3F)
                    )
                kind = kinds[code] if code < 0x110000 else kinds[0]
                at += 4
            sums += lanes[kind]
            mark = np.int64(marks[kind])
            run0 = (run0 + (mark >> 1 & 1)) * (mark & 1)
            run1 = (run1 + (mark >> 3 & 1)) * (mark >> 2 & 1)
            run2 = (run2 + (mark >> 5 & 1)) * (mark >> 4 & 1)
            best0 = max(best0, run0)
            best1 = max(best1, run1)
            best2 = max(best2, run2)
            steps += 1
            if steps == _FOLDED:
                for lane in range(8):
                    whole[lane] = min(CAP, whole[lane] + np.int64(sums >> np.uint64(_LANE * lane) & np.uint64(0xFF)))
                sums = np.uint64(0)
                steps = 0
        some = np.uint64(0)
        for word in range(words):
            left = suffices[8, min(best0, CAP), word] & suffices[9, min(best1, CAP), word]
            left &= suffices[10, min(best2, CAP), word]
            for lane in range(8):
                value = min(CAP, whole[lane] + np.int64(sums >> np.uint64(_LANE * lane) & np.uint64(0xFF)))
                left &= suffices[lane, value, word]
            bits[found, word] = left
            some |= left
        if some != np.uint64(0):
            rows[found] = row
            found += 1
    return found
