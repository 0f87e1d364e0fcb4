"""The keys of a batch, under a lease: what enforcement asks for, and what opening quarantined rows asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import numpy as np
import pyarrow as pa

from governance.flows.unsealing import KeysOfHeld
from governance.model.secret import Secret
from governance.protection.digests import index_digests
from governance.protection.epochs import Epochs
from governance.protection.keytable import KeyTable
from governance.protection.leases import Lease, Leases
from governance.protection.subjects import Resolved, Subjects
from governance.quarantine.store import DayKeys

_CONTENT = "quarantine"
"""Personalises the digests of quarantined rows' bodies."""


class BatchKeys:
    """The keys that one lease gives out; `clear` wipes those that are still held."""

    def __init__(self, subjects: Subjects, day_keys: DayKeys, epochs: Epochs) -> None:
        self._subjects = subjects
        self._day_keys = day_keys
        self._epochs = epochs
        self._tables: list[KeyTable] = []

    def resolve(self, entity: str, keys: list[pa.Array], create: np.ndarray) -> Resolved:
        """The subject of each row (see `Subjects.resolve`)."""
        resolved = self._subjects.resolve(entity, keys, create)
        self._tables.append(resolved.table)
        return resolved

    def fingerprints(self, bodies: list[bytes]) -> list[bytes]:
        """Keyed digests of rows' bodies, 32 bytes each: the same row gives the same one, and nobody can try values."""
        return list(index_digests(pa.array(bodies, pa.binary()), self._epochs.index_key(), _CONTENT).to_pylist())

    def day_key(self, day: date) -> Secret:
        """The quarantine key of a day, made on first use."""
        return self._day_keys.day_key(day)

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

    def __init__(self, subjects: Subjects, day_keys: DayKeys, epochs: Epochs, leases: Leases, seconds: float) -> None:
        self._subjects = subjects
        self._day_keys = day_keys
        self._epochs = epochs
        self._leases = leases
        self._seconds = seconds

    @contextmanager
    def lease(self, holder: str) -> Iterator[HeldLease]:
        """Begin a lease; with the context it ends, and its keys are wiped."""
        lease = self._leases.begin(holder, self._seconds)
        keys = BatchKeys(self._subjects, self._day_keys, self._epochs)
        try:
            yield HeldLease(keys, lease)
        finally:
            keys.clear()
            lease.end()

    @contextmanager
    def for_reading(self) -> Iterator[KeysOfHeld]:
        """The keys of quarantined rows, for opening them."""
        with self.lease("quarantine"):
            yield KeysOfHeld(self._subjects, self._day_keys)
