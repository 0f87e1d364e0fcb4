"""One page on its way from an API to a topic: enforced, sent, counted; under one lease.

Order: enforce -> the brokers acknowledge -> position, counts, held rows and memory move in one transaction. Killed
before the last, the page is asked for, and sent, again: its records are the same by key and version, so no sink
changes, and nothing was counted yet. Records that were met in an earlier pass, in the overlap that the API gives again,
are passed over: neither sent, nor held, nor counted a second time (`met_again`).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contracts.types import Topic
from governance.enforcement.apply import enforce
from governance.enforcement.outcomes import QUARANTINED, REFUSED, Enforced, Reason
from governance.enforcement.plan import PART, POSITION, SOURCE, EnforcementPlan
from governance.enforcement.reading import with_origin, without_ignored
from governance.enforcement.seal import Unreadable, bodies_of, seal_unreadable, with_content
from governance.flows.collect_state import CollectState
from governance.flows.enforcing import Keyring, Lease
from governance.flows.governed import encode
from governance.flows.met_again import CollectStore, Memory, Met, recognise
from governance.flows.polling import PolledPage
from governance.flows.progress import Counts, Place, Standing
from governance.flows.runs import UncountedError, column_names
from governance.flows.source import Malformed
from governance.flows.topics import LARGEST_MESSAGE, Publisher
from governance.model.clock import Clock
from governance.model.message import Message
from governance.pii.scanner import Scanner
from governance.protection.messages import MessageKeys

_MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Taken:
    """What came of a page. `met_again` are records that an earlier pass has dealt with; they aren't in the counts."""

    counts: Counts
    met_again: int = 0
    unknown_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageOf:
    """A page in its place: which standing and state it was asked for from, and which pages before it hadn't changed.

    `grows` and `asks_since` are the API's, as `PagedSource` says.
    """

    place: Place
    standing: Standing
    state: CollectState
    page: PolledPage
    grows: bool
    asks_since: bool
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collecting:
    """What a page needs."""

    plan: EnforcementPlan
    topic: Topic
    overlap: timedelta
    store: CollectStore
    publisher: Publisher
    keyring: Keyring
    message_keys: MessageKeys
    scanner: Scanner
    clock: Clock
    threads: int = 1
    enforce: Callable[..., Enforced] = enforce

    def take(self, of: PageOf) -> tuple[Standing, CollectState, Taken]:
        """Enforce, send and count a page; where the collector stands afterwards, and what came of it.

        Raises TransientError where a store or the brokers are away and LeaseExpiredError if that took too long: ask for
        the page again. MovedOnError if another process has read on.
        """
        with self.keyring.lease(f"collect {self.plan.dataset}") as lease:
            fresh = self._fresh(of, lease)
            done = self._enforced(of, fresh, lease)
            counts = _counted(fresh, done)
            lease.check()
            self.publisher.publish(done.messages)
            state = self._following(of, done.newest)
            after = Standing(of.standing.position + 1, state.as_json(), counts)
            memory = _memory(of, fresh.met)
            self.store.advance(of.place, of.standing.position, after, memory, done.quarantined, self.plan.version)
        return after, state, Taken(counts, fresh.met_again, column_names(done.enforced.unknown_columns))

    def _fresh(self, of: PageOf, lease: Lease) -> "_Fresh":
        """The page without what earlier passes have met."""
        batch, state = of.page.batch, of.state
        rows = without_ignored(with_origin(batch.records, of.place.source, state.part, batch.positions), self.plan)
        bodies = bodies_of(rows, np.arange(rows.num_rows)) + [_told(one) for one in batch.malformed]
        digests = lease.keys.fingerprints(bodies)
        known, met = recognise(digests, self.store.met(of.place, digests), state.poll, state.page, of.unchanged)
        new = ~np.array(known, dtype=bool)
        kept = rows if new[: rows.num_rows].all() else rows.filter(pa.array(new[: rows.num_rows]))
        at = np.flatnonzero(new[rows.num_rows :])
        malformed = tuple((batch.malformed[i], digests[rows.num_rows + i]) for i in at)
        return _Fresh(kept, malformed, met, len(known) - int(new.sum()))

    def _enforced(self, of: PageOf, fresh: "_Fresh", lease: Lease) -> "Judged":
        judged = self.judge(fresh.rows, lease)
        if not fresh.malformed:
            return judged
        return replace(judged, quarantined=_together([judged.quarantined, self._unreadable(of, fresh, lease)]))

    def judge(self, rows: pa.RecordBatch, lease: Lease) -> "Judged":
        """Rows with their origin, enforced; and what of them is to be sent, signed."""
        enforced = self._enforce(rows, lease)
        messages = encode(enforced.admitted, self.plan, self.topic.topic, *self.message_keys.current())
        quarantined = enforced.quarantined
        small = [len(one.value or b"") <= LARGEST_MESSAGE for one in messages]
        if not all(small):
            quarantined = _together([quarantined, _too_large(enforced.admitted, messages, small)])
            messages = [one for one, fits in zip(messages, small, strict=True) if fits]
        return Judged(enforced, messages, quarantined, self._newest(enforced))

    def _enforce(self, rows: pa.RecordBatch, lease: Lease) -> Enforced:
        if rows.num_rows:
            return self.enforce(rows, self.plan, lease.keys, self.scanner, self.clock, threads=self.threads)
        nothing = (self.plan.output_schema(), QUARANTINED, REFUSED)
        return Enforced(*(pa.RecordBatch.from_pylist([], schema=schema) for schema in nothing))

    def _unreadable(self, of: PageOf, fresh: "_Fresh", lease: Lease) -> pa.RecordBatch:
        """Malformed records. Where a minimum age is declared they leave their place, their length and the reason."""
        day = self.clock().date()
        key = None if self.plan.has_minimum_age else lease.keys.day_key(day)
        found = [Unreadable(one.position, one.length, str(one.reason), one.body) for one, _ in fresh.malformed]
        sealed = seal_unreadable(found, of.place.source, of.state.part, self.plan, day, key)
        return sealed if key is None else with_content(sealed, [digest for _, digest in fresh.malformed])

    def _newest(self, enforced: Enforced) -> datetime | None:
        if self.plan.version_field is None:
            return None
        name = self.plan.column(self.plan.version_field).name
        found: datetime | None = pc.max(enforced.admitted.column(name).cast(_MOMENT)).as_py()
        return found

    def _following(self, of: PageOf, newest: datetime | None) -> CollectState:
        state, page = of.state.with_newest(newest, self.clock()), of.page
        if of.grows:
            return state.grown(page.following, page.tag)
        if page.following is not None:
            return state.onward(page.following, page.tag)
        return state.passed(page.tag, self.overlap, asks_since=of.asks_since)


@dataclass(frozen=True)
class _Fresh:
    """The records of a page that no earlier pass has met; malformed ones with their digests. `met` are all."""

    rows: pa.RecordBatch = field(repr=False)
    malformed: tuple[tuple[Malformed, bytes], ...]
    met: Sequence[Met]
    met_again: int


@dataclass(frozen=True)
class Judged:
    """Rows after enforcement."""

    enforced: Enforced
    messages: list[Message]
    quarantined: pa.RecordBatch
    newest: datetime | None


def _memory(of: PageOf, met: Sequence[Met]) -> Memory:
    """A full page that is counted never comes again. What a whole pass hasn't met won't either."""
    poll, last = of.state.poll, of.page.following is None
    if of.grows:
        return Memory(poll, met if last else (), (), poll if last else poll + 1)
    return Memory(poll, met, of.unchanged, poll if last else None)


def _counted(fresh: _Fresh, done: Judged) -> Counts:
    """What became of the records. They add up, or nothing is sent."""
    read = fresh.rows.num_rows + len(fresh.malformed)
    quarantined, refused = (
        dict(Counter(rows.column("reason").to_pylist())) for rows in (done.quarantined, done.enforced.refused)
    )
    counts = Counts(read, len(done.messages), quarantined=quarantined, refused=refused)
    outcomes = counts.admitted + sum(quarantined.values()) + sum(refused.values())
    if outcomes != read:
        raise UncountedError(f"of {read} records of a page {outcomes} have an outcome: nothing was sent")
    return counts


def _together(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    joined = pa.Table.from_batches(batches, QUARANTINED).combine_chunks().to_batches()
    return joined[0] if joined else batches[0]


def _told(one: Malformed) -> bytes:
    """What tells a record that can't be read from others."""
    return one.body if one.body is not None else f"{one.reason} {one.length}".encode()


def _too_large(admitted: pa.RecordBatch, messages: Sequence[Message], small: Sequence[bool]) -> pa.RecordBatch:
    """Rows that no topic takes: their place, their length, and why."""
    records = []
    for row in np.flatnonzero(~np.array(small, dtype=bool)):
        origin = {name: admitted.column(name)[int(row)].as_py() for name in (SOURCE, PART, POSITION)}
        records.append(
            {
                "source": origin[SOURCE],
                "part": origin[PART],
                "position": origin[POSITION],
                "reason": Reason.SINK,
                "detail": "too_large",
                "length": len(messages[int(row)].value or b""),
            }
        )
    return pa.RecordBatch.from_pylist(records, schema=QUARANTINED)
