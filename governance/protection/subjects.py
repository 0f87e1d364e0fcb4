"""Whose row it is: from the key values of a batch to subjects, their keys and pseudonyms.

The first non-null key of a row, in the contract's order, alone decides. Keys are worked off rank by rank: first every
row that its first key decides, with the later keys attached that are still free, then every row that its second key
decides, and so on. So the result does not depend on the order of rows, but for who gets a value that several new people
bring: that is the lowest row.

A later key that names somebody else is never attached and never merges: it is noted as a possible link. A value met
with more than three subjects is shared (a household's phone) and no alias any more; then the next key decides.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.errors import ConflictError, KeyUnavailableError
from governance.model.clock import Clock
from governance.model.secret import Secret
from governance.protection import pairs
from governance.protection.columns import U8, Mask
from governance.protection.digests import DIGEST_BYTES, index_digests
from governance.protection.epochs import Epochs
from governance.protection.keytable import KeyTable
from governance.protection.people import People
from governance.protection.recent import RecentAliases
from governance.protection.subject_store import MovedError, NewSubjects, SealedRows, SubjectStore

_TRIES = 50
_LOOKUP = "pseudonym"
"""What personalises the digests of pseudonyms."""

Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
T = TypeVar("T")


@dataclass(frozen=True)
class Resolved:
    """The subjects of a batch. Clear the table when the batch is written.

    * index: for each row its subject's row in `table`, int32; -1 where it has none
    * table: the keys and pseudonyms of those subjects, each once
    * suppressed: rows of people who were erased and may not come back: to be refused
    * created, possible_links: how many this call added; shared: how many of the batch's values are no alias because
      more than three subjects have been met with them
    """

    index: Codes
    table: KeyTable
    suppressed: Mask
    created: int
    possible_links: int
    shared: int


class Subjects:
    """Resolves and makes subjects. Safe to use from several threads and processes at once."""

    def __init__(self, store: SubjectStore, epochs: Epochs, clock: Clock, threads: int = 1) -> None:
        self._store = store
        self._recent = RecentAliases(store)
        self._epochs = epochs
        self._clock = clock
        self._threads = threads

    def resolve(self, entity: str, keys: Sequence[pa.Array], create: Mask) -> Resolved:
        """The subject of each row. keys: one column a key in deciding order, normalised, null where it doesn't fit.

        Where `create` is false a row finds its subject, but makes none and leaves nothing. Concurrent writers agree.
        Raises KeyUnavailableError without an open epoch or where a subject's epoch is destroyed, StoreUnavailableError.
        """
        batch = _Batch(keys, create)
        if not len(batch.values):
            return batch.nobody()
        digests = index_digests(batch.values, self._epochs.index_key(), entity, self._threads)
        work = _Work(self, entity, batch, _rows_of(digests, DIGEST_BYTES))
        return self._settled(work.attempt)

    def by_pseudonym(self, entity: str, pseudonyms: U8) -> tuple[Codes, KeyTable]:
        """The keys of living subjects by pseudonym, uint8 (n, 16): each one's row in the table, -1 where it is gone."""

        def find() -> tuple[Codes, KeyTable]:
            index, found = np.full(len(pseudonyms), -1, np.int32), [KeyTable.random(0)]
            for lookup_key in self._epochs.lookup_keys() if len(pseudonyms) else ():
                rows, sealed = self._store.by_lookup(entity, _lookups(pseudonyms, lookup_key))
                index[rows] = sum(map(len, found)) + np.arange(len(rows), dtype=np.int32)
                found.append(self.open(entity, sealed))
            return index, KeyTable.join(*found)

        return self._settled(find)

    def _settled(self, attempt: Callable[[], T]) -> T:
        """Try again while other writers change what was read; once, if an epoch ended between reading and opening."""
        ended = False
        for _ in range(_TRIES):
            try:
                return attempt()
            except MovedError:
                self._epochs.forget()
            except KeyUnavailableError:
                if ended:
                    raise
                ended = True
        raise ConflictError("other writers keep changing the same subjects; try again")

    def alive(self, pseudonyms: U8) -> Mask:
        """Which pseudonyms, uint8 (n, 16), belong to a subject that there is. Needs only the lookup keys."""
        living = np.zeros(len(pseudonyms), bool)
        for lookup_key in self._epochs.lookup_keys() if len(pseudonyms) else ():
            living |= self._store.alive(_lookups(pseudonyms, lookup_key))
        return living

    def reseal(self, limit: int) -> int:
        """Seal at most `limit` subjects of earlier epochs again under the open one. Returns how many; 0: none left."""
        epoch, key = self._epochs.current()
        lookup_key = self._epochs.lookup_key(epoch)

        def rewrite(entity: str, old: int, ids: U8, sealed: U8) -> tuple[U8, U8]:
            table = pairs.open(_binary(sealed), ids, self._epochs.key(old), entity, old)
            again = pairs.seal(table, ids, key, entity, epoch)
            lookups = _lookups(table.pseudonyms, lookup_key)
            table.clear()
            return _rows_of(again, pairs.SEALED_BYTES), lookups

        return self._store.reseal(epoch, limit, rewrite)

    def open(self, entity: str, rows: SealedRows) -> KeyTable:
        """The keys of stored subjects, in their order. Raises TokenError, KeyUnavailableError."""
        order = np.argsort(rows.epochs, kind="stable")
        tables = []
        for epoch in np.unique(rows.epochs):
            mine = np.flatnonzero(rows.epochs == epoch)
            key = self._epochs.key(int(epoch))
            tables.append(pairs.open(_binary(rows.sealed[mine]), rows.ids[mine], key, entity, int(epoch)))
        if len(tables) == 1:
            return tables[0]
        joined = KeyTable.join(*tables)
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        table = joined.take(back)
        for used in (*tables, joined):
            used.clear()
        return table


class _Batch:
    """The key columns of a batch as codes of their distinct values; those that may decide a row come first."""

    def __init__(self, keys: Sequence[pa.Array], create: Mask) -> None:
        self.create = np.asarray(create, dtype=bool)
        self.rows = len(self.create)
        columns = [key.cast(pa.string()) for key in keys]
        encoded = pa.chunked_array(columns, pa.string()).dictionary_encode().unify_dictionaries()
        self.values = (
            encoded.chunk(encoded.num_chunks - 1).dictionary if self.rows and keys else pa.array([], pa.string())
        )
        self.codes = np.full((len(keys), self.rows), -1, np.int32)
        for rank, chunk in enumerate(encoded.chunks if self.rows else ()):
            self.codes[rank] = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        self.deciding = self._deciders_first()

    def _deciders_first(self) -> int:
        """Renumber the values, so that those that are some row's first key come first; returns how many they are."""
        first = np.full(self.rows, -1, np.int32)
        for codes in self.codes[::-1]:
            first = np.where(codes >= 0, codes, first)
        decides = np.zeros(len(self.values) + 1, bool)
        decides[first] = True
        decides = decides[:-1]
        order = np.concatenate([np.flatnonzero(decides), np.flatnonzero(~decides)])
        self.values = self.values.take(pa.array(order))
        place = np.empty(len(order) + 1, np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        place[-1] = -1
        self.codes = place[self.codes]
        return int(decides.sum())

    def nobody(self) -> Resolved:
        """No row has a key."""
        none = np.full(self.rows, -1, np.int32)
        return Resolved(none, KeyTable.random(0), np.zeros(self.rows, bool), 0, 0, 0)


class _Work:
    """One call of `resolve`; what earlier attempts wrote stands and is counted."""

    def __init__(self, subjects: Subjects, entity: str, batch: _Batch, digests: U8) -> None:
        self.subjects, self.entity, self.batch, self.digests = subjects, entity, batch, digests
        self.store = subjects._store
        self.created = self.links = 0

    def attempt(self) -> Resolved:
        """Look everything up, then decide rank by rank. Raises MovedError to be called again."""
        batch = self.batch
        found = self.subjects._recent.find(self.entity, self.digests, batch.deciding, self.subjects._clock())
        people = People(found)
        subject = np.full(batch.rows, -1, np.int64)
        suppressed = np.zeros(batch.rows, bool)
        undecided = np.ones(batch.rows, bool)
        for rank, codes in enumerate(batch.codes):
            usable = undecided & (codes >= 0)
            usable[usable] = ~people.shared[codes[usable]]
            rows = np.flatnonzero(usable)
            undecided[rows] = False
            gone = people.suppressed[codes[rows]]
            suppressed[rows[gone]] = True
            rows = rows[~gone]
            made = self._new_people(people, codes[rows[batch.create[rows]]])
            subject[rows] = people.owner[codes[rows]]
            rows = rows[batch.create[rows] & (subject[rows] >= 0)]
            self._give(people, made, subject[rows], batch.codes[rank + 1 :, rows])
        index, table = self._table(people, subject)
        return Resolved(index, table, suppressed, self.created, self.links, int(people.shared.sum()))

    def _new_people(self, people: People, codes: Codes) -> NewSubjects | None:
        """A new subject for each of these values that nobody has; in memory only, as yet."""
        new = np.unique(codes[people.owner[codes] < 0])
        if not len(new):
            return None
        epochs = self.subjects._epochs
        epoch, key = epochs.current()
        table, ids = KeyTable.random(len(new)), _random_ids(len(new))
        sealed = _rows_of(pairs.seal(table, ids, key, self.entity, epoch), pairs.SEALED_BYTES)
        lookups = _lookups(table.pseudonyms, epochs.lookup_key(epoch))
        people.add(new, ids, table)
        rows = SealedRows(ids, np.full(len(new), epoch, np.int32), sealed)
        return NewSubjects(self.entity, rows, lookups, self.digests[new])

    def _give(self, people: People, made: NewSubjects | None, subject: Rows, later: npt.NDArray[np.int32]) -> None:
        """Store the new subjects; give all of these subjects their rows' later keys, (keys, rows), where they are
        free; note possible links.
        """
        codes, subject = later.T.ravel(), np.repeat(subject, len(later))
        held = codes >= 0
        held[held] = ~people.shared[codes[held]] & ~people.suppressed[codes[held]]
        held[held] = people.owner[codes[held]] != subject[held]
        codes, subject = codes[held], subject[held]
        nobodys = people.owner[codes] < 0
        free, first = np.unique(codes[nobodys], return_index=True)
        takers = subject[nobodys][first]
        people.owner[free] = takers
        is_new = takers >= people.count - (len(made.digests) if made else 0)
        if made:
            done = self.store.create(made, self.digests[free[is_new]], people.ids(takers[is_new]))
            self.created += done.subjects
            if not done.complete:
                raise MovedError("another writer met the same new people")
        free, takers = free[~is_new], takers[~is_new]
        if len(free) and self.store.attach(self.entity, self.digests[free], people.ids(takers)) < len(free):
            raise MovedError("another writer met the same new values")
        other = people.owner[codes] != subject
        if other.any():
            self._link(people, codes[other], subject[other])

    def _link(self, people: People, codes: Codes, subject: Rows) -> None:
        _, first = np.unique(codes * np.int64(people.count) + subject, return_index=True)
        met = np.sort(first)
        linked = self.store.link(self.digests[codes[met]], people.ids(subject[met]))
        self.links += linked.new
        people.shared[codes[met][linked.shared]] = True

    def _table(self, people: People, subject: Rows) -> tuple[Codes, KeyTable]:
        """The keys of the subjects in use, each once; and the rows' places in them."""
        used = np.zeros(people.count + 1, bool)
        used[subject] = True
        chosen = np.flatnonzero(used[:-1])
        place = np.full(people.count + 1, -1, np.int32)
        place[chosen] = np.arange(len(chosen), dtype=np.int32)
        table = people.keys(chosen, lambda rows: self.subjects.open(self.entity, rows), self.store.sealed)
        return place[subject], table


def _lookups(pseudonyms: U8, key: Secret) -> U8:
    """Digests of pseudonyms under an epoch's lookup key, uint8 (n, 32)."""
    return _rows_of(index_digests(_binary(pseudonyms), key, _LOOKUP), DIGEST_BYTES)


def _random_ids(count: int) -> U8:
    """Internal ids, ascending: 48 random bits that a batch has in common, so that its ids stand together in the
    database's indexes, and 80 random bits each.
    """
    ids = np.frombuffer(bytearray(os.urandom(count * pairs.ID_BYTES)), np.uint8).reshape(count, pairs.ID_BYTES)
    ids[:, :6] = ids[0, :6]
    return ids[np.argsort(np.ascontiguousarray(ids[:, 6:14]).view(">u8").ravel())]


def _binary(rows: U8) -> pa.FixedSizeBinaryArray:
    return pa.Array.from_buffers(pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))])


def _rows_of(values: pa.FixedSizeBinaryArray, width: int) -> U8:
    """The bytes of a column without nulls, as an array (rows, width)."""
    raw = np.frombuffer(values.buffers()[1], np.uint8)
    return raw[values.offset * width : (values.offset + len(values)) * width].reshape(len(values), width)
