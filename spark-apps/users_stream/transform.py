"""What the users stream does to rows, without Spark: from Kafka's columns to messages, and from outcomes to a report.

A task of Spark's reads one range of one partition and gives it here in batches of Arrow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.flows.progress import Counts
from governance.model.message import Message

COLUMNS = ("topic", "partition", "offset", "key", "value", "headers", "unix_millis(timestamp) AS timestamp")
"""What is asked of Spark's Kafka source, as SQL expressions."""

REPORT = pa.schema(
    [
        pa.field("part", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("read", pa.int64(), nullable=False),
        pa.field("admitted", pa.int64(), nullable=False),
        pa.field("tombstones", pa.int64(), nullable=False),
        pa.field("quarantined", pa.int64(), nullable=False),
        pa.field("refused", pa.int64(), nullable=False),
    ]
)
"""What a task tells the driver: how far a partition was read, and counts. No cell of any record."""

REPORT_DDL = ", ".join(f"{one.name} {'string' if pa.types.is_string(one.type) else 'long'}" for one in REPORT)
"""The same, as Spark is told."""


@dataclass(frozen=True)
class Slice:
    """Consecutive records of one partition."""

    topic: str
    partition: int
    messages: tuple[Message, ...]

    @property
    def part(self) -> str:
        """Its name in progress and quarantine."""
        return f"{self.topic}/{self.partition}"

    @property
    def after(self) -> int:
        """The offset after the last record."""
        return self.messages[-1].offset + 1

    def since(self, position: int) -> "Slice":
        """The records from that offset on: those before it have been dealt with, by an earlier try of this batch."""
        if not self.messages or self.messages[0].offset >= position:
            return self
        left = tuple(message for message in self.messages if message.offset >= position)
        return Slice(self.topic, self.partition, left)


def slices(batch: pa.RecordBatch) -> Iterator[Slice]:
    """A batch of COLUMNS, by partition, each in the order of its offsets."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    places = pc.rank(columns["partition"], tiebreaker="dense").to_numpy()
    for place in np.unique(places):
        rows = np.flatnonzero(places == place)
        rows = rows[np.argsort(columns["offset"].to_numpy()[rows], kind="stable")]
        whole = len(rows) == batch.num_rows and bool((np.diff(rows) == 1).all())
        yield _slice(batch if whole else batch.take(pa.array(rows)))


def report(part: str, position: int, counts: Counts) -> pa.RecordBatch:
    """One row of REPORT."""
    row = {
        "part": part,
        "position": position,
        "read": counts.read,
        "admitted": counts.admitted,
        "tombstones": counts.tombstones,
        "quarantined": sum(counts.quarantined.values()),
        "refused": sum(counts.refused.values()),
    }
    return pa.RecordBatch.from_pylist([row], schema=REPORT)


def _slice(batch: pa.RecordBatch) -> Slice:
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names if name != "headers"}
    topic, partition = columns["topic"][0], columns["partition"][0]
    headers = _headers(batch.column("headers"))
    messages = tuple(
        Message(topic, key, value, header, partition, offset, moment)
        for key, value, header, offset, moment in zip(
            columns["key"], columns["value"], headers, columns["offset"], columns["timestamp"], strict=True
        )
    )
    return Slice(topic, partition, messages)


def _headers(column: pa.Array) -> list[tuple[tuple[str, bytes], ...]]:
    """Each record's headers. All records' at once: a list a record takes three times as long."""
    names, values = (column.flatten().field(name).to_pylist() for name in ("key", "value"))
    pairs: Sequence[tuple[str, bytes]] = list(zip(names, values, strict=True))
    ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy())
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    return [tuple(pairs[start:end]) for start, end in zip(starts, ends, strict=True)]
