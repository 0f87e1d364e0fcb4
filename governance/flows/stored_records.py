"""Records of stores without columns of their own (documents, messages) as the columns that a scan searches."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from governance.enforcement.plan import EnforcementPlan

Record = Mapping[str, Any]

_JSON_TEXT = (pa.types.is_date, pa.types.is_time, pa.types.is_timestamp, pa.types.is_decimal)


def rows_of(records: Sequence[Record], plan: EnforcementPlan, leave: Collection[str] = ()) -> pa.RecordBatch:
    """The records as rows, a column for each name that one of them has, without those to `leave`.

    A column of the plan has its type as when it was stored, unless it holds something else: then it is text, as is
    every column that nobody declared and that isn't numbers throughout. An inner part of a record is JSON.
    """
    kinds = {one.name: one.type for one in plan.message_columns()}
    names = dict.fromkeys(name for record in records for name in record if name not in leave)
    columns = [_column([record.get(name) for record in records], kinds.get(name)) for name in names]
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def stray_identity(name: str, given: str, record: Record, plan: EnforcementPlan) -> dict[str, str]:
    """What a record is called in its store, under that name, if that is anything else than its identity: it would be
    a cell that nobody declared.
    """
    values = [record.get(column) for column in plan.identity]
    known = {orjson.dumps(values, default=str).decode()}
    if plan.subjects:
        known |= {str(value) for value in values if value is not None}
        known.add(_key(record, plan))
    return {} if given in known else {name: given}


def _key(record: Record, plan: EnforcementPlan) -> str:
    """The identity of a record that speaks of nobody."""
    names = {column.field: column.name for column in plan.columns if column.stored}
    return orjson.dumps([record.get(names.get(field, "")) for field in plan.key], default=str).decode()


def _column(cells: list[Any], kind: pa.DataType | None) -> pa.Array:
    if kind is not None:
        try:
            return _typed(cells, kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return _texts(cells)
    if cells and all(cell is None or type(cell) in (int, float, bool) for cell in cells):
        try:
            return pa.array(cells)
        except (pa.ArrowException, OverflowError):
            return _texts(cells)
    return _texts(cells)


def _typed(cells: list[Any], kind: pa.DataType) -> pa.Array:
    told_as_text = any(is_one(kind) for is_one in _JSON_TEXT)
    if told_as_text and all(cell is None or type(cell) is str for cell in cells):
        return pa.array(cells, pa.string()).cast(kind)
    if pa.types.is_integer(kind) and any(type(cell) is bool for cell in cells):
        raise TypeError
    return pa.array(cells, kind)


def _texts(cells: list[Any]) -> pa.Array:
    return pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell.encode("utf-8", "backslashreplace").decode()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "backslashreplace")
    return orjson.dumps(cell, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
