"""The keys of messages' MACs in PostgreSQL, each sealed under the key of an epoch, as quarantine's day keys are.

A new key is there for SETTLING seconds before anybody signs with it, so that who verifies, and has read the keys
within that time, knows every key that a message may name. An earlier key verifies for as long as its row is there.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from governance.adapters.control.bulk import StatementRefusedError, writing
from governance.adapters.control.database import metadata
from governance.adapters.control.day_keys import EpochKeys
from governance.errors import KeyUnavailableError
from governance.model.secret import Secret
from governance.protection.epochs import LONGEST_CACHE
from governance.protection.messages import KEY_BYTES
from governance.protection.pairs import open_bytes, seal_bytes

message_keys = sa.Table(
    "message_key",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, sa.Identity(), nullable=False, unique=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
)

SETTLING = 10
"""Seconds, by the database's clock."""
_READ_AGAIN = SETTLING / 2
"""Seconds after which an unknown id is looked for again."""
_BARRED = "23514"
"""SQLSTATE of a violated check."""
_ALONE = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('kasbah.message_keys', 0))")


@dataclass(frozen=True)
class MessageKey:
    """What is known of a key: never the key. `current` is the one that messages are signed with now."""

    id: str
    epoch: int
    made_at: datetime
    current: bool


@dataclass(frozen=True)
class _Known:
    """The keys as they were read at a moment of the monotonic clock."""

    at: float
    current: str | None = None
    keys: dict[str, Secret] = field(default_factory=dict, repr=False)


class PostgresMessageKeys:
    """`MessageKeys` on the control database, and their rows as `Resealable`.

    Keys are kept in memory for `cache_seconds`, 60 at most. `monotonic` counts seconds.
    """

    name = "message keys"

    def __init__(
        self,
        engine: sa.Engine,
        epochs: EpochKeys,
        cache_seconds: float = LONGEST_CACHE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._epochs = epochs
        self._life = min(cache_seconds, LONGEST_CACHE)
        self._monotonic = monotonic
        self._known: _Known | None = None
        self._lock = threading.Lock()

    def current(self) -> tuple[str, Secret]:
        """See `MessageKeys.current`."""
        known = self._fresh(self._life)
        if known.current is None:
            self.ensure()
            known = self._read()
        if known.current is None:
            raise KeyUnavailableError("there is no message key: run `kasbah keys init`")
        return known.current, known.keys[known.current]

    def key(self, key_id: str) -> Secret | None:
        """See `MessageKeys.key`."""
        known = self._fresh(self._life)
        if key_id not in known.keys:
            known = self._fresh(_READ_AGAIN if known.keys else 0)
        return known.keys.get(key_id)

    def ensure(self) -> bool:
        """Make the first key; False if there is one. Raises KeyUnavailableError before `kasbah keys init`."""
        return self._make(first=True) is not None

    def begin(self) -> str:
        """Make a new key, which messages are signed with SETTLING seconds from now; its id."""
        made = self._make(first=False)
        if made is None:
            raise KeyUnavailableError("no message key was made: try again")
        return made

    def all(self) -> tuple[MessageKey, ...]:
        """Every key, oldest first."""
        with writing(self._engine) as connection:
            rows = _rows(connection)
        current = _current(rows)
        return tuple(MessageKey(row.id, row.epoch, row.made_at, row.id == current) for row in rows)

    def remaining(self, epoch: int) -> int:
        """See `Resealable.remaining`."""
        with writing(self._engine) as connection:
            return connection.scalar(sa.select(sa.func.count()).where(message_keys.c.epoch < epoch)) or 0

    def reseal(self, limit: int) -> int:
        """See `Resealable.reseal`. Raises TokenError if one doesn't open; then nothing of the batch is changed."""
        epoch, key = self._epochs.current()
        older = sa.select(message_keys).where(message_keys.c.epoch < epoch).order_by(message_keys.c.number)
        with writing(self._engine) as connection:
            rows = connection.execute(older.limit(limit).with_for_update()).all()
            for row in rows:
                plain = open_bytes(row.sealed, self._epochs.key(row.epoch), _context(row.id, row.epoch))
                again = seal_bytes(plain, key, _context(row.id, epoch))
                mine = sa.update(message_keys).where(message_keys.c.id == row.id)
                connection.execute(mine.values(epoch=epoch, sealed=again))
        return len(rows)

    def _fresh(self, life: float) -> _Known:
        known = self._known
        if known is not None and self._monotonic() - known.at < life:
            return known
        return self._read()

    def _read(self) -> _Known:
        """All keys, in one round trip. Once more if a rotation has sealed them again under another epoch meanwhile."""
        with self._lock:
            try:
                self._known = self._opened()
            except KeyUnavailableError:
                self._known = self._opened()
            return self._known

    def _opened(self) -> _Known:
        at = self._monotonic()
        with writing(self._engine) as connection:
            rows = _rows(connection)
        keys = {
            row.id: Secret(open_bytes(row.sealed, self._epochs.key(row.epoch), _context(row.id, row.epoch)))
            for row in rows
        }
        return _Known(at, _current(rows), keys)

    def _make(self, *, first: bool) -> str | None:
        """A new key's id; None if the first was asked for and there is one.

        A rotation bars what is new from the old epoch: who read the old one a moment before tries again.
        """
        for last in (False, True):
            epoch, key = self._epochs.current()
            made = f"m-{secrets.token_hex(4)}"
            sealed = seal_bytes(os.urandom(KEY_BYTES), key, _context(made, epoch))
            row = {"id": made, "epoch": epoch, "sealed": sealed, "made_at": sa.func.clock_timestamp()}
            try:
                with writing(self._engine) as connection:
                    connection.execute(_ALONE)
                    if first and connection.scalar(sa.select(sa.func.count()).select_from(message_keys)):
                        return None
                    connection.execute(sa.insert(message_keys).values(row))
            except StatementRefusedError as error:
                if last or error.sqlstate != _BARRED:
                    raise
            else:
                self._known = None
                return made
        return None


def _rows(connection: sa.Connection) -> list[sa.Row[tuple[object, ...]]]:
    """The keys, oldest first, each with its age in seconds."""
    age = sa.extract("epoch", sa.func.clock_timestamp() - message_keys.c.made_at).label("age")
    return list(connection.execute(sa.select(message_keys, age).order_by(message_keys.c.number)).all())


def _current(rows: list[sa.Row[tuple[object, ...]]]) -> str | None:
    """The newest that has settled; the first of all if none has, since then there is no other."""
    settled = [row for row in rows if row._mapping["age"] >= SETTLING]
    chosen = settled[-1] if settled else next(iter(rows), None)
    return None if chosen is None else str(chosen._mapping["id"])


def _context(key_id: str, epoch: int) -> tuple[str, ...]:
    """What a sealed message key is bound to."""
    return ("message key", key_id, str(epoch))
