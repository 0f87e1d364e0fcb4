"""Tables of the ledger."""

import sqlalchemy as sa
from alembic import op

from governance.adapters.control.database import SCHEMA

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them, and the running state of the empty ledger."""
    op.create_table(
        "ledger_record",
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        schema=SCHEMA,
    )
    state = op.create_table(
        "ledger_state",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("peaks", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("id = 1", name="ledger_state_one_row"),
        schema=SCHEMA,
    )
    op.bulk_insert(state, [{"id": 1, "size": 0, "peaks": b""}])
    op.create_table(
        "ledger_tile",
        sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "ledger_head",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("peaks", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        schema=SCHEMA,
    )
