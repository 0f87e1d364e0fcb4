"""The keys of quarantine's days in PostgreSQL, each sealed under the key of the epoch in which it was made."""

import os
from datetime import date, datetime
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from governance.adapters.control.bulk import StatementRefusedError, writing
from governance.adapters.control.database import metadata
from governance.model.secret import Secret
from governance.protection.pairs import open_bytes, seal_bytes
from governance.quarantine.retention import first_key_expiry
from governance.quarantine.store import DayKeyDestroyedError

day_keys = sa.Table(
    "quarantine_day_key",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("epoch", sa.Integer),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("destroyed_at", sa.DateTime(timezone=True)),
    sa.CheckConstraint(
        "(sealed IS NULL) = (destroyed_at IS NOT NULL) AND (sealed IS NULL) = (epoch IS NULL)",
        name="quarantine_day_key_is_there_or_destroyed",
    ),
)

_KEY_BYTES = 32
_BARRED = "23514"
"""SQLSTATE of a violated check."""


class EpochKeys(Protocol):
    """The keys of the epochs."""

    def current(self) -> tuple[int, Secret]:
        """The open epoch and its key."""
        ...

    def key(self, epoch: int) -> Secret:
        """The key of an epoch that is not destroyed. Raises KeyUnavailableError."""
        ...


class PostgresDayKeys:
    """`DayKeys` on the control database. A destroyed key leaves its day behind, so that no new key takes its place."""

    def __init__(self, engine: sa.Engine, epochs: EpochKeys) -> None:
        self._engine = engine
        self._epochs = epochs

    def day_key(self, day: date) -> Secret:
        """See `DayKeys.day_key`."""
        found = self._find(day)
        if found is None:
            self._make(day)
            found = self._find(day)
        return self._opened(day, found)

    def existing(self, day: date) -> Secret:
        """See `DayKeys.existing`."""
        return self._opened(day, self._find(day))

    def expired(self, now: datetime) -> int:
        """See `DayKeys.expired`."""
        with writing(self._engine) as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(day_keys).where(*_ended(now))) or 0

    def destroy_expired(self, now: datetime) -> int:
        """See `DayKeys.destroy_expired`."""
        statement = sa.update(day_keys).where(*_ended(now)).values(sealed=None, epoch=None, destroyed_at=now)
        with writing(self._engine) as connection:
            return connection.execute(statement).rowcount

    def reseal(self, limit: int) -> int:
        """Seal at most `limit` keys of earlier epochs again under the open one. Returns how many; 0: none left.

        Raises TokenError if one doesn't open, KeyUnavailableError; then nothing of the batch is changed.
        """
        epoch, key = self._epochs.current()
        older = sa.select(day_keys).where(day_keys.c.epoch != epoch).order_by(day_keys.c.day).limit(limit)
        with writing(self._engine) as connection:
            rows = connection.execute(older.with_for_update()).all()
            for row in rows:
                plain = open_bytes(row.sealed, self._epochs.key(row.epoch), context(row.day, row.epoch))
                again = seal_bytes(plain, key, context(row.day, epoch))
                mine = sa.update(day_keys).where(day_keys.c.day == row.day)
                connection.execute(mine.values(epoch=epoch, sealed=again))
        return len(rows)

    def _find(self, day: date) -> tuple[int | None, bytes | None] | None:
        statement = sa.select(day_keys.c.epoch, day_keys.c.sealed).where(day_keys.c.day == day)
        with writing(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else (row.epoch, row.sealed)

    def _make(self, day: date) -> None:
        """Whoever commits first wins; the loser's key was never used.

        A rotation bars what is new from the old epoch: who read the old one a moment before tries again.
        """
        for last in (False, True):
            epoch, key = self._epochs.current()
            sealed = seal_bytes(os.urandom(_KEY_BYTES), key, context(day, epoch))
            made = insert(day_keys).values(day=day, epoch=epoch, sealed=sealed, expires_at=first_key_expiry(day))
            try:
                with writing(self._engine) as connection:
                    connection.execute(made.on_conflict_do_nothing())
            except StatementRefusedError as error:
                if last or error.sqlstate != _BARRED:
                    raise
            else:
                return

    def _opened(self, day: date, found: tuple[int | None, bytes | None] | None) -> Secret:
        epoch, sealed = found or (None, None)
        if epoch is None or sealed is None:
            raise DayKeyDestroyedError(
                f"the quarantine key of {day} is destroyed or was never made: rows sealed under it can't be opened"
            )
        return Secret(open_bytes(sealed, self._epochs.key(epoch), context(day, epoch)))


def context(day: date, epoch: int) -> tuple[str, ...]:
    """What a sealed day key is bound to."""
    return ("quarantine day key", day.isoformat(), str(epoch))


def _ended(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (day_keys.c.expires_at <= now, day_keys.c.sealed.is_not(None))
