"""Arrow columns of bytes as plain buffers, whatever their type, slice or nulls."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.errors import ProtectionError

INT32_MAX = 2**31 - 1
MIN_RANGE = 1024

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")
N = TypeVar("N", bound=np.generic)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Column:
    """Row i is data[offsets[i]:offsets[i + 1]], bytes; null where `valid` is given and false."""

    data: U8
    offsets: I64
    valid: Mask | None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def bytes_at(self, row: int) -> bytes:
        """The bytes of one row."""
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def is_null(self, row: int) -> bool:
        """Whether a row is null."""
        return self.valid is not None and not self.valid[row]


def column_of(values: pa.Array | pa.ChunkedArray) -> Column:
    """A string, binary, fixed size binary, dictionary or null column, without copying its bytes where it can be.

    Raises ProtectionError for any other type and for an array whose offsets don't fit its buffer.
    """
    array = _plain(values)
    valid = None if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    start, rows = array.offset, len(array)
    buffers = array.buffers()
    if pa.types.is_fixed_size_binary(array.type):
        offsets = np.arange(start, start + rows + 1, dtype=np.int64) * array.type.byte_width
        return _checked(Column(_numbers(buffers[1], np.uint8), offsets, valid))
    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    stored: I32 | I64 = _numbers(buffers[1], np.int64) if large else _numbers(buffers[1], np.int32)
    offsets = stored[start : start + rows + 1].astype(np.int64) if len(stored) else np.zeros(1, np.int64)
    return _checked(Column(_numbers(buffers[2], np.uint8), offsets, valid))


def _plain(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = _one_chunk(values)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_null(kind):
        return values.cast(pa.string())
    if kind in (pa.string_view(), pa.binary_view()):
        return values.cast(pa.large_string() if kind == pa.string_view() else pa.large_binary())
    wide = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    if kind in wide or pa.types.is_fixed_size_binary(kind):
        return values
    raise ProtectionError(f"a column of {kind} can't be protected as it is; convert it to string or binary first")


def _one_chunk(values: pa.ChunkedArray) -> pa.Array:
    if values.nbytes > INT32_MAX and values.type in (pa.string(), pa.binary()):
        values = values.cast(pa.large_string() if values.type == pa.string() else pa.large_binary())
    if values.num_chunks == 1:
        return values.chunk(0)
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def _numbers(buffer: pa.Buffer | None, kind: type[N]) -> npt.NDArray[N]:
    if buffer is None or buffer.size == 0:
        return np.zeros(0, kind)
    return np.frombuffer(buffer, kind, count=buffer.size // np.dtype(kind).itemsize)


def _checked(column: Column) -> Column:
    offsets = column.offsets
    ordered = offsets[0] >= 0 and offsets[-1] <= len(column.data) and not (offsets[1:] < offsets[:-1]).any()
    if not ordered:
        raise ProtectionError("the column's offsets don't fit its data buffer; read it again from its source")
    return column


def new_buffer(size: int) -> tuple[pa.Buffer, U8]:
    """An uninitialised Arrow buffer of `size` bytes, and the same memory as numpy."""
    buffer = pa.allocate_buffer(size)
    return buffer, _numbers(buffer, np.uint8) if size else np.zeros(0, np.uint8)


def array_of(kind: pa.DataType, offsets: I64, data: pa.Buffer, valid: Mask | None) -> pa.Array:
    """An Arrow array over the given buffers. `string` and `binary` become their large kin where int32 overflows."""
    large = kind in (pa.large_string(), pa.large_binary())
    if not large and offsets[-1] > INT32_MAX:
        kind, large = (pa.large_string() if kind == pa.string() else pa.large_binary()), True
    ends = offsets if large else offsets.astype(np.int32)
    return pa.Array.from_buffers(kind, len(offsets) - 1, [bitmap(valid), pa.py_buffer(ends), data])


def bitmap(valid: Mask | None) -> pa.Buffer | None:
    """The validity bitmap of a mask; None where every row is valid."""
    return None if valid is None else pa.array(valid).buffers()[1]


def over_rows(rows: int, threads: int, work: Callable[[int, int], T]) -> list[T]:
    """Run `work(start, stop)` over ranges that cover the rows, in their order, on as many threads as pay."""
    parts = max(1, min(threads, rows // MIN_RANGE))
    edges = [rows * part // parts for part in range(parts + 1)]
    if parts == 1:
        return [work(0, rows)]
    with ThreadPoolExecutor(parts) as pool:
        return list(pool.map(work, edges[:-1], edges[1:]))
