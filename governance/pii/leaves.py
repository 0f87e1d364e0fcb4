"""The leaves of a column of any Arrow type: its own cells, or the values and map keys nested in them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Leaf:
    """Values of no nested type. `rows` is the row of each; None where value i is row i."""

    values: pa.Array
    rows: Rows | None = None

    def row_of(self, positions: Rows) -> Rows:
        """The rows of these positions."""
        return positions if self.rows is None else self.rows[positions]


def leaves(column: pa.Array | pa.ChunkedArray) -> Iterator[Leaf]:
    """Every leaf of a column. What a null list, struct or map hides is no part of it."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    yield from _walk(column, None)


def _walk(values: pa.Array, rows: Rows | None) -> Iterator[Leaf]:
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _walk(values.storage, rows)
    elif pa.types.is_dictionary(kind):
        yield from _walk(values.dictionary_decode(), rows)
    elif pa.types.is_run_end_encoded(kind):
        yield from _walk(pc.run_end_decode(values), rows)
    elif any(matches(kind) for matches, _ in _SAME_AS):
        yield from _walk_as(values, next(same for matches, same in _SAME_AS if matches(kind)), rows)
    elif pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):  # Arrow has no `unique` of these
        yield Leaf(values.cast(pa.decimal128(kind.precision, kind.scale)), rows)
    elif pa.types.is_struct(kind):
        for child in values.flatten():
            yield from _walk(child, rows)
    elif pa.types.is_map(kind):
        yield from _walk(_as_list(values), rows)
    elif _is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        parents = np.repeat(np.arange(len(values), dtype=np.int64), lengths)
        yield from _walk(pc.list_flatten(values), parents if rows is None else rows[parents])
    else:
        yield Leaf(values, rows)


_SAME_AS = (
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
    (pa.types.is_fixed_size_binary, pa.binary()),
)
"""Types whose values are searched as those of another."""


def _walk_as(values: pa.Array, kind: pa.DataType, rows: Rows | None) -> Iterator[Leaf]:
    """The same values in another type; in halves where they are too many bytes for it."""
    try:
        yield Leaf(values.cast(kind), rows)
    except pa.ArrowInvalid:
        if len(values) < 2:
            raise
        rows = np.arange(len(values), dtype=np.int64) if rows is None else rows
        half = len(values) // 2
        yield from _walk_as(values.slice(0, half), kind, rows[:half])
        yield from _walk_as(values.slice(half), kind, rows[half:])


def _is_list(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    views = (pa.types.is_list_view, pa.types.is_large_list_view)
    return any(matches(kind) for matches in (*lists, *views))


def _as_list(values: pa.Array) -> pa.Array:
    """A map as the list of its entries that it is in memory."""
    kind = values.type
    entry = pa.struct([pa.field("key", kind.key_type, nullable=False), pa.field("value", kind.item_type)])
    return values.cast(pa.list_(entry))
