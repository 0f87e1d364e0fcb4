"""A database table as a source: rows stream in a fixed order, in one snapshot, read-only, with their own types."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from governance.adapters.sources import open_source
from governance.contracts.types import Line, Source
from governance.errors import SettingsError, SourceError, SourceUnavailableError
from governance.flows.source import MalformedReason, SourceBatch, SourceReader
from local.postgres import Postgres


def reader(
    dsn: str, table: str = "shop.order_lines", updated: str | None = "changed_at", rows: int = 1000
) -> SourceReader:
    source = Source("orders_sql", "sql", dsn, Line("f", 1), table=table, updated_field=updated)
    return open_source(source, dsn, batch_rows=rows)


def read(dsn: str, since: datetime | None = None, **asked: object) -> list[SourceBatch]:
    return list(reader(dsn, **asked).batches(since=since))  # type: ignore[arg-type]


@pytest.fixture
def shop(database: str) -> str:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute(
            "CREATE TABLE shop.order_lines (ord_id text PRIMARY KEY, unit_price numeric(12,2), ord_dt date,"
            " changed_at timestamptz, qty int)"
        )
        connection.execute(
            "INSERT INTO shop.order_lines SELECT 'O-' || lpad(i::text, 6, '0'), i + 0.10, date '2025-01-01' + i % 300,"
            " timestamptz '2025-01-01 00:00+00' + make_interval(mins => i / 2), i"
            " FROM generate_series(0, 4999) i ORDER BY random()"
        )
    return database


def test_rows_come_in_order_with_their_positions_and_types(shop: str) -> None:
    batches = read(shop)
    assert [b.records_read for b in batches] == [1000] * 5
    assert [p for b in batches for p in b.positions.to_pylist()] == list(range(5000))
    assert {b.part for b in batches} == {"shop.order_lines"}
    first = batches[0].records
    assert [str(t) for t in first.schema.types] == ["string", "string", "date32[day]", "timestamp[us, tz=UTC]", "int32"]
    assert [q for b in batches for q in b.records.column("qty").to_pylist()] == list(range(5000))
    assert first.column("unit_price")[7].as_py() == "7.10"
    assert sum(b.consumed for b in batches) == 5000


def test_only_what_changed_since_is_read(shop: str) -> None:
    with psycopg.connect(shop) as connection:
        connection.execute("INSERT INTO shop.order_lines VALUES ('O-x', 1, null, null, -1)")
    batches = read(shop, since=datetime(2025, 1, 2, 17, 1, tzinfo=UTC))
    assert [q for b in batches for q in b.records.column("qty").to_pylist()] == [*range(4922, 5000), -1]


def test_a_table_without_rows_has_columns(shop: str) -> None:
    with psycopg.connect(shop) as connection:
        connection.execute("TRUNCATE shop.order_lines")
    (batch,) = read(shop)
    assert batch.records.num_rows == 0 and "ord_id" in batch.records.schema.names


def test_types_that_arrow_lacks_come_as_text(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('calm', 'cross')")
        connection.execute(
            'CREATE TABLE "Odd ""name" AS SELECT 1.10::numeric n, \'NaN\'::numeric nan, gen_random_uuid() u,'
            " '{\"a\": 1.10}'::jsonb j,"
            " array[1, 2] many, '\\x00ff'::bytea b, inet '192.0.2.1' ip, interval '1 day' i, mood 'calm' m,"
            " money '1.50' c, true t, 1.5::float8 f"
        )
    ((batch),) = read(database, table='Odd "name', updated=None)
    (row,) = batch.records.to_pylist()
    assert re.fullmatch(r"[0-9a-f-]{36}", row.pop("u"))
    assert row == {
        "n": "1.10", "nan": "NaN", "j": '{"a": 1.10}', "many": "[1,2]", "b": "\\x00ff", "ip": "192.0.2.1/32",
        "i": "1 day", "m": "calm", "c": "$1.50", "t": True, "f": 1.5,
    }  # fmt: skip


def test_a_moment_that_no_calendar_holds_is_malformed_not_wrong(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, d date, m timestamptz, p timestamp)")
        connection.execute(
            "INSERT INTO t VALUES (1, '2025-01-02', now(), now()), (2, 'infinity', null, null),"
            " (3, null, '-infinity', null),"
            " (4, null, null, 'infinity'), (5, '0044-03-15 BC', null, null), (6, null, '10000-01-01', null),"
            " (7, '0001-01-01', '9999-12-31 23:59:59.999999+00', null)"
        )
    (batch,) = read(database, table="t", updated=None)
    assert batch.records.column("id").to_pylist() == [1, 7] and batch.positions.to_pylist() == [0, 6]
    assert [(m.position, m.reason) for m in batch.malformed] == [(i, MalformedReason.OUT_OF_RANGE) for i in range(1, 6)]
    assert json.loads(batch.malformed[0].body or b"") == {"id": "2", "m": None, "p": None}
    assert batch.records_read == 7


def test_reading_changes_nothing(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE log (n int)")
        connection.execute("CREATE FUNCTION act() RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (1) RETURNING n'")
        connection.execute("CREATE VIEW sly AS SELECT act() AS n")
    with pytest.raises(SourceUnavailableError, match="broke off") as caught:
        read(database, table="sly", updated=None)
    assert "INSERT" not in str(caught.value)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchone() == (0,)


@pytest.mark.parametrize("table", ["shop.absent", "absent", "absent.order_lines", "shop.order_lines; DROP TABLE x"])
def test_a_missing_table_is_an_error(shop: str, table: str) -> None:
    with pytest.raises(SourceError, match="isn't there"):
        read(shop, table=table)


def test_a_wrong_declaration_is_an_error(shop: str) -> None:
    with pytest.raises(SourceError, match="no column 'updated'"):
        read(shop, updated="updated")
    for table in ("", "a..b", "a.b.c"):
        with pytest.raises(SourceError, match=r"schema\.table"):
            read(shop, table=table)
    with pytest.raises(SettingsError, match="libpq address"):
        read("not an address")


def test_no_right_to_a_table_is_an_error(shop: str) -> None:
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS kb_stranger")
        connection.execute("CREATE ROLE kb_stranger LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA shop TO kb_stranger")
    try:
        with pytest.raises(SettingsError, match="42501"):
            read(shop.replace("kasbah@", "kb_stranger@"))
    finally:
        with psycopg.connect(shop, autocommit=True) as connection:
            connection.execute("REVOKE USAGE ON SCHEMA shop FROM kb_stranger")
            connection.execute("DROP ROLE kb_stranger")


def test_a_database_that_is_away_may_be_asked_again(tmp_path: Path) -> None:
    away = f"postgresql://kasbah:canary-secret@/x?host={tmp_path}"
    with pytest.raises(SourceUnavailableError, match="can't be reached") as caught:
        read(away)
    assert "canary" not in str(caught.value)
    with pytest.raises(SourceUnavailableError):
        reader(away).size()


def test_a_database_that_goes_away_midway_may_be_asked_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Postgres.start(tmp_path_factory.mktemp("pg") / "pg")
    dsn = server.create("shop")
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE t AS SELECT i, repeat(md5(i::text), 8) AS x FROM generate_series(1, 200000) i")
    stream = reader(dsn, table="t", updated=None).batches()
    next(stream)
    server.kill()
    with pytest.raises(SourceUnavailableError, match="broke off"):
        list(stream)
