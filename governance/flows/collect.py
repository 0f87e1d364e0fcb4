"""Collect: poll an API page by page, and send what is admitted to its governed topic; until told to stop.

Where something is away, the page is asked for again after a while, for as long as it takes, and the watch is told what
is being waited for; the position stays. A page that can't be had is noted in the standing too, with how often it was
asked for, so that nobody has to read logs to find out that nothing comes any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Protocol

from governance.audit.ledger import Ledger
from governance.audit.records import Record
from governance.errors import KasbahError, LeaseExpiredError, SourceError, SourceUnavailableError, TransientError
from governance.flows.collect_state import CollectState
from governance.flows.collecting import Collecting, PageOf, Taken
from governance.flows.met_again import Memory
from governance.flows.polling import PagedSource, StoppedError
from governance.flows.progress import Counts, Flow, Place, Standing
from governance.flows.stream import Patience

_LATE = 3
"""Leases in a row that may run out on a page, before its pages are said to be too large."""
_TRIES = 8
"""How often in a row something may be away from a poll that is to end, before it ends without."""


class CollectWatch(Protocol):
    """Who is told how it goes."""

    def waits(self, source: str, what: str | None) -> None:
        """For what is being waited, a sentence without data; None when it goes on."""
        ...

    def took(self, source: str, taken: Taken) -> None:
        """A page was dealt with."""
        ...

    def passed(self, source: str) -> None:
        """There is nothing more for now."""
        ...


@dataclass
class Collected:
    """What a session came to, over all sources."""

    counts: Counts = field(default_factory=Counts)
    pages: int = 0
    met_again: int = 0
    unknown_columns: tuple[str, ...] = ()

    def add(self, taken: Taken) -> None:
        """One more page."""
        self.counts += taken.counts
        self.pages += 1
        self.met_again += taken.met_again
        self.unknown_columns = tuple(sorted({*self.unknown_columns, *taken.unknown_columns}))


@dataclass
class Collect:
    """Collects one dataset. `every` is the seconds between two polls of a source that has nothing more."""

    work: Collecting
    sources: Sequence[PagedSource]
    partitions: int
    watch: CollectWatch
    ledger: Ledger
    actor: str
    every: float = 5.0
    patience: Callable[[], Patience] = Patience

    def run(self, stop: Event, *, once: bool = False, most_pages: int | None = None) -> Collected:
        """Poll until `stop` is set; with `once`, each source to its end, or `most_pages` of it.

        The page in hand is finished. With `once`, raises SourceUnavailableError or SourceError for a page that can't be
        had, StoreUnavailableError where a store stays away; else only what must be mended first: UserError,
        ProtectionError, ConflictError where another process collects the same.
        """
        done = Collected()
        self._note("collect.begun", done)
        ended = False
        try:
            self._prepare(stop, once=once)
            while not stop.is_set():
                for source in self.sources:
                    _Poll(self, source, stop, done, most_pages if once else None, once=once).go()
                if once or stop.wait(self.every):
                    break
            ended = True
        except StoppedError:
            ended = True
        finally:
            self._note("collect.ended", done, ok=ended)
            self.ledger.publish_head()
        return done

    def _prepare(self, stop: Event, *, once: bool) -> None:
        patience, topic, tried = self.patience(), self.work.topic, 0
        while True:
            try:
                self.work.publisher.prepare(topic, self.partitions)
            except TransientError as error:
                tried += 1
                if once and tried >= _TRIES:
                    raise
                self.watch.waits(topic.name, str(error))
                if stop.wait(patience.next()):
                    raise StoppedError("asked to stop") from None
            else:
                self.watch.waits(topic.name, None)
                return

    def _note(self, action: str, done: Collected, *, ok: bool | None = None) -> None:
        counts = {} if ok is None else _sums(done)
        plan = self.work.plan
        record = Record(action, self.actor, dataset=plan.dataset, contract=plan.version, ok=ok, counts=counts)
        self.ledger.append([record])


class _Poll:
    """One poll of one source: pages until there are no more for now."""

    def __init__(
        self, collect: Collect, source: PagedSource, stop: Event, done: Collected, most: int | None, *, once: bool
    ) -> None:
        self._work, self._watch = collect.work, collect.watch
        self._source, self._stop, self._once = source, stop, once
        self._left = most
        self._done = done
        self._patience = collect.patience()
        self._place = Place(Flow.COLLECT, collect.work.plan.dataset, source.name, source.name)
        self._late = 0
        self._standing = Standing()
        self._state = CollectState()
        self._unchanged: list[str] = []
        self._asked: set[str] = set()

    def go(self) -> None:
        """Read on from where the standing is, until a pass has ended."""
        more = self._again(self._stand)
        while more and not self._stop.is_set():
            more = self._again(self._step)
            if self._left is not None and self._left <= 0:
                return
        if not more:
            self._watch.passed(self._source.name)

    def _again(self, act: Callable[[], bool]) -> bool:
        """Do it, and again from where the standing is then, while something is away."""
        away = 0
        while True:
            try:
                if away:
                    self._stand()
                more = act()
            except (SourceUnavailableError, SourceError) as error:
                self._trouble(error)
                if self._once:
                    raise
                self._wait(error)
            except LeaseExpiredError as error:
                self._late += 1
                if self._late >= _LATE:
                    raise
                self._wait(error)
            except TransientError as error:
                if self._once and away >= _TRIES:
                    raise
                self._wait(error)
            else:
                self._late = 0
                self._patience.reset()
                self._watch.waits(self._source.name, None)
                return more
            away += 1

    def _wait(self, error: KasbahError) -> None:
        self._watch.waits(self._source.name, str(error))
        if self._stop.wait(self._patience.next()):
            raise StoppedError("asked to stop") from None

    def _stand(self) -> bool:
        """Take the place up where it stands: what this process remembers may be out of date."""
        self._standing = self._work.store.standing(self._place)
        self._state = CollectState.of(self._standing.state)
        self._unchanged, self._asked = [], set()
        return True

    def _step(self) -> bool:
        """One page; whether there may be more of the pass."""
        state = self._state
        if state.page in self._asked and not self._source.grows:
            raise SourceError(f"{self._source.name}: its pages lead back to one that was read already; nothing ends")
        seen = state.pages.get(state.page)
        page = self._source.page(self._number(), state.cursor, state.since, seen.tag if seen else None)
        self._asked.add(state.page)
        if page is None and seen is not None:
            return self._unchanged_page(seen.following, seen.tag)
        if page is None:
            raise SourceUnavailableError(f"{self._source.name}: a page was said to be unchanged that nobody has read")
        of = PageOf(
            self._place, self._standing, state, page, self._source.grows, self._source.asks_since, (*self._unchanged,)
        )
        self._standing, self._state, taken = self._work.take(of)
        self._unchanged = []
        self._done.add(taken)
        self._watch.took(self._source.name, taken)
        if self._left is not None:
            self._left -= 1
        return page.following is not None

    def _unchanged_page(self, following: str | None, tag: str) -> bool:
        """The page is as it was when it was read. A pass in which all are so leaves no trace."""
        state = self._state
        if self._source.grows:
            self._cleared(state)
            return False
        self._unchanged.append(state.page)
        if following is not None:
            self._state = replace(state, cursor=following)
            return True
        if state.dirty:
            ended = state.passed(tag, self._work.overlap, asks_since=self._source.asks_since)
            self._move(ended, Memory(state.poll, (), (*self._unchanged,), state.poll))
        else:
            self._cleared(replace(state, cursor=None))
        return False

    def _cleared(self, state: CollectState) -> None:
        """Nothing is wrong any more."""
        if state.trouble is not None:
            self._move(replace(state, trouble=None), Memory(state.poll))

    def _trouble(self, error: KasbahError) -> None:
        """Note what is wrong with the page, beside its position; if that can be noted now."""
        state = CollectState.of(self._standing.state).troubled(str(error), self._work.clock())
        try:
            self._move(state, Memory(state.poll))
        except TransientError:
            return

    def _move(self, state: CollectState, memory: Memory) -> None:
        """Keep another state at the same position."""
        after = Standing(self._standing.position, state.as_json())
        self._work.store.advance(self._place, self._standing.position, after, memory)
        self._standing, self._state = replace(after, counts=Counts()), state

    def _number(self) -> int:
        cursor = self._state.cursor
        return int(cursor) if self._source.grows and cursor is not None else self._standing.position + 1


def _sums(done: Collected) -> dict[str, int]:
    """What the ledger is told: sums, and the reasons beside them."""
    counts = done.counts
    sums = {"pages": done.pages, "read": counts.read, "admitted": counts.admitted, "met_again": done.met_again}
    sums |= {"quarantined": sum(counts.quarantined.values()), "refused": sum(counts.refused.values())}
    sums |= {f"quarantined.{reason}": count for reason, count in counts.quarantined.items()}
    return sums | {f"refused.{reason}": count for reason, count in counts.refused.items()}
