"""What a collector has met and may be given again."""

import sqlalchemy as sa
from alembic import op

from governance.adapters.control.database import SCHEMA

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "collected",
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("poll", sa.BigInteger, nullable=False),
        sa.Column("page", sa.Text, nullable=False),
        schema=SCHEMA,
    )
