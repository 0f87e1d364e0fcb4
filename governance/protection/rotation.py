"""Rotation: from one epoch to the next, after which nothing that the old one sealed can be opened by anybody.

Open the new epoch; seal again all that the old one sealed; bar new rows under it, and seal again what came meanwhile;
prove in one transaction that nothing is left; wait until no process can have its keys in memory; destroy them at the
key service; note what that reports.

Each step is idempotent and on record before the next begins, so a rotation that was killed goes on where it was. All
that is ever destroyed goes last: before that, every living person's key opens under one epoch or the other.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from governance.audit.records import Record
from governance.errors import ConflictError, KeyUnavailableError
from governance.model.clock import Clock
from governance.protection.epochs import LONGEST_CACHE, Epoch, Epochs, EpochState
from governance.protection.keyservice import Destruction

BATCH = 5_000
"""Rows that are sealed again in one transaction."""


class StillSealedError(ConflictError):
    """Something is still sealed under the old epoch, so its keys were not destroyed."""


class Resealable(Protocol):
    """A table whose rows are sealed under epochs. Adding one to the rotation is all that a new kind of row takes."""

    @property
    def name(self) -> str:
        """What its rows are, for people."""
        ...

    def remaining(self, epoch: int) -> int:
        """How many rows are sealed under an epoch before this one."""
        ...

    def reseal(self, limit: int) -> int:
        """In one transaction, seal at most `limit` rows of earlier epochs again under the open one. Returns how many;
        0 when none is left.
        """
        ...


class Barrier(Protocol):
    """Bars rows of old epochs from the database, by constraints that hold whatever a writer believes."""

    def alone(self) -> AbstractContextManager[None]:
        """One rotation at a time. Raises ConflictError while another process rotates."""
        ...

    def bar(self, epoch: int) -> None:
        """From now on no row can be added, or changed, under an epoch before this one."""
        ...

    def prove(self, closing: int, epoch: int, clock: Clock) -> None:
        """In one transaction: see that no row under an earlier epoch is left anywhere, and note the moment for the
        closing epoch (the first proof counts). Raises StillSealedError.
        """
        ...


class Recorder(Protocol):
    """The audit ledger, as far as it is needed here."""

    def append(self, records: Sequence[Record]) -> object:
        """Keep the records, durably."""
        ...


@dataclass(frozen=True)
class Plan:
    """What a rotation would do. `closing` is set where one was begun and not finished."""

    current: int
    closing: int | None
    rows: dict[str, int]


@dataclass(frozen=True)
class Rotated:
    """What was done: the epochs, rows sealed again in this run, what the key service reports of the old keys."""

    old: int
    new: int
    rows: dict[str, int]
    destruction: Destruction


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


def _silent(what: str, done: int, of: int) -> None:
    del what, done, of


class Rotation:
    """Plans and runs rotations."""

    def __init__(
        self,
        epochs: Epochs,
        resealables: Sequence[Resealable],
        barrier: Barrier,
        recorder: Recorder,
        clock: Clock,
        actor: str,
        cache_seconds: float = LONGEST_CACHE,
        sleep: Callable[[float], None] = time.sleep,
        on_step: Callable[[str], None] = lambda _step: None,
    ) -> None:
        self._epochs = epochs
        self._resealables = tuple(resealables)
        self._barrier = barrier
        self._recorder = recorder
        self._clock = clock
        self._actor = actor
        self._wait = cache_seconds
        self._sleep = sleep
        self._on_step = on_step

    def plan(self) -> Plan:
        """What there would be to do. Raises KeyUnavailableError before `kasbah keys init`."""
        current, closing = self._open_epoch(), self._closing()
        before = current.id if closing else current.id + 1
        rows = {one.name: one.remaining(before) for one in self._resealables}
        return Plan(current.id, closing.id if closing else None, rows)

    def run(self, progress: Progress = _silent) -> Rotated:
        """Rotate, or finish the rotation that was begun.

        Raises ConflictError while another one runs, StillSealedError, and whatever the database and the key service
        raise; then run it again.
        """
        with self._barrier.alone():
            if self._closing() is None:
                self._open_next()
            new, old = self._open_epoch(), self._closing()
            if old is None:
                raise ConflictError("another process has finished this rotation")
            # Before the bar too, so that hardly a row is left which a writer may not touch until it is sealed again.
            rows = {one.name: self._reseal(one, new.id, progress) for one in self._resealables}
            self._barrier.bar(new.id)
            self._done("bar", new.id)
            for one in self._resealables:
                rows[one.name] += self._reseal(one, new.id, progress)
            self._epochs.rewrap_index_key()
            self._done("index", new.id)
            self._epochs.check()
            self._barrier.prove(old.id, new.id, self._clock)
            self._done("prove", new.id)
            self._wait_for_caches(old.id, progress)
            destruction = self._epochs.destroy(old)
            self._on_step("destroyed")
            self._epochs.destroyed(old, destruction)
            self._done("destroy", old.id)
        return Rotated(old.id, new.id, rows, destruction)

    def _open_next(self) -> None:
        self._open_epoch()
        made = self._epochs.prepare()
        self._on_step("prepared")
        self._epochs.open(made)
        self._done("open", made.id)

    def _reseal(self, one: Resealable, epoch: int, progress: Progress) -> int:
        total, done = one.remaining(epoch), 0
        progress(one.name, 0, total)
        while count := one.reseal(BATCH):
            done += count
            progress(one.name, done, max(done, total))
            self._on_step("reseal")
        self._done("reseal", epoch, {"rows": done})
        return done

    def _wait_for_caches(self, old: int, progress: Progress) -> None:
        """Nobody unwraps the old keys once the proof is on record; those who had done so drop them in this time."""
        proven = next((e.proven_at for e in self._epochs.all() if e.id == old), None)
        if proven is None:
            raise StillSealedError(f"epoch {old}: there is no proof that nothing is sealed under it any more")
        whole = int(self._wait)
        while True:
            # A clock that was set back makes the wait longer, never shorter than it is by that clock.
            left = min(self._wait, proven.timestamp() + self._wait - self._clock().timestamp())
            if left <= 0:
                break
            progress("waiting until no process remembers the old keys", whole - int(left), whole)
            self._sleep(min(left, 1.0))
            self._on_step("wait")

    def _open_epoch(self) -> Epoch:
        for epoch in self._epochs.all():
            if epoch.state is EpochState.OPEN:
                return epoch
        raise KeyUnavailableError("there is no open epoch: run `kasbah keys init`")

    def _closing(self) -> Epoch | None:
        return next((e for e in self._epochs.all() if e.state is EpochState.CLOSING), None)

    def _done(self, step: str, epoch: int, counts: dict[str, int] | None = None) -> None:
        item = f"epoch-{epoch}:{step}"
        self._recorder.append([Record("keys.rotate.step", self._actor, item=item, ok=True, counts=counts or {})])
        self._on_step(step)
