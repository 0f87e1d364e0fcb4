"""Tables of what scans came to."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from governance.adapters.control.database import SCHEMA

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "run_scan",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *_counts(),
        sa.ForeignKeyConstraint(
            ["run", "number"], [f"{SCHEMA}.run_batch.run", f"{SCHEMA}.run_batch.number"], ondelete="CASCADE"
        ),
        schema=SCHEMA,
    )
    op.create_table(
        "scan",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("contract_version", sa.Text, nullable=False),
        sa.Column("searched", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        schema=SCHEMA,
    )
    op.create_index("scan_of_dataset", "scan", ["dataset", "started_at", "id"], schema=SCHEMA)
    op.create_table(
        "scan_copy",
        sa.Column("scan", sa.Text, sa.ForeignKey(f"{SCHEMA}.scan.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("store", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        schema=SCHEMA,
    )
    copy = ("scan", "store", "name")
    op.create_table(
        "scan_column",
        *(sa.Column(name, sa.Text, primary_key=True) for name in copy),
        *_counts(),
        sa.ForeignKeyConstraint(copy, [f"{SCHEMA}.scan_copy.{name}" for name in copy], ondelete="CASCADE"),
        schema=SCHEMA,
    )


def _counts() -> list[sa.Column[Any]]:
    return [
        sa.Column("declared", sa.Boolean, primary_key=True),
        sa.Column("field", sa.Text, primary_key=True),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("cells", sa.BigInteger, nullable=False),
        sa.Column("undeclared", sa.BigInteger, nullable=False),
        sa.Column("cannot_tell", sa.BigInteger, nullable=False),
        sa.Column("findings", JSONB, nullable=False),
    ]
