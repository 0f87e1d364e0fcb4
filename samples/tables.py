"""The SQL source: shop.order_lines and shop.stock_levels in a PostgreSQL."""

from datetime import UTC, datetime

import psycopg
from psycopg import sql

from samples.files import Progress, counted, quiet
from samples.rows import LAYOUTS, Layout, Row, Value
from samples.store import Wave

SCHEMA = "shop"
_TYPES = {"text": "text", "date": "date", "moment": "timestamptz", "money": "numeric(12,2)", "integer": "bigint"}


def write_tables(wave: Wave, dsn: str, progress: Progress = quiet) -> dict[str, int]:
    """Add the wave's rows to the tables in one transaction; the first wave makes them anew.

    The tables have no key: a shop's database holds duplicates and old versions too. Returns rows by table. Raises
    psycopg.Error.
    """
    written = {}
    with psycopg.connect(dsn) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        for dataset, layout in LAYOUTS.items():
            if wave.period.wave == 1:
                _make(connection, layout)
            rows = wave.rows[dataset]["sql"]
            _copy(connection, layout, rows, progress)
            written[f"{SCHEMA}.{layout.table}"] = len(rows)
    return written


def _make(connection: psycopg.Connection, layout: Layout) -> None:
    table = sql.Identifier(SCHEMA, layout.table)
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(c.sql), sql.SQL(_TYPES[c.kind])) for c in layout.columns
    )
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, columns))


def _copy(connection: psycopg.Connection, layout: Layout, rows: list[Row], progress: Progress) -> None:
    names = sql.SQL(", ").join(sql.Identifier(c.sql) for c in layout.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(SCHEMA, layout.table), names)
    with connection.cursor().copy(statement) as copy:
        for row in counted(rows, layout.table, progress):
            copy.write_row([_value(row.values[c.field]) for c in layout.columns])


def _value(value: Value) -> Value:
    """Moments are in UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
