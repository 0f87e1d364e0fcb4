"""Leases: the right to work with unwrapped keys until a sink has acknowledged.

A lease's row is there before any key is unwrapped, so that whoever destroys a key can wait for those who may still hold
it. Its moments are the database's own, one clock for all machines. The holder counts by its clock from before it asked
for the row, so that for it the lease ends no later than for those who wait.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from governance.errors import ConflictError, LeaseExpiredError
from governance.model.clock import Clock


@dataclass(frozen=True)
class Running:
    """A lease as others see it, by the database's clock."""

    holder: str
    began_at: datetime
    expires_at: datetime


class LeaseStore(Protocol):
    """Where leases are kept. Every moment is the store's own. Raises StoreUnavailableError."""

    def begin(self, holder: str, seconds: float) -> int:
        """Commit a lease that begins now; returns its id."""
        ...

    def end(self, lease: int) -> None:
        """It has ended; ending it again changes nothing."""
        ...

    def now(self) -> datetime:
        """The store's present moment."""
        ...

    def running(self, began_before: datetime | None = None) -> tuple[Running, ...]:
        """Leases that have neither ended nor expired, those that began before a moment only, if one is given."""
        ...


class Lease:
    """One lease, as its holder sees it."""

    def __init__(self, store: LeaseStore, clock: Clock, number: int, holder: str, expires_at: datetime) -> None:
        self._store = store
        self._clock = clock
        self._number = number
        self.holder = holder
        self.expires_at = expires_at

    def check(self) -> None:
        """Raise LeaseExpiredError if it has run out, by the holder's clock: then nothing may be sent."""
        late = (self._clock() - self.expires_at).total_seconds()
        if late >= 0:
            raise LeaseExpiredError(
                f"{self.holder}: the lease on keys ran out {late:.0f} s ago, so nothing was sent; run it again, with "
                "smaller batches (batch_rows) or longer leases (lease_seconds)"
            )

    def end(self) -> None:
        """The sink has acknowledged, or nothing was sent; and the keys are cleared. Ending twice changes nothing."""
        self._store.end(self._number)


class Leases:
    """Begins and ends leases, and waits for them."""

    def __init__(self, store: LeaseStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def begin(self, holder: str, seconds: float) -> Lease:
        """A lease of so many seconds; its row is committed when this returns. Unwrap no key before."""
        asked = self._clock()
        number = self._store.begin(holder, seconds)
        return Lease(self._store, self._clock, number, holder, asked + timedelta(seconds=seconds))

    def running(self) -> tuple[Running, ...]:
        """Leases under which keys may be in use."""
        return self._store.running()

    def now(self) -> datetime:
        """The moment to give to `wait_until_clear`, by the store's clock: after what must not be used was committed."""
        return self._store.now()

    def wait_until_clear(
        self,
        began_before: datetime,
        longest: float,
        sleep: Callable[[float], None] = time.sleep,
        pause: float = 0.2,
    ) -> float:
        """Wait until every lease that began before this moment has ended or expired. Returns the seconds waited.

        Raises ConflictError that names a holder when that takes longer than `longest` seconds.
        """
        waited = 0.0
        while left := self._store.running(began_before):
            if waited >= longest:
                raise ConflictError(f"{left[0].holder} still holds a lease on keys after {waited:.0f} s; try again")
            sleep(pause)
            waited += pause
        return waited
