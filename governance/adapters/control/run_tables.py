"""The tables of runs, of what their batches came to, and of what was published."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from governance.adapters.control.database import SCHEMA, metadata


def _of_run() -> sa.Column[str]:
    return sa.Column("run", sa.Text, sa.ForeignKey(f"{SCHEMA}.run.id", ondelete="CASCADE"), primary_key=True)


runs = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("contract_version", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Index("run_of_dataset", "dataset", "started_at", "id"),
)
"""`fence` rises each time a process takes the run up: whoever knows an older one writes nothing."""

steps = sa.Table(
    "run_step",
    metadata,
    _of_run(),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Column("counts", JSONB, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
)

batches = sa.Table(
    "run_batch",
    metadata,
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
    sa.Index("run_batch_place", "run", "source", "part", "first_position"),
)
"""`positions` only where they aren't all of `first_position` to `last_position`, as in a replay."""

rules = sa.Table(
    "run_rule",
    metadata,
    _of_run(),
    sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("success", sa.Boolean, nullable=False),
    sa.Column("observed", JSONB(none_as_null=True)),
    sa.Column("unexpected", sa.BigInteger),
    sa.Column("detail", sa.Text, nullable=False),
)

refused_positions = sa.Table(
    "refused_position",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
)
"""Refused rows leave where they stood and why, so that a replay counts none twice."""

incoming_refused = sa.Table(
    "incoming_refused",
    sa.MetaData(),
    sa.Column("source", sa.Text),
    sa.Column("part", sa.Text),
    sa.Column("position", sa.BigInteger),
    sa.Column("reason", sa.Text),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""The refused rows of the batch that is being recorded."""

watermarks = sa.Table(
    "watermark",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("run", sa.Text, nullable=False),
)

manifest = sa.Table(
    "manifest",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
)
