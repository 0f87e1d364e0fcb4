"""A few batches under way at once: two are enforced side by side, then stored one after the other, in their order.

Enforcing a batch is half computing and half waiting for the control database, so two at a time keep both busy.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Protocol, Self

AT_ONCE = 2
"""Batches that are enforced at the same time; one more is being stored."""


class Turn:
    """Lets batches do one thing in their order, whichever thread is faster."""

    def __init__(self, before: Event) -> None:
        self._before = before
        self.passed = Event()

    def wait(self) -> None:
        """Until the batch before has passed its turn on."""
        self._before.wait()

    def pass_on(self) -> None:
        """Let the next batch have its turn."""
        self.passed.set()


class Work(Protocol):
    """One batch."""

    def enforce(self, turn: Turn) -> None:
        """Enforce it. The turn is passed on afterwards, if it wasn't before."""
        ...

    def store(self) -> None:
        """Store what came of it; called once the batches before it are stored."""
        ...

    def end(self) -> None:
        """Let go of everything, whether it was stored or not."""
        ...

    def tell(self) -> None:
        """Say that it is dealt with."""
        ...


class Crew:
    """Takes batches in their order. After one has failed, none that comes behind it is stored."""

    def __init__(self) -> None:
        self._enforcers = ThreadPoolExecutor(AT_ONCE, "kasbah-enforce")
        self._writer = ThreadPoolExecutor(1, "kasbah-store")
        self._under_way: deque[Future[None]] = deque()
        self._failed = False
        self._last = Event()
        self._last.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for what is under way; what hasn't begun is dropped if there was an error."""
        self._failed = self._failed or kind is not None
        self._enforcers.shutdown()
        self._writer.shutdown()

    def put(self, work: Work) -> None:
        """Hand a batch over; waits while as many are under way as may be. Raises what an earlier one has raised."""
        while len(self._under_way) > AT_ONCE:
            self._under_way.popleft().result()
        turn = Turn(self._last)
        self._last = turn.passed
        enforcing = self._enforcers.submit(self._enforce, work, turn)
        self._under_way.append(self._writer.submit(self._store, work, enforcing))

    def finish(self) -> None:
        """Wait until everything is stored. Raises what one has raised."""
        while self._under_way:
            self._under_way.popleft().result()

    def _enforce(self, work: Work, turn: Turn) -> None:
        try:
            if not self._failed:
                work.enforce(turn)
        finally:
            turn.pass_on()

    def _store(self, work: Work, enforcing: "Future[None]") -> None:
        try:
            enforcing.result()
            if not self._failed:
                work.store()
        except BaseException:
            self._failed = True
            raise
        finally:
            work.end()
        if not self._failed:
            work.tell()
