"""Tables of the runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from governance.adapters.control.database import SCHEMA

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("contract_version", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("fence", sa.BigInteger, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("run_of_dataset", "run", ["dataset", "started_at", "id"], schema=SCHEMA)
    op.create_table(
        "run_step",
        _of_run(),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("counts", JSONB, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    _batches()
    op.create_table(
        "run_rule",
        _of_run(),
        sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("success", sa.Boolean, nullable=False),
        sa.Column("observed", JSONB),
        sa.Column("unexpected", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "refused_position",
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "watermark",
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "manifest",
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        schema=SCHEMA,
    )


def _batches() -> None:
    op.create_table(
        "run_batch",
        _of_run(),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("first_position", sa.BigInteger, nullable=False),
        sa.Column("last_position", sa.BigInteger, nullable=False),
        sa.Column("positions", ARRAY(sa.BigInteger)),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("admitted", sa.BigInteger, nullable=False),
        sa.Column("quarantined", JSONB, nullable=False),
        sa.Column("refused", JSONB, nullable=False),
        sa.Column("cursor_after", sa.Text),
        sa.Column("max_updated_at", sa.DateTime(timezone=True)),
        sa.Column("not_scanned", ARRAY(sa.Text), nullable=False),
        sa.Column("unknown_columns", ARRAY(sa.Text), nullable=False),
        sa.Column("created_subjects", sa.BigInteger, nullable=False),
        sa.Column("possible_links", sa.BigInteger, nullable=False),
        sa.Column("shared_aliases", sa.BigInteger, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("run_batch_place", "run_batch", ["run", "source", "part", "first_position"], schema=SCHEMA)


def _of_run() -> sa.Column[str]:
    return sa.Column("run", sa.Text, sa.ForeignKey(f"{SCHEMA}.run.id", ondelete="CASCADE"), primary_key=True)
