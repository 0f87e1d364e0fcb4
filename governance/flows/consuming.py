"""One batch of a topic on its way to a sink: judged, written, counted. It can be begun again at every step.

Order: the sink acknowledges -> counts, position and held rows move in one transaction a partition. A batch that begins
again writes the same documents under the same versions, which changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.outcomes import QUARANTINED, Reason
from governance.enforcement.plan import EnforcementPlan
from governance.errors import TransientError
from governance.flows.decoding import Fault, GovernedReader
from governance.flows.documents import NO_DOCUMENTS, Codes, Documents, DocumentSink, QueuingSink, Taken
from governance.flows.enforcing import Keyring, Lease
from governance.flows.holding import Held, seal_faults
from governance.flows.progress import Counts, Flow, MovedOnError, Place, ProgressStore, Standing
from governance.flows.raw import RawReader
from governance.flows.runs import UncountedError
from governance.model.clock import Clock
from governance.model.message import Message
from governance.model.secret import Secret

_REFUSING = {Taken.REFUSED: Reason.SINK, Taken.CONFLICT: Reason.CONFLICT}


@dataclass(frozen=True)
class Consuming:
    """What a batch needs. `source` is the topic's server in the contract; `reader` says whether it is governed."""

    plan: EnforcementPlan
    source: str
    topic: str
    reader: GovernedReader | RawReader
    sink: DocumentSink
    progress: ProgressStore
    keyring: Keyring
    clock: Clock
    flow: Flow = Flow.STREAM

    def place(self, partition: int) -> Place:
        """Where a partition's standing is kept."""
        return Place(self.flow, self.plan.dataset, self.source, self.part(partition))

    def part(self, partition: int) -> str:
        """What a partition is called in places."""
        return f"{self.topic}/{partition}"


@dataclass
class Stored:
    """What came of a batch, by partition: where it stands now, and what this batch added."""

    positions: dict[int, int] = field(default_factory=dict)
    counts: dict[int, Counts] = field(default_factory=dict)
    oldest: int | None = None
    """Milliseconds since 1970 at which its first record was produced."""


@dataclass
class _Judged:
    """The batch after its judgement. `places` and `refused` are places in the batch; the held rows are sealed."""

    documents: Documents = NO_DOCUMENTS
    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    held: list[pa.RecordBatch] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


class Batch:
    """Some messages of the partitions of one topic, in order within each. `before` are the positions they follow."""

    def __init__(self, work: Consuming, messages: Sequence[Message], before: Mapping[int, int]) -> None:
        self.work = work
        self.messages = messages
        self._before = dict(before)
        self._partitions = np.fromiter((m.partition for m in messages), np.int64, len(messages))
        self._lease_of = ExitStack()
        self._lease: Lease | None = None
        self._judged = _Judged()
        self._begun: Callable[[], Codes] | None = None
        self._taken: Codes | None = None
        self._refused_by_sink: pa.RecordBatch | None = None
        self.stored = Stored(oldest=min((m.timestamp for m in messages if m.timestamp is not None), default=None))

    @property
    def after(self) -> dict[int, int]:
        """The positions behind it."""
        last: dict[int, int] = {}
        for message in self.messages:
            last[message.partition] = message.offset + 1
        return last

    def judge(self) -> None:
        """Find out what each message is; under a lease, if somebody's keys or being alive are asked for.

        Raises TransientError where a store is away, ProtectionError where a key can't be had.
        """
        if self._taken is not None:
            return
        self.end()
        reader = self.work.reader
        if isinstance(reader, GovernedReader):
            self._judged = self._judge_governed(reader)
        else:
            self._judged = self._judge_raw(reader)

    @property
    def deletes(self) -> bool:
        """Whether it has tombstones, as far as it was judged."""
        return None in self._judged.documents.values

    def begin(self) -> None:
        """Let the sink begin, where it can while it writes another batch: not with tombstones, which must find what
        stands before them written, nor under a lease, which must not run out in a queue.
        """
        sink = self.work.sink
        if isinstance(sink, QueuingSink) and self._lease is None and not self.deletes:
            try:
                self._begun = sink.begin(self._judged.documents)
            except TransientError:
                self._begun = None  # `store` meets it again, and says so

    def store(self) -> None:
        """Write the documents, then move each partition on. What is done stays done when it is called again.

        Raises TransientError, LeaseExpiredError (judge again), MovedOnError if a partition has gone to another: what
        was done for the others counts.
        """
        if self._taken is None:
            if self._lease is not None:
                self._lease.check()
            begun, self._begun = self._begun, None
            self._taken = begun() if begun else self.work.sink.write(self._judged.documents)
        self._hold_refused(self._taken)
        moved: MovedOnError | None = None
        counts = self._counts(self._taken)
        for partition, position in self.after.items():
            if partition in self.stored.positions:
                continue
            try:
                self._advance(partition, position, counts[partition])
            except MovedOnError as error:
                moved = error
        if moved is not None:
            raise moved

    def end(self) -> None:
        """End the lease; nothing that was unwrapped under it is used any more."""
        self._lease = None
        self._lease_of.close()
        self._lease_of = ExitStack()

    def _leased(self) -> Lease:
        """The batch's lease, begun when it is first needed."""
        if self._lease is None:
            holder = f"{self.work.flow} {self.work.plan.dataset}"
            self._lease = self._lease_of.enter_context(self.work.keyring.lease(holder))
        return self._lease

    def _begin_lease(self) -> None:
        self._leased()

    def _day_key(self, day: date) -> Secret:
        return self._leased().keys.day_key(day)

    def _judge_governed(self, reader: GovernedReader) -> _Judged:
        found = reader.read(self.messages, self._begin_lease)
        held = [self._sealed(found.faults)] if found.faults else []
        refused = [(place, str(reason)) for place, reason in found.refused]
        return _Judged(found.documents, found.places, held, refused)

    def _judge_raw(self, reader: RawReader) -> _Judged:
        judged = _Judged()
        documents, places = [], []
        for partition in self.after:
            mine = np.flatnonzero(self._partitions == partition).tolist()
            place_of = {self.messages[p].offset: p for p in mine}
            values = [(self.messages[p].offset, self.messages[p].value) for p in mine]
            found = reader.read(self.work.part(partition), values, self._leased())
            documents.append(found.documents)
            places += [place_of[offset] for offset in found.positions.tolist()]
            judged.held.append(found.quarantined)
            offsets, reasons = found.refused.column("position").to_pylist(), found.refused.column("reason").to_pylist()
            judged.refused += [(place_of[o], reason) for o, reason in zip(offsets, reasons, strict=True)]
        judged.documents = _together(documents)
        judged.places = np.array(places, dtype=np.int64)
        return judged

    def _hold_refused(self, taken: Codes) -> None:
        """Seal what the sink wouldn't have, once."""
        bad = np.flatnonzero((taken == Taken.REFUSED) | (taken == Taken.CONFLICT)).tolist()
        if not bad or self._refused_by_sink is not None:
            return
        judged = self._judged
        faults = []
        for one in bad:
            body = judged.documents.values[one]
            reason = _REFUSING[Taken(int(taken[one]))]
            faults.append(Fault(int(judged.places[one]), reason, len(body or b""), body=body))
        self._refused_by_sink = self._sealed(faults)

    def _sealed(self, faults: Sequence[Fault]) -> pa.RecordBatch:
        work = self.work
        held = [Held(work.part(self.messages[f.place].partition), self.messages[f.place].offset, f) for f in faults]
        return seal_faults(held, work.plan.dataset, work.source, work.clock().date(), self._day_key)

    def _all_held(self) -> pa.RecordBatch:
        batches = [*self._judged.held, *([self._refused_by_sink] if self._refused_by_sink is not None else [])]
        joined = pa.Table.from_batches(batches, QUARANTINED).combine_chunks().to_batches()
        return joined[0] if joined else pa.RecordBatch.from_pylist([], schema=QUARANTINED)

    def _advance(self, partition: int, position: int, counts: Counts) -> None:
        held = self._all_held()
        mine = held.filter(pc.equal(held.column("part"), self.work.part(partition)))
        place, plan = self.work.place(partition), self.work.plan
        after = Standing(position, {}, counts)
        self.work.progress.advance(place, self._before[partition], after, mine, plan.version)
        self.stored.positions[partition] = position
        self.stored.counts[partition] = counts

    def _counts(self, taken: Codes) -> dict[int, Counts]:
        """What became of each partition's messages. They add up, or nothing is counted."""
        held = self._all_held()
        parts = self._partitions[self._judged.places]
        reasons = Counter(zip(held.column("part").to_pylist(), held.column("reason").to_pylist(), strict=True))
        refusals = Counter((int(self._partitions[place]), reason) for place, reason in self._judged.refused)
        counts = {}
        for partition in self.after:
            mine = Counter(taken[parts == partition].tolist())
            admitted = mine[Taken.APPLIED] + mine[Taken.UNCHANGED] + mine[Taken.SUPERSEDED]
            counts[partition] = Counts(
                read=int((self._partitions == partition).sum()),
                admitted=admitted,
                applied=mine[Taken.APPLIED],
                unchanged=mine[Taken.UNCHANGED],
                superseded=mine[Taken.SUPERSEDED],
                tombstones=mine[Taken.DELETED],
                quarantined={r: n for (part, r), n in reasons.items() if part == self.work.part(partition)},
                refused={r: n for (p, r), n in refusals.items() if p == partition},
            )
            _check(counts[partition], self.work.place(partition))
        return counts


def _check(counts: Counts, place: Place) -> None:
    """Raise UncountedError unless every record that was read has an outcome."""
    outcomes = counts.admitted + counts.tombstones + sum(counts.quarantined.values()) + sum(counts.refused.values())
    if outcomes != counts.read:
        raise UncountedError(
            f"{place.dataset}: of {counts.read} records of {place.part} {outcomes} have an outcome: nothing was counted"
        )


def _together(batches: Sequence[Documents]) -> Documents:
    if not batches:
        return NO_DOCUMENTS
    return Documents(
        [key for one in batches for key in one.keys],
        [value for one in batches for value in one.values],
        np.concatenate([one.versions for one in batches]),
        np.concatenate([one.days for one in batches]),
    )
