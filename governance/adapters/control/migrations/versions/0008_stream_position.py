"""How far collectors and consumers have come, and what became of what they read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from governance.adapters.control.database import SCHEMA

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "stream_position",
        sa.Column("flow", sa.Text, primary_key=True),
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("state", JSONB, nullable=False),
        sa.Column("counts", JSONB, nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
