"""Rows that were held back: what is known of them, and the Protocols of their store and of the keys of their days.

A row is known by where it stood in its source. It is sealed before it gets here, under its subject's key, so that
erasure reaches it, or else under the key of the day, which is destroyed when the day's retention ends. Beside it stand
a reason code, a field, a contract version: never a value, and never an alias; the pseudonym names the subject.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import pyarrow as pa

from governance.errors import KasbahError, UserError
from governance.model.secret import Secret


class NotHeldError(UserError):
    """No row is held in quarantine at that place."""


class PlaceTwiceError(KasbahError):
    """Two rows were given for one place, so that one of them would be lost."""


class DayKeyDestroyedError(KasbahError):
    """The key of that day is destroyed or was never made: its rows can't be opened, and none can be added."""


@dataclass(frozen=True, order=True)
class Place:
    """Where a row stood: the source's name, the part of it (file, page, table), the 0-based position there."""

    source: str
    part: str
    position: int

    def digest(self, dataset: str) -> str:
        """A short name for the place, for the audit ledger: a part may be any text, and a ledger takes none."""
        words = b"".join(
            len(word.encode()).to_bytes(8, "big") + word.encode() for word in (dataset, self.source, self.part)
        )
        return hashlib.sha256(words + self.position.to_bytes(8, "big")).hexdigest()[:16]


@dataclass(frozen=True)
class HeldRow:
    """One row in quarantine. `field` is a field id, `detail` a rule's name; `length` the row's plain size in bytes.

    `sealed` is None where no body may be kept (an unreadable record of a dataset with a minimum age).
    """

    dataset: str
    place: Place
    run: str
    reason: str
    field: str | None
    detail: str | None
    contract_version: str
    entity: str | None
    pseudonym: str | None
    day: date | None
    length: int
    held_at: datetime
    expires_at: datetime
    sealed: bytes | None = dataclasses.field(default=None, repr=False)


@dataclass(frozen=True)
class HeldCount:
    """How many rows of a dataset are held for one reason in one field, since when, and when the first of them goes."""

    dataset: str
    reason: str
    field: str | None
    detail: str | None
    rows: int
    held_since: datetime
    first_expiry: datetime


@dataclass(frozen=True)
class Selection:
    """Which rows: of all datasets, reasons, fields and sources unless said. `expired_by` takes those whose retention
    ends by then.
    """

    dataset: str | None = None
    reason: str | None = None
    field: str | None = None
    source: str | None = None
    expired_by: datetime | None = None


@dataclass(frozen=True)
class Purged:
    """What a purge takes (or would take): rows, how many of them nobody could have opened any more because their day's
    key is gone, and day keys.
    """

    rows: int
    unopenable: int
    day_keys: int


class DayKeys(Protocol):
    """The keys of quarantine's days, one a day, sealed under the epoch's key."""

    def day_key(self, day: date) -> Secret:
        """The key of the day, 32 bytes, made on first use; concurrent writers get the same.

        Raises DayKeyDestroyedError when it has been destroyed.
        """
        ...

    def existing(self, day: date) -> Secret:
        """The key of the day for opening a row: never makes one. Raises DayKeyDestroyedError."""
        ...

    def expired(self, now: datetime) -> int:
        """How many keys `destroy_expired` would destroy."""
        ...

    def destroy_expired(self, now: datetime) -> int:
        """Destroy the keys of days whose retention has ended; returns how many. Backups of the store still hold them,
        sealed, until the epoch's key is destroyed at the next rotation.
        """
        ...


class QuarantineStore(Protocol):
    """Where the sealed rows are. Raises StoreUnavailableError where it is away."""

    def put(
        self, run: str, dataset: str, contract_version: str, rows: pa.RecordBatch, now: datetime, *, renew: bool = True
    ) -> int:
        """Hold these rows (`enforcement.outcomes.QUARANTINED`); returns how many places they take.

        A row that stands at a place already is overwritten, never added. `renew=False` leaves it the expiry it had, so
        that replaying a row doesn't keep it for longer. Raises DayKeyDestroyedError for a row sealed under a day's key
        that doesn't exist, PlaceTwiceError.
        """
        ...

    def resolve(self, dataset: str, source: str, part: str, positions: pa.Array) -> int:
        """Let go of the rows at these positions, since they were admitted or refused; returns how many."""
        ...

    def counts(self, selection: Selection) -> tuple[HeldCount, ...]:
        """Rows by dataset, reason, field and detail, the most first."""
        ...

    def rows(self, selection: Selection) -> Iterator[HeldRow]:
        """The rows in the order of their places, without their sealed bodies, flat in memory."""
        ...

    def sealed_rows(self, dataset: str, selection: Selection) -> Iterator[pa.RecordBatch]:
        """A dataset's rows with their sealed bodies, in the schema QUARANTINED: what a replay reads.

        Each batch is of one source and part, batches and rows in the order of their places, flat in memory. A place is
        given once, also where its row is put again meanwhile.
        """
        ...

    def get(self, dataset: str, place: Place) -> HeldRow:
        """One row with its sealed body. Raises NotHeldError."""
        ...

    def purgeable(self, selection: Selection) -> Purged:
        """What `purge` would take, of rows; day keys count 0."""
        ...

    def purge(self, selection: Selection) -> Purged:
        """Delete the selected rows for good; day keys count 0, they are destroyed by `DayKeys.destroy_expired`."""
        ...
