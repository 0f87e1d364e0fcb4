"""The people of one batch while it is resolved: who owns which value, and where their keys come from."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from governance.protection.columns import U8
from governance.protection.keytable import KeyTable
from governance.protection.pairs import ID_BYTES
from governance.protection.subject_store import Found, MovedError, SealedRows

Rows = npt.NDArray[np.int64]


class People:
    """Numbers each subject that was found or made: `owner[value]` is the number of a value's subject, -1 if none has
    it; `shared` and `suppressed` are masks over the values.
    """

    def __init__(self, found: Found) -> None:
        self.shared, self.suppressed = found.shared.copy(), found.suppressed
        self._known, numbers = _distinct(found.subjects[found.known])
        self.owner = np.full(len(found.known), -1, np.int64)
        self.owner[found.known] = numbers
        self._stored = found.sealed
        self._new_ids: list[U8] = []
        self._new_keys: list[KeyTable] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._known) + sum(map(len, self._new_ids))

    def add(self, values: npt.NDArray[np.integer], ids: U8, keys: KeyTable) -> None:
        """New subjects, one for each of these values."""
        self.owner[values] = self.count + np.arange(len(values))
        self._new_ids.append(ids)
        self._new_keys.append(keys)

    def ids(self, subjects: Rows) -> U8:
        """Their internal ids, (n, 16)."""
        return np.concatenate([self._known, *self._new_ids])[subjects]

    def keys(
        self, chosen: Rows, unseal: Callable[[SealedRows], KeyTable], fetch: Callable[[U8], SealedRows]
    ) -> KeyTable:
        """The keys of these subjects (numbers, ascending), in this order. `fetch` gets the sealed values that weren't
        found at first. Raises MovedError if one of them is gone by now.
        """
        old = chosen[chosen < len(self._known)]
        stored = unseal(self._sealed(old, fetch))
        new = KeyTable.join(*self._new_keys)
        table = KeyTable.join(stored, new.take(chosen[len(old) :] - len(self._known)))
        for used in (stored, new, *self._new_keys):
            used.clear()
        return table

    def _sealed(self, old: Rows, fetch: Callable[[U8], SealedRows]) -> SealedRows:
        places = self._places(self._stored)
        missing = old[places[old] < 0]
        rows = self._stored
        if len(missing):
            more = fetch(self._known[missing])
            rows = SealedRows(
                np.concatenate([rows.ids, more.ids]),
                np.concatenate([rows.epochs, more.epochs]),
                np.concatenate([rows.sealed, more.sealed]),
            )
            places = self._places(rows)
        take = places[old]
        if (take < 0).any():
            raise MovedError("a subject of this batch has just been erased")
        return SealedRows(rows.ids[take], rows.epochs[take], rows.sealed[take])

    def _places(self, rows: SealedRows) -> Rows:
        """For each known subject its row among these, -1 where it has none."""
        places = np.full(len(self._known), -1, np.int64)
        number = _numbers_in(self._known, rows.ids)
        places[number[number >= 0]] = np.flatnonzero(number >= 0)
        return places


def _distinct(ids: U8) -> tuple[U8, Rows]:
    """The distinct ids, and for each given one its number among them."""
    encoded = _column(ids).dictionary_encode()
    numbers = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    first = np.zeros(len(encoded.dictionary), np.int64)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    return ids[first], numbers


def _numbers_in(known: U8, ids: U8) -> Rows:
    """For each id its row among the known ones, -1 if it isn't there."""
    places = pc.index_in(_column(ids), _column(known))
    return np.asarray(places.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _column(ids: U8) -> pa.FixedSizeBinaryArray:
    return pa.Array.from_buffers(pa.binary(ID_BYTES), len(ids), [None, pa.py_buffer(np.ascontiguousarray(ids))])
