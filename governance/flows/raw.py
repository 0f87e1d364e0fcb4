"""Records of a raw topic, enforced as they are consumed: what comes out is what the collector would have sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.enforcement.apply import enforce
from governance.enforcement.outcomes import QUARANTINED, Enforced
from governance.enforcement.plan import POSITION, EnforcementPlan
from governance.enforcement.reading import with_origin
from governance.enforcement.seal import Unreadable, seal_unreadable
from governance.flows.decoding import days_of, versions_of
from governance.flows.documents import Documents
from governance.flows.enforcing import Lease
from governance.flows.governed import written
from governance.flows.source import Malformed
from governance.model.clock import Clock
from governance.pii.scanner import Scanner


@dataclass(frozen=True)
class RawRecords:
    """Values as rows of texts, with their offsets (int64); and those that are no records."""

    records: pa.RecordBatch = field(repr=False)
    positions: pa.Array = field(repr=False)
    malformed: tuple[Malformed, ...] = ()


ReadValues = Callable[[Sequence[tuple[int, bytes | None]]], RawRecords]


@dataclass(frozen=True)
class RawJudged:
    """What became of the values of one part. `positions` (int64) are the documents' offsets; the rest is sealed."""

    documents: Documents
    positions: npt.NDArray[np.int64]
    quarantined: pa.RecordBatch
    refused: pa.RecordBatch


@dataclass(frozen=True)
class RawReader:
    """Enforces the values of a dataset's raw topic. `source` is the server's name in the contract."""

    plan: EnforcementPlan
    source: str
    read_values: ReadValues
    scanner: Scanner
    clock: Clock
    threads: int = 1
    enforce: Callable[..., Enforced] = enforce

    def read(self, part: str, values: Sequence[tuple[int, bytes | None]], lease: Lease) -> RawJudged:
        """What each value is, with its offset, of one part. Raises what `enforce` raises."""
        return self.judge(part, self.read_values(values), lease)

    def judge(self, part: str, found: RawRecords, lease: Lease) -> RawJudged:
        """What each record is. Raises what `enforce` raises."""
        batch = with_origin(found.records, self.source, part, found.positions)
        enforced = self.enforce(batch, self.plan, lease.keys, self.scanner, self.clock, threads=self.threads)
        admitted = enforced.admitted
        keys, bodies = written(admitted, self.plan)
        documents = Documents(keys, list(bodies), versions_of(admitted, self.plan), days_of(admitted, self.plan))
        positions = admitted.column(POSITION).to_numpy(zero_copy_only=False)
        held = [without_content(enforced.quarantined), self._unreadable(part, found.malformed, lease)]
        both = pa.Table.from_batches(held, QUARANTINED).combine_chunks().to_batches()
        return RawJudged(documents, positions, both[0] if both else held[0], enforced.refused)

    def _unreadable(self, part: str, malformed: tuple[Malformed, ...], lease: Lease) -> pa.RecordBatch:
        if not malformed:
            return pa.RecordBatch.from_pylist([], schema=QUARANTINED)
        day = self.clock().date()
        key = None if self.plan.has_minimum_age else lease.keys.day_key(day)
        found = [Unreadable(one.position, one.length, str(one.reason), one.body) for one in malformed]
        return seal_unreadable(found, self.source, part, self.plan, day, key)


def without_content(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Quarantined rows of a topic. The digest of a body is for sources that give the same row again at another place;
    in a topic each offset is a record of its own, and is held apart.
    """
    place = QUARANTINED.get_field_index("content")
    return rows.set_column(place, QUARANTINED.field(place), pa.nulls(rows.num_rows, pa.binary()))
