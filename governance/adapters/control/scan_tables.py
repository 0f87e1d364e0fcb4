"""The tables of what scans came to, of a load's batches and of stored copies: counts by column, never a value."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from governance.adapters.control.database import SCHEMA, metadata
from governance.pii.counts import ColumnCounts
from governance.pii.scanner import Finding, ScanOutcome


def _counts() -> list[sa.Column[Any]]:
    """`findings` is a list of [outcome, entity, band, count]."""
    return [
        sa.Column("declared", sa.Boolean, primary_key=True),
        sa.Column("field", sa.Text, primary_key=True),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("cells", sa.BigInteger, nullable=False),
        sa.Column("undeclared", sa.BigInteger, nullable=False),
        sa.Column("cannot_tell", sa.BigInteger, nullable=False),
        sa.Column("findings", JSONB, nullable=False),
    ]


batch_scans = sa.Table(
    "run_scan",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    *_counts(),
    sa.ForeignKeyConstraint(
        ["run", "number"], [f"{SCHEMA}.run_batch.run", f"{SCHEMA}.run_batch.number"], ondelete="CASCADE"
    ),
)

scans = sa.Table(
    "scan",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("contract_version", sa.Text, nullable=False),
    sa.Column("searched", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Index("scan_of_dataset", "dataset", "started_at", "id"),
)
"""`searched` digests what the scan looks for: under another, what it has counted so far doesn't count."""

scan_copies = sa.Table(
    "scan_copy",
    metadata,
    sa.Column("scan", sa.Text, sa.ForeignKey(f"{SCHEMA}.scan.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("store", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)
"""How far the scan of a stored copy came: a number of its own counting (a table's block, a file's row group), never a
key."""

scan_columns = sa.Table(
    "scan_column",
    metadata,
    sa.Column("scan", sa.Text, primary_key=True),
    sa.Column("store", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    *_counts(),
    sa.ForeignKeyConstraint(
        ["scan", "store", "name"],
        [f"{SCHEMA}.scan_copy.scan", f"{SCHEMA}.scan_copy.store", f"{SCHEMA}.scan_copy.name"],
        ondelete="CASCADE",
    ),
)


def replace_counts(
    connection: sa.Connection, table: sa.Table, place: dict[str, Any], columns: tuple[ColumnCounts, ...]
) -> None:
    """What stood at this place is no more; the columns stand there now, in their order."""
    connection.execute(sa.delete(table).where(*(table.c[name] == value for name, value in place.items())))
    rows = [place | _row(ordinal, one) for ordinal, one in enumerate(columns)]
    if rows:
        connection.execute(sa.insert(table), rows)


def _row(ordinal: int, one: ColumnCounts) -> dict[str, Any]:
    found = [[str(f.outcome), f.entity, f.band, f.count] for f in one.findings]
    counts = {"cells": one.cells, "undeclared": one.undeclared, "cannot_tell": one.cannot_tell}
    return {"declared": one.declared, "field": one.field, "ordinal": ordinal, "findings": found} | counts


def read_counts(row: sa.Row[Any]) -> ColumnCounts:
    """A stored row of `_counts`."""
    found = tuple(
        Finding(row.field, ScanOutcome(outcome), count, entity, band) for outcome, entity, band, count in row.findings
    )
    return ColumnCounts(row.field, row.declared, row.cells, row.undeclared, row.cannot_tell, found)
