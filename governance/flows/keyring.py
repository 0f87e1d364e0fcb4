"""The keys of a batch, under a lease: what enforcement asks for, and what opening quarantined rows asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import numpy as np
import pyarrow as pa

from governance.errors import TokenError
from governance.model.secret import Secret
from governance.protection.keytable import PSEUDONYM_BYTES, KeyTable
from governance.protection.leases import Lease, Leases
from governance.protection.subjects import Resolved, Subjects
from governance.quarantine.store import DayKeys


class BatchKeys:
    """The keys that one lease gives out; `clear` wipes those that are still held."""

    def __init__(self, subjects: Subjects, day_keys: DayKeys) -> None:
        self._subjects = subjects
        self._day_keys = day_keys
        self._tables: list[KeyTable] = []

    def resolve(self, entity: str, keys: list[pa.Array], create: np.ndarray) -> Resolved:
        """The subject of each row (see `Subjects.resolve`)."""
        resolved = self._subjects.resolve(entity, keys, create)
        self._tables.append(resolved.table)
        return resolved

    def of_pseudonyms(self, entity: str, pseudonyms: pa.Array) -> tuple[np.ndarray, KeyTable]:
        """For each pseudonym (32 hexadecimal digits) the row of its key in the table, -1 where the key is gone."""
        raw = b"".join(_bytes_of(text) for text in pseudonyms.to_pylist())
        index, table = self._subjects.by_pseudonym(entity, np.frombuffer(raw, np.uint8).reshape(-1, PSEUDONYM_BYTES))
        self._tables.append(table)
        return index, table

    def day_key(self, day: date) -> Secret:
        """The quarantine key of a day, made on first use."""
        return self._day_keys.day_key(day)

    def existing(self, day: date) -> Secret:
        """The quarantine key of a day, for opening."""
        return self._day_keys.existing(day)

    def clear(self) -> None:
        """Wipe the subjects' keys."""
        for table in self._tables:
            table.clear()
        self._tables.clear()


class HeldLease:
    """A lease and its keys."""

    def __init__(self, keys: BatchKeys, lease: Lease) -> None:
        self.keys = keys
        self._lease = lease

    def check(self) -> None:
        """Raise LeaseExpiredError once it has run out."""
        self._lease.check()


class LeasedKeys:
    """Gives out keys, each batch under a lease that is on record before anything is unwrapped."""

    def __init__(self, subjects: Subjects, day_keys: DayKeys, leases: Leases, seconds: float) -> None:
        self._subjects = subjects
        self._day_keys = day_keys
        self._leases = leases
        self._seconds = seconds

    @contextmanager
    def lease(self, holder: str) -> Iterator[HeldLease]:
        """Begin a lease; with the context it ends, and its keys are wiped."""
        lease = self._leases.begin(holder, self._seconds)
        keys = BatchKeys(self._subjects, self._day_keys)
        try:
            yield HeldLease(keys, lease)
        finally:
            keys.clear()
            lease.end()

    @contextmanager
    def for_reading(self) -> Iterator[BatchKeys]:
        """The keys alone, for opening quarantined rows."""
        with self.lease("quarantine") as held:
            yield held.keys


def _bytes_of(pseudonym: str) -> bytes:
    try:
        raw = bytes.fromhex(pseudonym)
    except ValueError:
        raw = b""
    if len(raw) != PSEUDONYM_BYTES:
        raise TokenError("a stored pseudonym is not of 32 hexadecimal digits: the row was altered")
    return raw
