"""Epochs: the lifetime of one wrapping key, and the keys that live as long.

An epoch has a key that seals subjects' keys and pseudonyms, and a lookup key that tells whether a pseudonym is alive.
Both are random, and rest only as a key service has wrapped them, each under a key of its own there. The index key, from
which aliases' digests are made, outlives epochs and is wrapped again at each rotation, so that an old copy of the
database can't even compute a digest.
"""

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from governance.errors import KeyUnavailableError
from governance.model.clock import Clock
from governance.model.secret import Secret
from governance.protection.framing import frame
from governance.protection.keyservice import Destruction, KeyService, KeyState, Purpose

KEY_BYTES = 32
LONGEST_CACHE = 60
"""Seconds that an epoch's unwrapped key may live in memory; rotation waits as long before it destroys anything."""


class EpochState(StrEnum):
    """Opening: being made. Open: seals all that is new. Closing: opens what is still sealed under it. Destroyed."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    DESTROYED = "destroyed"


@dataclass(frozen=True)
class Epoch:
    """One epoch as stored. Moments are UTC; the wrapped keys are gone once it is destroyed."""

    id: int
    state: EpochState
    key_uri: str | None = None
    wrapped_key: bytes | None = field(default=None, repr=False)
    lookup_key_uri: str | None = None
    wrapped_lookup_key: bytes | None = field(default=None, repr=False)
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    proven_at: datetime | None = None
    destroyed_at: datetime | None = None
    destruction: Destruction | None = None

    @property
    def in_use(self) -> bool:
        """Whether anything may be sealed under it. Its keys are unwrapped no more once it is proven that nothing is."""
        return self.state is EpochState.OPEN or (self.state is EpochState.CLOSING and self.proven_at is None)


@dataclass(frozen=True)
class WrappedIndexKey:
    """The index key, wrapped under an epoch's key at the key service."""

    version: int
    epoch: int
    wrapped: bytes = field(repr=False)


class EpochStore(Protocol):
    """Where epochs are kept. At most one is opening, one open and one closing."""

    def all(self) -> tuple[Epoch, ...]:
        """Every epoch, oldest first."""
        ...

    def begin(self, *, first: bool = False) -> Epoch | None:
        """The epoch that is opening; a new one, with the next number, if none is. With `first`, None once one has
        been opened: of several who want to make the first, the late one makes nothing.
        """
        ...

    def open(self, epoch: Epoch, now: datetime, index_key: bytes | None) -> bool:
        """Store its wrapped keys and make it the open one; the one before is closing from then on. `index_key` is the
        first index key, wrapped; kept only if there is none. False if another process has opened it meanwhile.
        """
        ...

    def index_key(self) -> WrappedIndexKey | None:
        """The newest index key."""
        ...

    def rewrap_index_key(self, old: WrappedIndexKey, new: WrappedIndexKey) -> None:
        """Put the new wrapping in the old one's place, if that still stands."""
        ...

    def destroyed(self, epoch: int, destruction: Destruction, now: datetime) -> None:
        """Note what the key service reported, and forget the wrapped keys."""
        ...


class Epochs:
    """The keys of the epochs, unwrapped when they are needed and kept for `cache_seconds` (60 at most)."""

    def __init__(
        self, store: EpochStore, service: KeyService, clock: Clock, cache_seconds: float = LONGEST_CACHE
    ) -> None:
        self._store = store
        self._service = service
        self._clock = clock
        self._life = timedelta(seconds=min(cache_seconds, LONGEST_CACHE))
        self._kept: dict[tuple[str, int], tuple[datetime, Secret]] = {}
        self._lock = threading.Lock()

    def init(self) -> bool:
        """Make the first epoch and the index key. True if they were not there before; repeating changes nothing."""
        opening = self._store.begin(first=True)
        return opening is not None and self.open(self._keyed(opening), Secret(os.urandom(KEY_BYTES)))

    def prepare(self) -> Epoch:
        """The next epoch with new keys, wrapped by keys of its own at the key service; not open yet.

        Repeated after a crash it goes on with the epoch that was opening.
        """
        opening = self._store.begin()
        if opening is None:
            raise KeyUnavailableError("no epoch can be opened: run `kasbah keys status`")
        return self._keyed(opening)

    def _keyed(self, opening: Epoch) -> Epoch:
        """With new keys, wrapped by keys of its own at the key service."""
        seal, lookup = (self._service.create(opening.id, p) for p in (Purpose.SEAL, Purpose.LOOKUP))
        return replace(
            opening,
            key_uri=seal,
            wrapped_key=self._wrapped_new(seal, _seal_place(opening.id)),
            lookup_key_uri=lookup,
            wrapped_lookup_key=self._wrapped_new(lookup, _lookup_place(opening.id)),
        )

    def open(self, made: Epoch, first_index_key: Secret | None = None) -> bool:
        """Open what `prepare` made; the epoch before is closing from then on. False if another process was faster."""
        index = None
        if first_index_key is not None:
            index = self._service.wrap(_uri(made.key_uri), first_index_key, _index_place(1, made.id))
        return self._store.open(made, self._clock(), index)

    def current(self) -> tuple[int, Secret]:
        """The open epoch and its key. Which one is open is read each time, so that nobody seals under an old one.

        Raises KeyUnavailableError before `kasbah keys init`.
        """
        for epoch in self._store.all():
            if epoch.state is EpochState.OPEN:
                return epoch.id, self._seal_key(epoch)
        raise KeyUnavailableError("there is no open epoch: run `kasbah keys init`")

    def key(self, epoch: int) -> Secret:
        """The key of an epoch that is not destroyed. Raises KeyUnavailableError."""
        kept = self._fresh("seal", epoch)
        return kept or self._seal_key(self._living(epoch))

    def lookup_key(self, epoch: int) -> Secret:
        """The lookup key of an epoch that is not destroyed. Raises KeyUnavailableError."""
        kept = self._fresh("lookup", epoch)
        return kept or self._lookup_key(self._living(epoch))

    def lookup_keys(self) -> tuple[Secret, ...]:
        """The lookup keys of all epochs under which a living subject may stand. Needs nothing of the sealing keys."""
        living = [e for e in self._store.all() if e.in_use]
        if not living:
            raise KeyUnavailableError("there is no open epoch: run `kasbah keys init`")
        return tuple(self._lookup_key(e) for e in living)

    def index_key(self) -> Secret:
        """The key of index digests. Raises KeyUnavailableError."""
        kept = self._fresh("index", 0)
        if kept is not None:
            return kept
        stored = self._store.index_key()
        if stored is None:
            raise KeyUnavailableError("there is no index key: run `kasbah keys init`")
        return self._keep("index", 0, lambda: self._unwrap_index(stored))

    def rewrap_index_key(self) -> None:
        """Wrap the index key under the open epoch, if it isn't yet, and see that it opens there."""
        current, _ = self.current()
        stored = self._store.index_key()
        if stored is None or stored.epoch == current:
            return
        secret = self._unwrap_index(stored)
        uri = _uri(self._living(current).key_uri)
        wrapped = self._service.wrap(uri, secret, _index_place(stored.version, current))
        self._store.rewrap_index_key(stored, WrappedIndexKey(stored.version, current, wrapped))

    def all(self) -> tuple[Epoch, ...]:
        """Every epoch, oldest first."""
        return self._store.all()

    def check(self) -> None:
        """See that the key service, asked afresh, gives the keys that this process works with; and the index key.

        Raises KeyUnavailableError otherwise: what was sealed could not be opened again.
        """
        number, used = self.current()
        epoch = self._living(number)
        lookup, used_lookup = self._unwrap_lookup(epoch), self.lookup_key(number)
        index = self._store.index_key()
        same = self._unwrap_seal(epoch).same_as(used) and lookup.same_as(used_lookup)
        if not same or index is None or index.epoch != number or not len(self._unwrap_index(index)):
            raise KeyUnavailableError(f"epoch {number}: the key service doesn't give back the keys it wrapped")

    def destroy(self, epoch: Epoch) -> Destruction:
        """Destroy both of the epoch's keys at the key service; returns what it reported. Repeating is harmless."""
        self.forget()
        reports = [self._service.destroy(_uri(uri)) for uri in (epoch.key_uri, epoch.lookup_key_uri)]
        # Of two answers the weaker one counts: scheduled rather than destroyed, and the later moment.
        scheduled = [r for r in reports if r.state is not KeyState.DESTROYED]
        return max(scheduled or reports, key=lambda r: r.at.timestamp() if r.at else 0.0)

    def destroyed(self, epoch: Epoch, destruction: Destruction) -> None:
        """Note what the key service reported, and forget the wrapped keys."""
        self._store.destroyed(epoch.id, destruction, self._clock())

    def forget(self) -> None:
        """Drop every unwrapped key that is kept."""
        with self._lock:
            self._kept.clear()

    def _living(self, number: int) -> Epoch:
        for epoch in self._store.all():
            if epoch.id == number and epoch.in_use:
                return epoch
        raise KeyUnavailableError(f"epoch {number} is destroyed or was never opened: nothing sealed under it opens")

    def _seal_key(self, epoch: Epoch) -> Secret:
        return self._keep("seal", epoch.id, lambda: self._unwrap_seal(epoch))

    def _lookup_key(self, epoch: Epoch) -> Secret:
        return self._keep("lookup", epoch.id, lambda: self._unwrap_lookup(epoch))

    def _unwrap_seal(self, epoch: Epoch) -> Secret:
        return self._service.unwrap(_uri(epoch.key_uri), epoch.wrapped_key or b"", _seal_place(epoch.id))

    def _unwrap_lookup(self, epoch: Epoch) -> Secret:
        return self._service.unwrap(
            _uri(epoch.lookup_key_uri), epoch.wrapped_lookup_key or b"", _lookup_place(epoch.id)
        )

    def _unwrap_index(self, stored: WrappedIndexKey) -> Secret:
        uri = _uri(self._living(stored.epoch).key_uri)
        return self._service.unwrap(uri, stored.wrapped, _index_place(stored.version, stored.epoch))

    def _wrapped_new(self, uri: str, place: bytes) -> bytes:
        """A new key, wrapped; once it is seen that the service gives it back."""
        secret = Secret(os.urandom(KEY_BYTES))
        wrapped = self._service.wrap(uri, secret, place)
        if not self._service.unwrap(uri, wrapped, place).same_as(secret):
            raise KeyUnavailableError(f"{uri}: the key service doesn't give back the key that it wrapped")
        return wrapped

    def _fresh(self, kind: str, number: int) -> Secret | None:
        """A kept key that isn't too old. A clock that went backwards makes it too old."""
        now = self._clock()
        with self._lock:
            since, secret = self._kept.get((kind, number), (None, None))
            if since is not None and timedelta(0) <= now - since < self._life:
                return secret
            self._kept.pop((kind, number), None)
        return None

    def _keep(self, kind: str, number: int, unwrap: Callable[[], Secret]) -> Secret:
        kept = self._fresh(kind, number)
        if kept is not None:
            return kept
        since = self._clock()
        secret = unwrap()
        with self._lock:
            if not self._kept and self._life:
                self._drop_later()
            self._kept[kind, number] = since, secret
        return secret

    def _drop_later(self) -> None:
        """A process that falls idle keeps nothing either: whatever is kept goes when the first of it is too old."""
        mine = weakref.ref(self)

        def drop() -> None:
            epochs = mine()
            if epochs is not None:
                epochs.forget()

        timer = threading.Timer(self._life.total_seconds(), drop)
        timer.daemon = True
        timer.start()


def _uri(uri: str | None) -> str:
    if uri is None:
        raise KeyUnavailableError("an epoch has no key at the key service: run `kasbah keys rotate` to finish it")
    return uri


def _seal_place(epoch: int) -> bytes:
    return frame("kasbah epoch key", str(epoch))


def _lookup_place(epoch: int) -> bytes:
    return frame("kasbah lookup key", str(epoch))


def _index_place(version: int, epoch: int) -> bytes:
    return frame("kasbah index key", str(version), str(epoch))
