"""Rows of texts gathered to a batch."""

from collections.abc import Callable

import pyarrow as pa

from governance.adapters.sources.json_records import Fault
from governance.adapters.sources.json_values import Row
from governance.flows.source import Malformed, SourceBatch

_CELLS = 16 << 20
_CHARACTERS = 64 << 20


def _as_it_is(body: bytes) -> bytes:
    return body


class Gathering:
    """Records of one part in their order, counted from 0. Each batch has a column for every key seen in it."""

    def __init__(self) -> None:
        self._position = 0
        self._clear()

    def _clear(self) -> None:
        self._rows: list[Row] = []
        self._places: list[int] = []
        self._malformed: list[Malformed] = []
        self._columns: Row = {}

    @property
    def records(self) -> int:
        """Records since the last batch."""
        return len(self._rows) + len(self._malformed)

    def row(self, row: Row) -> None:
        """The next record is a row."""
        self._rows.append(row)
        self._places.append(self._position)
        self._columns.update(row)
        self._position += 1

    def fault(self, fault: Fault, original: Callable[[bytes], bytes] = _as_it_is) -> None:
        """The next record is malformed."""
        body = original(fault.body) if fault.body is not None else None
        length = fault.length if body is None else len(body)
        self._malformed.append(Malformed(self._position, length, fault.reason, body))
        self._position += 1

    def full(self, batch_rows: int, characters: int) -> bool:
        """Whether these are enough for a batch: in rows, in text, or in cells where each record has keys of its own."""
        return self.records >= batch_rows or characters >= _CHARACTERS or len(self._rows) * len(self._columns) >= _CELLS

    def batch(self, part: str, *, cursor: str | None = None, consumed: int = 0) -> SourceBatch:
        """What was gathered since the last one."""
        batch = SourceBatch(
            records=_columns(self._rows, list(self._columns)),
            positions=pa.array(self._places, pa.int64()),
            part=part,
            malformed=tuple(self._malformed),
            cursor=cursor,
            records_read=self.records,
            consumed=consumed,
        )
        self._clear()
        return batch


def _columns(rows: list[Row], names: list[str]) -> pa.RecordBatch:
    if not names:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
    arrays = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names)
