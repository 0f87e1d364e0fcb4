"""Whose aliases the last batches met, remembered for a minute: the same people come back batch after batch.

Kept are digests, internal ids and sealed values, as they stand in the database; no value, and nothing unwrapped. They
are believed only while the store's change number stands where it stood. It is read with every look-up, in one snapshot
with the answer, and moves with each deletion, resealing, sharing and suppression, whoever does it. So what was
committed before a lease began is always seen under that lease.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from governance.protection.digests import DIGEST_BYTES
from governance.protection.pairs import ID_BYTES, SEALED_BYTES
from governance.protection.subject_store import Bytes2D, Found, SealedRows, SubjectStore

MOST = 262_144
"""Aliases; some 36 MiB. With more, the older ones go."""
_LIFE = timedelta(seconds=60)
_FEW = 1_024
"""New ones that aren't worth sorting in beside many; they are asked for again."""

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, repr=False, eq=False)
class _Memory:
    """Aliases in the order of `first`, their digests' first eight bytes as a number. `whole` have their subject's
    epoch and sealed value. Never changed, so that threads may share it.
    """

    since: datetime | None
    change: int
    first: npt.NDArray[np.uint64]
    digests: Bytes2D
    subjects: Bytes2D
    whole: npt.NDArray[np.bool_]
    epochs: npt.NDArray[np.int32]
    sealed: Bytes2D

    def __len__(self) -> int:
        return len(self.first)

    def places(self, digests: Bytes2D, deciding: int) -> Places:
        """Where each digest stands, -1 where it must be asked for; the first `deciding` ones are wanted whole."""
        if not len(self):
            return np.full(len(digests), -1, np.int64)
        numbers = _numbers(digests)
        order = np.argsort(numbers)
        places = np.empty(len(digests), np.int64)
        places[order] = np.minimum(np.searchsorted(self.first, numbers[order]), len(self) - 1)
        usable = (self.digests[places] == digests).all(axis=1)
        usable[:deciding] &= self.whole[places[:deciding]]
        return np.where(usable, places, -1)

    def with_found(self, digests: Bytes2D, found: Found, now: datetime) -> "_Memory":
        """What was found of these digests as well. Of two digests with the same first eight bytes one is not found
        again, and asked for each time: too rare to matter.
        """
        new = np.flatnonzero(found.known & ~found.shared & ~found.suppressed)
        if len(new) < min(_FEW, len(self)) and found.change == self.change:
            return self
        old = self if len(self) + len(new) <= MOST and found.change == self.change else _nothing()
        whole, epochs, sealed = _sealed_of(found, len(digests))
        first = np.concatenate([_numbers(digests[new]), old.first])
        order = np.argsort(first, kind="stable")[:MOST]
        return _Memory(
            old.since or now,
            found.change,
            first[order],
            np.concatenate([digests[new], old.digests])[order],
            np.concatenate([found.subjects[new], old.subjects])[order],
            np.concatenate([whole[new], old.whole])[order],
            np.concatenate([epochs[new], old.epochs])[order],
            np.concatenate([sealed[new], old.sealed])[order],
        )


class RecentAliases:
    """Looks digests up as the store does, and asks it only for those that it doesn't remember. Safe from several
    threads.
    """

    def __init__(self, store: SubjectStore) -> None:
        self._store = store
        self._memory = _nothing()

    def find(self, entity: str, digests: Bytes2D, deciding: int, now: datetime) -> Found:
        """See `SubjectStore.find`."""
        memory = self._fresh(now)
        places = memory.places(digests, deciding)
        asked = np.flatnonzero(places < 0)
        found = self._store.find(entity, digests[asked], int(np.searchsorted(asked, deciding)), now)
        if found.change != memory.change and len(asked) < len(digests):
            memory, places, asked = _nothing(), np.full(len(digests), -1, np.int64), np.arange(len(digests))
            found = self._store.find(entity, digests, deciding, now)
        self._memory = memory.with_found(digests[asked], found, now)
        return found if len(asked) == len(digests) else _joined(memory, places, asked, found, deciding)

    def _fresh(self, now: datetime) -> _Memory:
        """A clock that went backwards makes it too old."""
        since = self._memory.since
        return self._memory if since is not None and timedelta(0) <= now - since < _LIFE else _nothing()


def _nothing() -> _Memory:
    return _Memory(
        None,
        -1,
        np.zeros(0, np.uint64),
        np.zeros((0, DIGEST_BYTES), np.uint8),
        np.zeros((0, ID_BYTES), np.uint8),
        np.zeros(0, bool),
        np.zeros(0, np.int32),
        np.zeros((0, SEALED_BYTES), np.uint8),
    )


def _joined(memory: _Memory, places: Places, asked: Places, found: Found, deciding: int) -> Found:
    """What was remembered, at these places, and what was found of those that were asked for."""
    known, held = places >= 0, np.flatnonzero(places >= 0)
    subjects = memory.subjects[places]
    shared, suppressed = np.zeros(len(places), bool), np.zeros(len(places), bool)
    known[asked], subjects[asked] = found.known, found.subjects
    shared[asked], suppressed[asked] = found.shared, found.suppressed
    whole = held[: np.searchsorted(held, deciding)]
    at, more = places[whole], found.sealed
    rows = SealedRows(
        np.concatenate([memory.subjects[at], more.ids]),
        np.concatenate([memory.epochs[at], more.epochs]),
        np.concatenate([memory.sealed[at], more.sealed]),
    )
    return Found(
        known, shared, suppressed, subjects, rows, np.concatenate([whole, asked[found.sealed_of]]), found.change
    )


def _sealed_of(found: Found, count: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int32], Bytes2D]:
    """By digest: whether its subject's sealed value was given, its epoch, and the value."""
    whole, epochs = np.zeros(count, bool), np.zeros(count, np.int32)
    sealed = np.zeros((count, SEALED_BYTES), np.uint8)
    whole[found.sealed_of], epochs[found.sealed_of] = True, found.sealed.epochs
    sealed[found.sealed_of] = found.sealed.sealed
    return whole, epochs, sealed


def _numbers(digests: Bytes2D) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64).ravel()
