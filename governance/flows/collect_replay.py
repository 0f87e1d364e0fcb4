"""Rows that a collector holds, sent again under today's contract.

A row leaves quarantine in the transaction in which it counts as admitted. The topic has it by then; killed in between,
it is sent once more, under the same key and version, which changes nothing in any sink. What fails again stays, once,
until it would have gone. What was never readable as a record, or has no body, stays where it is.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa

from governance.enforcement.outcomes import Reason
from governance.enforcement.reading import with_origin, without_ignored
from governance.flows.collecting import Collecting, Judged
from governance.flows.progress import Counts, Flow, Place
from governance.flows.raw import without_content
from governance.flows.replay import columns_of
from governance.flows.stream_replay import Replayed
from governance.flows.unsealing import HeldKeys, unseal
from governance.quarantine.store import QuarantineStore, Selection


@dataclass(frozen=True)
class CollectReplay:
    """Sends the held rows of one API of a dataset again."""

    work: Collecting
    source: str
    store: QuarantineStore
    keys: Callable[[], AbstractContextManager[HeldKeys]]

    def run(self, selection: Selection) -> Replayed:
        """Send them. Raises TransientError where a store is away: what was done until then is done."""
        total = Replayed()
        for rows in self.store.sealed_rows(self.work.plan.dataset, selection):
            if rows.column("source")[0].as_py() == self.source:
                total += self._part(rows)
        return total

    def _part(self, rows: pa.RecordBatch) -> Replayed:
        """Rows of one page."""
        with self.keys() as keys:
            opened = unseal(rows, self.work.plan.dataset, keys)
        reasons = rows.column("reason").to_pylist()
        readable = [
            body is not None and reason != str(Reason.MALFORMED)
            for body, reason in zip(opened.bodies, reasons, strict=True)
        ]
        passed_over = Replayed(rows=len(rows), passed_over=readable.count(False))
        if not any(readable):
            return passed_over
        bodies = [body for body, there in zip(opened.bodies, readable, strict=True) if there and body is not None]
        return passed_over + self._send(rows.filter(pa.array(np.array(readable))), bodies)

    def _send(self, rows: pa.RecordBatch, bodies: list[bytes]) -> Replayed:
        """One lease, one call of the brokers, one transaction."""
        work, part = self.work, rows.column("part")[0].as_py()
        records = columns_of([orjson.loads(body) for body in bodies])
        batch = without_ignored(with_origin(records, self.source, part, rows.column("position")), work.plan)
        with work.keyring.lease(f"replay {work.plan.dataset}") as lease:
            judged = work.judge(batch, lease)
            counts = _counts(rows, judged)
            lease.check()
            work.publisher.publish(judged.messages)
            place = Place(Flow.COLLECT, work.plan.dataset, self.source, self.source)
            again = without_content(judged.quarantined)
            work.store.settle(place, part, rows.column("position"), counts, again, work.plan.version)
        quarantined = dict(Counter(again.column("reason").to_pylist()))
        return Replayed(admitted=counts.admitted, quarantined=quarantined, refused=counts.refused)


def _counts(rows: pa.RecordBatch, judged: Judged) -> Counts:
    """What changes: they were counted as read, and as quarantined for the reasons they were held for."""
    quarantined = Counter(judged.quarantined.column("reason").to_pylist())
    quarantined.subtract(rows.column("reason").to_pylist())
    return Counts(
        admitted=len(judged.messages),
        quarantined={reason: count for reason, count in quarantined.items() if count},
        refused=dict(Counter(judged.enforced.refused.column("reason").to_pylist())),
    )
