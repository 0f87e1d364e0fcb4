"""A topic's way into a sink: poll, judge, write, count, commit; until it is told to stop.

While one batch is being written, the next is polled and judged, and queued at the sink; so memory holds two batches and
what the subscriber fetches ahead, whatever the topic's size. Where something is away or full, the batch in hand waits,
the membership of the group is kept, and the watch is told what for; nothing is passed over. Each partition begins at
the control database's position, so that what a rebalance or a crash interrupts is read again, and counted once.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from governance.errors import KasbahError, LeaseExpiredError, TransientError
from governance.flows.consuming import Batch, Consuming, Stored
from governance.flows.progress import Counts, MovedOnError
from governance.flows.topics import NoTopicError, Subscriber
from governance.model.message import Message

_POLL = 0.5
_STEP = 0.25
_LETTING_GO = 20.0
"""Seconds that a batch in hand gets to end in, when its partitions go or the process is told to stop."""
_ALONE = 240
"""Polls without a partition, after which another member has them all."""


class Watch(Protocol):
    """Who is told how it goes; by any thread."""

    def waits(self, source: str, what: str | None) -> None:
        """For what is being waited, a sentence without data; None when it goes on."""
        ...

    def took(self, source: str, stored: Stored) -> None:
        """A batch is stored and counted."""
        ...

    def beats(self, source: str) -> None:
        """The loop has turned, with or without records."""
        ...


class _GivenUpError(KasbahError):
    """The batch is left to whoever reads there next."""


@dataclass
class Patience:
    """How long to wait before trying again, in seconds: up to twice as long each time, with full jitter."""

    first: float = 0.25
    longest: float = 15.0
    chance: Callable[[], float] = random.random
    _failed: int = 0

    def next(self) -> float:
        """The next wait."""
        self._failed += 1
        return max(0.05, self.chance() * min(self.longest, self.first * 2.0 ** min(self._failed, 16)))

    def reset(self) -> None:
        """It went well."""
        self._failed = 0


@dataclass
class Stream:
    """Reads one topic of a dataset into its sink. `batch_rows` is the most that a batch holds."""

    work: Consuming
    subscriber: Callable[[], Subscriber]
    watch: Watch
    batch_rows: int = 5_000
    patience: Callable[[], Patience] = Patience
    total: Counts = field(default_factory=Counts)

    def run(self, stop: Event, *, once: bool = False) -> Counts:
        """Read until `stop` is set, or with `once` to the topic's end; what became of what this call read.

        The batch in hand is finished. Raises UserError where the contract, the topic or the sink must be mended first,
        ProtectionError where a key is gone.
        """
        if not self._patiently(self.work.sink.prepare, stop):
            return self.total
        while not stop.is_set():
            try:
                with self._joined(stop) as session:
                    session.go(once=once)
                break
            except MovedOnError as error:
                self.watch.waits(self.work.source, str(error))
                stop.wait(_POLL)
        return self.total

    @contextmanager
    def _joined(self, stop: Event) -> Iterator["_Session"]:
        subscriber = self.subscriber()
        session = _Session(self, subscriber, stop)
        try:
            yield session
        finally:
            try:
                session.finish()
            finally:
                subscriber.close()

    def _patiently(self, act: Callable[[], None], stop: Event) -> bool:
        """Do it, again while something is away; False if told to stop meanwhile."""
        patience = self.patience()
        while not stop.is_set():
            try:
                act()
            except TransientError as error:
                self.watch.waits(self.work.source, str(error))
                stop.wait(patience.next())
            else:
                self.watch.waits(self.work.source, None)
                return True
        return False


class _Session:
    """One membership of the group. Polling, judging and all that the group asks of a member is done by one thread,
    storing by another.
    """

    def __init__(self, stream: Stream, subscriber: Subscriber, stop: Event) -> None:
        self._stream, self._work, self._watch = stream, stream.work, stream.watch
        self._subscriber, self._stop = subscriber, stop
        self._next: dict[int, int] = {}
        self._gone = Event()
        self._storer = ThreadPoolExecutor(1, "kasbah-store")
        self._storing: Future[Batch] | None = None
        self._before: Batch | None = None

    def go(self, *, once: bool) -> None:
        """Read on until told to stop, or with `once` until nothing more comes."""
        self._subscriber.subscribe(self._work.topic, self._position, self._lost)
        patience, alone, goals, topicless = self._stream.patience(), 0, None, False
        while not self._stop.is_set():
            try:
                messages = self._gather()
            except TransientError as error:
                self._watch.waits(self._work.source, str(error))
                topicless = isinstance(error, NoTopicError)
                if once and topicless:
                    return
                self._stop.wait(patience.next())
                continue
            patience.reset()
            topicless = topicless and not self._next  # of a topic that isn't there the client tells now and then
            if self._storing is None and not topicless:
                self._watch.waits(self._work.source, None)
            self._watch.beats(self._work.source)
            alone = 0 if self._next else alone + 1
            if once and goals is None and self._next:
                goals = self._goals()
            if messages:
                self._take(messages)
            else:
                self._settle()
            if once and (self._is_done(goals) or alone >= _ALONE):
                self._settle()
                return

    def finish(self) -> None:
        """Let the batch in hand end, if it does so soon, and say how far it all went."""
        try:
            self._settle(_LETTING_GO)
        finally:
            self._gone.set()
            self._storer.shutdown()

    def _goals(self) -> dict[int, int] | None:
        """Where the partitions end now; None if the brokers don't say."""
        try:
            return self._subscriber.ends()
        except TransientError:
            return None

    def _is_done(self, goals: dict[int, int] | None) -> bool:
        """Whether all that was there at the beginning has been taken."""
        if goals is None:
            return False
        return all(self._next.get(p, 0) >= end for p, end in goals.items()) or self._subscriber.caught_up()

    def _gather(self) -> list[Message]:
        """What there is; while a batch is being stored, there may as well be more."""
        most = self._stream.batch_rows
        messages = self._subscriber.poll(most, _POLL)
        while messages and len(messages) < most and self._storing and not self._storing.done():
            generation = self._gone
            try:
                more = self._subscriber.poll(most - len(messages), 0.02)
            except TransientError:
                return messages if self._gone is generation else []  # they have been handed out, and count on
            if self._gone is not generation:
                return more
            messages += more
            if not more:
                wait_for([self._storing], timeout=0.02)
        return messages

    def _take(self, messages: Sequence[Message]) -> None:
        """Judge a batch, then have it stored when the one before it is."""
        gone = self._gone
        batch = Batch(self._work, messages, {m.partition: self._next[m.partition] for m in messages})
        self._next |= batch.after
        with ExitStack() as held:
            held.callback(batch.end)
            if not self._until(batch.judge, gone):
                return
            if self._before is None or not self._before.deletes:
                batch.begin()
            self._settle()
            if gone.is_set():
                return
            held.pop_all()
        self._before = batch
        self._storing = self._storer.submit(self._store, batch, gone)

    def _store(self, batch: Batch, gone: Event) -> Batch:
        """Store it, and judge it anew each time its lease has gone while something was away."""
        patience = self._stream.patience()
        try:
            while True:
                try:
                    batch.store()
                except LeaseExpiredError:
                    self._again(batch, gone, patience)
                except TransientError as error:
                    self._watch.waits(self._work.source, str(error))
                    batch.end()
                    self._pause(patience.next(), gone)
                    self._again(batch, gone, patience)
                else:
                    self._watch.waits(self._work.source, None)
                    return batch
        finally:
            batch.end()

    def _again(self, batch: Batch, gone: Event, patience: Patience) -> None:
        while True:
            try:
                batch.judge()
            except TransientError as error:
                self._watch.waits(self._work.source, str(error))
                self._pause(patience.next(), gone)
            else:
                return

    def _pause(self, seconds: float, gone: Event) -> None:
        """Wait; raise _GivenUpError when there is nothing to wait for any more."""
        while seconds > 0:
            if gone.is_set() or self._stop.is_set():
                raise _GivenUpError("nothing is lost: whoever reads on begins here")
            (gone if seconds < _STEP else self._stop).wait(min(seconds, _STEP))
            seconds -= _STEP

    def _until(self, act: Callable[[], None], gone: Event) -> bool:
        """Do it, again while something is away, as a member of the group all the while. False if it was given up:
        whoever reads on begins here.
        """
        patience = self._stream.patience()
        while not (gone.is_set() or self._stop.is_set()):
            try:
                act()
            except TransientError as error:
                self._watch.waits(self._work.source, str(error))
                self._keep_membership(patience.next())
            else:
                return True
        return False

    def _settle(self, seconds: float | None = None) -> None:
        """Wait for the batch that is being stored, at most so long; raise what it raised."""
        storing, left = self._storing, seconds
        if storing is None:
            return
        while not storing.done() and (left is None or left > 0):
            wait_for([storing], timeout=_STEP)
            if not storing.done():
                left = None if left is None else left - _STEP
                if seconds is None:
                    self._keep_membership(0.0)
                    if self._storing is None:
                        return
        self._storing = self._before = None
        if not storing.done():
            return
        try:
            batch = storing.result()
        except _GivenUpError:
            return
        self._stream.total = sum(batch.stored.counts.values(), self._stream.total)
        self._watch.took(self._work.source, batch.stored)
        self._subscriber.commit(batch.stored.positions)

    def _keep_membership(self, seconds: float) -> None:
        try:
            self._subscriber.poll(0, seconds)
        except TransientError as error:
            self._watch.waits(self._work.source, str(error))

    def _position(self, partition: int) -> int:
        standing = self._work.progress.standing(self._work.place(partition))
        self._next[partition] = standing.position
        return standing.position

    def _lost(self, partitions: Sequence[int]) -> None:
        """All partitions go at once: let the batch in hand end, or leave it to whoever comes."""
        del partitions
        self._gone.set()
        self._gone = Event()
        self._next.clear()
        self._settle(_LETTING_GO)
