"""Quarantined rows as a source: opened, and handed to the same enforcement under today's contract.

A row keeps the place where it stood, so a row that is admitted now leaves quarantine when it is published, and one that
fails again stays there once.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.outcomes import Reason
from governance.flows.source import SourceBatch
from governance.flows.unsealing import HeldKeys, unseal
from governance.quarantine.store import QuarantineStore, Selection


@dataclass(frozen=True)
class ReplayReader:
    """A `SourceReader` over the held rows of one source. Rows that were never readable as records stay where they
    are.
    """

    name: str
    dataset: str
    store: QuarantineStore
    selection: Selection
    keys: Callable[[], AbstractContextManager[HeldKeys]]

    def batches(self, *, since: datetime | None = None, cursor: str | None = None) -> Iterator[SourceBatch]:
        """The held rows, a source position each. A row whose key is gone is passed over: nobody can open it."""
        del since, cursor
        for held in self.store.sealed_rows(self.dataset, self.selection):
            rows = held.filter(pc.not_equal(held.column("reason"), str(Reason.MALFORMED)))
            if rows.num_rows:
                yield from self._batch(rows)

    def _batch(self, rows: pa.RecordBatch) -> Iterator[SourceBatch]:
        with self.keys() as keys:
            opened = unseal(rows, self.dataset, keys)
        there = np.array([body is not None for body in opened.bodies])
        if not there.any():
            return
        records = [orjson.loads(body) for body in opened.bodies if body is not None]
        kept = rows.filter(pa.array(there))
        yield SourceBatch(
            records=columns_of(records),
            positions=kept.column("position"),
            part=kept.column("part")[0].as_py(),
            records_read=kept.num_rows,
            consumed=kept.num_rows,
            replayed=True,
        )

    def size(self) -> int | None:
        """Rows that are held."""
        return sum(count.rows for count in self.store.counts(self.selection))


def columns_of(records: list[dict[str, str]]) -> pa.RecordBatch:
    """Records of texts, column by column."""
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = [pa.array([record.get(name) for record in records], pa.string()) for name in names]
    return pa.RecordBatch.from_arrays(columns, names=names)
