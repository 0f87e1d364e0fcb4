"""Leases in PostgreSQL, by its own clock."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from governance.adapters.control.bulk import writing
from governance.adapters.control.database import metadata
from governance.protection.leases import Running

leases = sa.Table(
    "lease",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
)
sa.Index("lease_running", leases.c.expires_at, postgresql_where=leases.c.ended_at.is_(None))
sa.Index("lease_began", leases.c.began_at)

_KEPT = timedelta(days=1)
"""How long a lease that is over stays visible."""


class PostgresLeases:
    """`LeaseStore` on the control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def begin(self, holder: str, seconds: float) -> int:
        """See `LeaseStore.begin`."""
        now = sa.func.clock_timestamp()
        over = sa.func.coalesce(leases.c.ended_at, leases.c.expires_at)
        made = sa.insert(leases).values(holder=holder, began_at=now, expires_at=now + timedelta(seconds=seconds))
        with writing(self._engine) as connection:
            connection.execute(sa.delete(leases).where(leases.c.began_at < now - _KEPT, over < now - _KEPT))
            return int(connection.execute(made.returning(leases.c.id)).scalar_one())

    def end(self, lease: int) -> None:
        """See `LeaseStore.end`."""
        ended = sa.update(leases).where(leases.c.id == lease, leases.c.ended_at.is_(None))
        with writing(self._engine) as connection:
            connection.execute(ended.values(ended_at=sa.func.clock_timestamp()))

    def now(self) -> datetime:
        """See `LeaseStore.now`."""
        with writing(self._engine) as connection:
            moment: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return moment

    def running(self, began_before: datetime | None = None) -> tuple[Running, ...]:
        """See `LeaseStore.running`."""
        found = sa.select(leases).where(leases.c.ended_at.is_(None), leases.c.expires_at > sa.func.clock_timestamp())
        if began_before is not None:
            found = found.where(leases.c.began_at < began_before)
        with writing(self._engine) as connection:
            rows = connection.execute(found.order_by(leases.c.expires_at)).all()
        return tuple(Running(row.holder, row.began_at, row.expires_at) for row in rows)
