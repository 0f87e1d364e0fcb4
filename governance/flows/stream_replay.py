"""Held rows of topics, sent again: raw ones through enforcement, governed ones straight to the sink.

A row leaves quarantine in the transaction in which it counts as admitted; the sink has it by then, under a version that
makes writing it twice harmless. What fails again stays, once, until it would have gone. What nobody vouches for
(forged), and what isn't a record at all, stays where it is.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import orjson
import pyarrow as pa

from governance.enforcement.outcomes import QUARANTINED, Reason
from governance.flows.consuming import Consuming
from governance.flows.decoding import Fault, GovernedReader, known_version
from governance.flows.documents import Documents, Taken
from governance.flows.enforcing import Lease
from governance.flows.holding import VOUCHED, Held, seal_faults
from governance.flows.progress import Counts, Place
from governance.flows.raw import RawReader, RawRecords
from governance.flows.replay import columns_of
from governance.flows.unsealing import HeldKeys, unseal
from governance.quarantine.store import QuarantineStore, Selection

_REFUSING = {Taken.REFUSED: Reason.SINK, Taken.CONFLICT: Reason.CONFLICT}
_OF_SINK = frozenset({str(Reason.SINK), str(Reason.CONFLICT)})
"""Held with the body that the sink was to have, on a raw topic too."""


@dataclass(frozen=True)
class Replayed:
    """What became of the rows that were held: `passed_over` can't be sent again, or not opened any more."""

    rows: int = 0
    admitted: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    passed_over: int = 0

    def __add__(self, other: "Replayed") -> "Replayed":
        """Both together."""
        return Replayed(
            self.rows + other.rows,
            self.admitted + other.admitted,
            dict(Counter(self.quarantined) + Counter(other.quarantined)),
            dict(Counter(self.refused) + Counter(other.refused)),
            self.passed_over + other.passed_over,
        )


@dataclass(frozen=True)
class StreamReplay:
    """Sends held rows of one topic of a dataset again. `work` is what its batches need; `governed` reads those whose
    body is governed, on a raw topic too.
    """

    work: Consuming
    governed: GovernedReader
    store: QuarantineStore
    keys: Callable[[], AbstractContextManager[HeldKeys]]

    def run(self, selection: Selection) -> Replayed:
        """Send them again. Raises TransientError where a store is away: what was done until then is done."""
        self.work.sink.prepare()
        total = Replayed()
        for rows in self.store.sealed_rows(self.work.plan.dataset, selection):
            if rows.column("source")[0].as_py() == self.work.source:
                total += self._part(rows)
        return total

    def _part(self, rows: pa.RecordBatch) -> Replayed:
        """Rows of one part."""
        reasons = rows.column("reason").to_pylist()
        details = rows.column("detail").to_pylist()
        governed = np.array([self._is_governed(*one) for one in zip(reasons, details, strict=True)])
        raw = np.array([self._is_raw(reason) for reason in reasons])
        with self.keys() as keys:
            opened = unseal(rows, self.work.plan.dataset, keys)
        there = np.array([body is not None for body in opened.bodies])
        done = Replayed(rows=rows.num_rows, passed_over=int((~(there & (governed | raw))).sum()))
        for chosen, send in ((governed & there, self._send_governed), (raw & there, self._send_raw)):
            if chosen.any():
                bodies = [body for body, mine in zip(opened.bodies, chosen, strict=True) if mine and body is not None]
                done += self._send(rows.filter(pa.array(chosen)), bodies, send)
        return done

    def _is_governed(self, reason: str, detail: str | None) -> bool:
        if reason == str(Reason.VERSION):
            return known_version(detail or "", self.work.plan.version)
        return reason in (_OF_SINK if isinstance(self.work.reader, RawReader) else VOUCHED)

    def _is_raw(self, reason: str) -> bool:
        raw = isinstance(self.work.reader, RawReader)
        return raw and reason not in _OF_SINK and reason != str(Reason.MALFORMED)

    def _send(self, rows: pa.RecordBatch, bodies: list[bytes], send: "_Send") -> Replayed:
        """One lease, one write, one transaction."""
        part = rows.column("part")[0].as_py()
        with self.work.keyring.lease(f"replay {self.work.plan.dataset}") as lease:
            tried = send(part, rows.column("position"), bodies, lease)
            lease.check()
            taken = self.work.sink.write(tried.documents)
            again = [tried.quarantined, self._refused(part, tried, taken, lease)]
            held = pa.Table.from_batches(again, QUARANTINED).combine_chunks().to_batches()
            quarantined = held[0] if held else again[0]
            counts = _counts(rows, taken, quarantined, tried.refused)
            place = Place(self.work.flow, self.work.plan.dataset, self.work.source, part)
            version = self.work.plan.version
            self.work.progress.settle(place, rows.column("position"), counts, quarantined, version)
        return Replayed(
            admitted=counts.admitted + counts.tombstones,
            quarantined=dict(Counter(quarantined.column("reason").to_pylist())),
            refused=dict(Counter(tried.refused)),
        )

    def _send_governed(self, part: str, positions: pa.Array, bodies: list[bytes], lease: Lease) -> "_Tried":
        offsets = positions.to_pylist()
        found = self.governed.read_again(bodies)
        faults = [Held(part, offsets[fault.place], fault) for fault in found.faults]
        held = self._sealed(faults, lease)
        chosen = [offsets[place] for place in found.places.tolist()]
        return _Tried(found.documents, chosen, held, [str(reason) for _, reason in found.refused])

    def _send_raw(self, part: str, positions: pa.Array, bodies: list[bytes], lease: Lease) -> "_Tried":
        reader = self.work.reader
        if not isinstance(reader, RawReader):
            return _Tried(Documents([], [], np.zeros(0, np.int64), np.zeros(0, "datetime64[D]")), [], _none(), [])
        records = RawRecords(columns_of([orjson.loads(body) for body in bodies]), positions)
        found = reader.judge(part, records, lease)
        reasons = found.refused.column("reason").to_pylist()
        return _Tried(found.documents, found.positions.tolist(), found.quarantined, reasons)

    def _refused(self, part: str, tried: "_Tried", taken: np.ndarray, lease: Lease) -> pa.RecordBatch:
        faults = []
        for one in np.flatnonzero((taken == Taken.REFUSED) | (taken == Taken.CONFLICT)).tolist():
            body = tried.documents.values[one]
            fault = Fault(one, _REFUSING[Taken(int(taken[one]))], len(body or b""), body=body)
            faults.append(Held(part, tried.positions[one], fault))
        return self._sealed(faults, lease)

    def _sealed(self, faults: list[Held], lease: Lease) -> pa.RecordBatch:
        work = self.work
        return seal_faults(faults, work.plan.dataset, work.source, work.clock().date(), lease.keys.day_key)


@dataclass(frozen=True)
class _Tried:
    """What became of some rows before the sink: documents with their positions, held rows, reasons of those refused."""

    documents: Documents
    positions: list[int]
    quarantined: pa.RecordBatch
    refused: list[str]


_Send = Callable[[str, pa.Array, list[bytes], Lease], _Tried]


def _counts(rows: pa.RecordBatch, taken: np.ndarray, again: pa.RecordBatch, refused: list[str]) -> Counts:
    """What changes: the rows were counted as quarantined, for the reasons they were held for."""
    mine = Counter(taken.tolist())
    quarantined = Counter(again.column("reason").to_pylist())
    quarantined.subtract(rows.column("reason").to_pylist())
    return Counts(
        admitted=mine[Taken.APPLIED] + mine[Taken.UNCHANGED] + mine[Taken.SUPERSEDED],
        applied=mine[Taken.APPLIED],
        unchanged=mine[Taken.UNCHANGED],
        superseded=mine[Taken.SUPERSEDED],
        quarantined={reason: count for reason, count in quarantined.items() if count},
        refused=dict(Counter(refused)),
    )


def _none() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=QUARANTINED)
