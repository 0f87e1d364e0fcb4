"""Values of a raw topic as records: one JSON object a message, read as strictly as any other source is."""

from collections.abc import Sequence

import pyarrow as pa

from governance.adapters.sources.json_values import Row, UnfitError, check_length, decode, is_odd, to_row
from governance.flows.raw import RawRecords
from governance.flows.source import LARGEST_BODY, Malformed, MalformedReason


def read_values(values: Sequence[tuple[int, bytes | None]]) -> RawRecords:
    """Each value with its offset. One that is no record is malformed; an empty one is not an object."""
    rows: list[Row] = []
    places: list[int] = []
    malformed: list[Malformed] = []
    columns: Row = {}
    for place, value in values:
        try:
            row = _row(value)
        except UnfitError as error:
            length = len(value or b"")
            kept = value if value is not None and length <= LARGEST_BODY else None
            malformed.append(Malformed(place, length, error.reason, kept))
            continue
        rows.append(row)
        places.append(place)
        columns.update(row)
    return RawRecords(_batch(rows, list(columns)), pa.array(places, pa.int64()), tuple(malformed))


def _row(value: bytes | None) -> Row:
    if value is None:
        raise UnfitError(MalformedReason.NOT_AN_OBJECT)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise UnfitError(MalformedReason.ENCODING) from None
    check_length(text)
    return to_row(decode(text), odd=is_odd(text))


def _batch(rows: list[Row], names: list[str]) -> pa.RecordBatch:
    if not names:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
    arrays = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names)
