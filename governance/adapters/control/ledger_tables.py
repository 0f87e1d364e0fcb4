"""The ledger's tables in the control database."""

import sqlalchemy as sa

from governance.adapters.control.database import metadata

RECORD = sa.Table(
    "ledger_record",
    metadata,
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
)
"""One row a record: its canonical bytes and their leaf hash."""

STATE = sa.Table(
    "ledger_state",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("peaks", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("id = 1", name="ledger_state_one_row"),
)
"""One row: the tree's frontier. Locking it is what orders concurrent writers."""

TILE = sa.Table(
    "ledger_tile",
    metadata,
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
)
"""Roots of complete subtrees of 1,024 leaves, for proofs."""

HEAD = sa.Table(
    "ledger_head",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("peaks", sa.LargeBinary, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)
"""Published heads."""
