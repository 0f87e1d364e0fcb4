"""Tables of the quarantine."""

import sqlalchemy as sa
from alembic import op

from governance.adapters.control.database import SCHEMA

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "quarantine",
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("field", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("contract_version", sa.Text, nullable=False),
        sa.Column("entity", sa.Text),
        sa.Column("pseudonym", sa.Text),
        sa.Column("day", sa.Date),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("content", sa.LargeBinary),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index(
        "quarantine_content",
        "quarantine",
        ["dataset", "source", "content"],
        schema=SCHEMA,
        postgresql_where=sa.text("content IS NOT NULL"),
    )
    op.create_table(
        "quarantine_day_key",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("epoch", sa.Integer),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "(sealed IS NULL) = (destroyed_at IS NOT NULL) AND (sealed IS NULL) = (epoch IS NULL)",
            name="quarantine_day_key_is_there_or_destroyed",
        ),
        schema=SCHEMA,
    )
