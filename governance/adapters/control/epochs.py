"""Epochs and the index key in PostgreSQL: only what a key service has wrapped."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from governance.adapters.control.bulk import writing
from governance.adapters.control.database import metadata
from governance.protection.epochs import Epoch, EpochState, WrappedIndexKey
from governance.protection.keyservice import Destruction, KeyState

epochs = sa.Table(
    "epoch",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("key_uri", sa.Text),
    sa.Column("wrapped_key", sa.LargeBinary),
    sa.Column("lookup_key_uri", sa.Text),
    sa.Column("wrapped_lookup_key", sa.LargeBinary),
    sa.Column("opened_at", sa.DateTime(timezone=True)),
    sa.Column("closed_at", sa.DateTime(timezone=True)),
    sa.Column("proven_at", sa.DateTime(timezone=True)),
    sa.Column("destroyed_at", sa.DateTime(timezone=True)),
    sa.Column("destruction", sa.Text),
    sa.Column("destruction_at", sa.DateTime(timezone=True)),
    sa.Column("destruction_note", sa.Text),
    sa.CheckConstraint("state IN ('opening', 'open', 'closing', 'destroyed')", name="epoch_state"),
    sa.CheckConstraint(
        "(state IN ('open', 'closing')) = (wrapped_key IS NOT NULL AND wrapped_lookup_key IS NOT NULL)",
        name="epoch_has_keys_while_it_lives",
    ),
)
sa.Index("epoch_one_open", epochs.c.state, unique=True, postgresql_where=epochs.c.state == "open")
sa.Index("epoch_one_closing", epochs.c.state, unique=True, postgresql_where=epochs.c.state == "closing")
sa.Index("epoch_one_opening", epochs.c.state, unique=True, postgresql_where=epochs.c.state == "opening")

index_keys = sa.Table(
    "index_key",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)


class PostgresEpochs:
    """`EpochStore` on the control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all(self) -> tuple[Epoch, ...]:
        """See `EpochStore.all`."""
        with writing(self._engine) as connection:
            rows = connection.execute(sa.select(epochs).order_by(epochs.c.id)).all()
        return tuple(_epoch(row) for row in rows)

    def begin(self, *, first: bool = False) -> Epoch | None:
        """See `EpochStore.begin`."""
        with writing(self._engine) as connection:
            _serialise(connection)
            if first and connection.scalar(sa.select(sa.func.count()).where(epochs.c.state == "open")):
                return None
            opening = connection.execute(sa.select(epochs).where(epochs.c.state == "opening")).one_or_none()
            if opening is None:
                number = (connection.scalar(sa.select(sa.func.max(epochs.c.id))) or 0) + 1
                made = sa.insert(epochs).values(id=number, state="opening").returning(epochs)
                opening = connection.execute(made).one()
        return _epoch(opening)

    def open(self, epoch: Epoch, now: datetime, index_key: bytes | None) -> bool:
        """See `EpochStore.open`."""
        mine = epochs.c.id == epoch.id
        keys = {
            "key_uri": epoch.key_uri,
            "wrapped_key": epoch.wrapped_key,
            "lookup_key_uri": epoch.lookup_key_uri,
            "wrapped_lookup_key": epoch.wrapped_lookup_key,
        }
        with writing(self._engine) as connection:
            _serialise(connection)
            still = connection.scalar(sa.select(sa.func.count()).where(mine, epochs.c.state == "opening"))
            if not still:
                return False
            closing = sa.update(epochs).where(epochs.c.state == "open")
            connection.execute(closing.values(state="closing", closed_at=now))
            connection.execute(sa.update(epochs).where(mine).values(state="open", opened_at=now, **keys))
            if index_key is not None:
                connection.execute(
                    insert(index_keys).values(version=1, epoch=epoch.id, wrapped=index_key).on_conflict_do_nothing()
                )
        return True

    def index_key(self) -> WrappedIndexKey | None:
        """See `EpochStore.index_key`."""
        newest = sa.select(index_keys).order_by(index_keys.c.version.desc()).limit(1)
        with writing(self._engine) as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else WrappedIndexKey(row.version, row.epoch, row.wrapped)

    def rewrap_index_key(self, old: WrappedIndexKey, new: WrappedIndexKey) -> None:
        """See `EpochStore.rewrap_index_key`."""
        same = (index_keys.c.version == old.version, index_keys.c.epoch == old.epoch)
        with writing(self._engine) as connection:
            connection.execute(sa.update(index_keys).where(*same).values(epoch=new.epoch, wrapped=new.wrapped))

    def destroyed(self, epoch: int, destruction: Destruction, now: datetime) -> None:
        """See `EpochStore.destroyed`."""
        gone = sa.update(epochs).where(epochs.c.id == epoch, epochs.c.state == "closing")
        with writing(self._engine) as connection:
            connection.execute(
                gone.values(
                    state="destroyed",
                    wrapped_key=None,
                    wrapped_lookup_key=None,
                    destroyed_at=now,
                    destruction=str(destruction.state),
                    destruction_at=destruction.at,
                    destruction_note=destruction.note,
                )
            )


def _serialise(connection: sa.Connection) -> None:
    """One at a time: `begin` and `open` decide on what they read."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('kasbah.epochs', 0))"))


def _epoch(row: sa.Row[tuple[object, ...]]) -> Epoch:
    stored = row._mapping
    said = stored["destruction"]
    destruction = said and Destruction(KeyState(said), stored["destruction_at"], stored["destruction_note"] or "")
    names = ("key_uri", "wrapped_key", "lookup_key_uri", "wrapped_lookup_key", "opened_at", "closed_at", "proven_at")
    return Epoch(
        id=stored["id"],
        state=EpochState(stored["state"]),
        destroyed_at=stored["destroyed_at"],
        destruction=destruction or None,
        **{name: stored[name] for name in names},
    )
