"""The warehouse keeps what it is given, merges by key and version, and publishes all or nothing."""

import contextlib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from made_rows import PLAN, batch, column, loaded, plan, publication, row, staged, stored
from psycopg import sql

from governance.adapters.warehouse import PostgresWarehouse, StoreRefusedError
from governance.enforcement.plan import RulePlan
from governance.flows.stores import LakeFile, Merged, StagingLostError

EXTREMES = [
    row("plain"),
    row(
        "nothing",
        day=None,
        **dict.fromkeys(
            (
                "order_date",
                "customer_email",
                "quantity",
                "weight",
                "gift",
                "total_amount",
                "exact",
                "customer_pseudonym",
            )
        ),
    ),
    row("empty", customer_email="", customer_pseudonym=""),
    row("unicode é漢😀\t\n\\N\"'", customer_email="שלום\u200f 🇬🇧"),
    row("long", customer_email="x" * 3_000_000),
    row(
        "lowest",
        updated_at=datetime(1, 1, 1, tzinfo=UTC),
        order_date=date(1, 1, 1),
        quantity=-(2**63),
        weight=float("-inf"),
        total_amount=Decimal("-9999999999.99"),
        exact=Decimal("-" + "9" * 33 + ".99999"),
        packed_at=time(0),
        gift=True,
    ),
    row(
        "highest",
        updated_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        order_date=date(9999, 12, 31),
        quantity=2**63 - 1,
        weight=5e-324,
        total_amount=Decimal("9999999999.99"),
        exact=Decimal("9" * 33 + ".99999"),
        packed_at=time(23, 59, 59, 999999),
    ),
    row("small", total_amount=Decimal("-0.01"), exact=Decimal("10000.00000"), weight=-0.0),
]


def test_every_type_comes_back_from_staging_and_from_the_table_as_it_went_in(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [EXTREMES[:3], EXTREMES[3:]])
    merged = warehouse.merge("r1", PLAN)
    out = pa.Table.from_batches(list(warehouse.winners("r1", PLAN)))
    went_in = pa.Table.from_batches([batch(EXTREMES[:3]), batch(EXTREMES[3:])])
    assert out.schema.types == PLAN.output_schema().types
    assert out.sort_by("order_id").to_pylist() == went_in.sort_by("order_id").to_pylist()

    warehouse.publish(publication("r1", merged), PLAN)
    kept = stored(database, "order_id, quantity, weight, gift, packed_at, total_amount, exact, order_date")
    wanted = sorted(
        tuple(
            r[n] for n in ("order_id", "quantity", "weight", "gift", "packed_at", "total_amount", "exact", "order_date")
        )
        for r in EXTREMES
    )
    assert sorted(kept) == wanted


def test_not_a_number_is_kept_as_such(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [[row("a", weight=float("nan"))]])
    warehouse.merge("r1", PLAN)
    (out,) = warehouse.winners("r1", PLAN)
    assert str(out.column("weight")[0].as_py()) == "nan"


def test_the_table_is_what_the_plan_says(database: str) -> None:
    PostgresWarehouse(database).prepare(PLAN)
    columns = stored(
        database,
        "attname, format_type(atttypid, atttypmod), attnotnull",
        "pg_attribute WHERE attrelid = 'store.orders'::regclass AND attnum > 0",
    )
    assert ("order_id", "text", True) in columns
    assert ("total_amount", "numeric(12,2)", False) in columns
    assert ("updated_at", "timestamp with time zone", False) in columns
    assert ("customer_pseudonym", "text", False) in columns
    assert stored(database, "obj_description('store.orders'::regclass)", "(SELECT 1) x") == [
        ("store.orders/order_line, contract store.orders 1.0.0",)
    ]


def test_the_newest_version_of_a_key_wins_and_every_row_is_counted_once(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    loaded(
        warehouse, "r1", [row("same", 2), row("older", 5), row("newer", 2), row("was_null", None), row("null", None)]
    )
    staged(
        warehouse,
        "r2",
        [
            [row("same", 2), row("same", 2), row("same", 1), row("older", 4), row("older", 4)],
            [row("newer", 3, quantity=7), row("newer", 1), row("fresh", 1), row("fresh", 1), row("was_null", 1)],
            [row("fresh", None), row("was_null", None), row("null", None)],
        ],
    )
    merged = warehouse.merge("r2", PLAN)
    assert merged == Merged(staged=13, new=1, changed=2, unchanged=2, superseded=6, duplicates=2)
    warehouse.publish(publication("r2", merged), PLAN)
    assert stored(database, "order_id, extract(day FROM updated_at)::int, quantity") == [
        ("fresh", 1, 1),
        ("newer", 3, 7),
        ("null", None, 1),
        ("older", 5, 1),
        ("same", 2, 1),
        ("was_null", 1, 1),
    ]


def test_a_tie_goes_to_the_source_that_the_contract_names_first_then_to_part_and_position(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    rows = [
        row("a", quantity=1, kasbah_source="api"),
        row("a", quantity=2, kasbah_source="csv", kasbah_part="z.csv", kasbah_position=1),
        row("a", quantity=3, kasbah_source="csv", kasbah_part="b.csv", kasbah_position=9),
        row("a", quantity=4, kasbah_source="csv", kasbah_part="b.csv", kasbah_position=8),
        row("a", quantity=5, kasbah_source="not declared", kasbah_position=1),
    ]
    for run, order in (("r1", rows), ("r2", rows[::-1])):
        staged(warehouse, run, [order])
        merged = warehouse.merge(run, PLAN)
        assert (merged.new, merged.duplicates) == (1, 4)
        (out,) = warehouse.winners(run, PLAN)
        assert out.column("quantity").to_pylist() == [4]


def test_a_rerun_touches_no_row(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    rows = [row(f"o{n}") for n in range(50)]
    loaded(warehouse, "r1", rows)
    before = stored(database, "order_id, xmin::text, ctid::text")
    other_tokens = [r | {"customer_email": f"kb1.again-{n}"} for n, r in enumerate(rows)]
    merged = loaded(warehouse, "r2", other_tokens)
    assert merged == Merged(staged=50, new=0, changed=0, unchanged=50, superseded=0, duplicates=0)
    assert stored(database, "order_id, xmin::text, ctid::text") == before


def test_without_a_version_field_a_key_that_is_there_stays_as_it_is(database: str) -> None:
    keyed = plan(version_field=None)
    warehouse = PostgresWarehouse(database)
    loaded(warehouse, "r1", [row("a", quantity=1)], keyed)
    assert loaded(warehouse, "r2", [row("a", 9, quantity=2), row("b")], keyed) == Merged(2, 1, 0, 1, 0, 0)
    assert stored(database, "order_id, quantity") == [("a", 1), ("b", 1)]


def test_without_a_key_a_row_is_known_by_where_it_came_from(database: str) -> None:
    keyless = plan(key=(), version_field=None)
    warehouse = PostgresWarehouse(database)
    rows = [row("a", kasbah_position=1), row("a", kasbah_position=2), row("a", kasbah_position=2)]
    assert loaded(warehouse, "r1", rows, keyless) == Merged(3, 2, 0, 0, 0, 1)
    again = [*rows[:2], row("a", kasbah_position=3), row("a", kasbah_position=1, kasbah_part="other.csv")]
    assert loaded(warehouse, "r2", again, keyless) == Merged(4, 2, 0, 2, 0, 0)


def test_a_key_that_is_not_stored_is_replaced_by_its_subject(database: str) -> None:
    columns = (
        column("customer_email", protect="pseudonymise", subject="customer", required=True),
        column("quantity", "int64"),
    )
    by_person = plan(columns=columns, key=("customer_email",), version_field=None, record_date=None)
    warehouse = PostgresWarehouse(database)
    people = [row("x", customer_pseudonym=p) for p in ("p1", "p2", "p1")]
    assert loaded(warehouse, "r1", people, by_person) == Merged(3, 2, 0, 0, 0, 1)
    with pytest.raises(StoreRefusedError, match="customer_pseudonym"):
        staged(warehouse, "r2", [[row("x", customer_pseudonym=None)]], by_person)


def test_rows_of_shredded_subjects_are_dropped_and_counted(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    rows = [
        row("a", customer_pseudonym="gone"),
        row("a"),
        row("b", customer_pseudonym="gone"),
        row("c", customer_pseudonym=None),
    ]
    staged(warehouse, "r1", [rows])
    merged = warehouse.merge("r1", PLAN, ("gone", "never seen"))
    assert merged == Merged(staged=4, new=2, changed=0, unchanged=0, superseded=0, duplicates=0, shredded=2)
    warehouse.publish(publication("r1", merged), PLAN)
    assert stored(database, "order_id, customer_pseudonym") == [("a", "p-a"), ("c", None)]


def test_the_gates_see_the_table_as_it_would_look(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    ruled = plan(RulePlan("few", "mean_between", ("quantity",), {"max": 9}))
    loaded(warehouse, "r1", [row("stays"), row("changes", quantity=1)], ruled)
    staged(warehouse, "r2", [[row("changes", 2, quantity=5), row("comes"), row("stays", 1, quantity=99)]], ruled)
    warehouse.merge("r2", ruled)
    schema, name = warehouse.gate_relation("r2", ruled)
    assert len(name.encode()) <= 63
    assert stored(database, "*", f'"{schema}"."{name}"') == [("changes", 5), ("comes", 1), ("stays", 1)]
    assert stored(database, "order_id, quantity") == [("changes", 1), ("stays", 1)], "and nothing was published"


def test_a_publication_brings_its_watermarks_and_its_manifest(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    assert warehouse.publication("r1") is None
    assert warehouse.watermarks(PLAN.dataset) == {}
    assert warehouse.manifest(PLAN.dataset) == ()
    early, late = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 9, tzinfo=UTC)
    files = (LakeFile("b", 1, 10, "ab"), LakeFile("a", 2, 20, "cd"))
    staged(warehouse, "r1", [[row("a")]])
    wanted = publication("r1", warehouse.merge("r1", PLAN), files, csv=late, api=early)
    assert warehouse.publish(wanted, PLAN) == wanted
    assert warehouse.publication("r1") == wanted
    assert warehouse.manifest(PLAN.dataset) == files
    staged(warehouse, "r2", [[row("b")]])
    warehouse.publish(publication("r2", warehouse.merge("r2", PLAN), csv=early, api=late), PLAN)
    assert warehouse.watermarks(PLAN.dataset) == {"api": late, "csv": late}, "a watermark never goes back"
    assert warehouse.watermarks("another/dataset") == {}


def test_publishing_twice_publishes_once(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [[row("a")]])
    wanted = publication("r1", warehouse.merge("r1", PLAN))
    first = warehouse.publish(wanted, PLAN)
    before = stored(database, "order_id, xmin::text")
    assert warehouse.publish(wanted, PLAN) == first
    warehouse.drop_stage("r1", PLAN)
    assert warehouse.publish(wanted, PLAN) == first
    assert stored(database, "order_id, xmin::text") == before


def test_dropping_a_stage_leaves_nothing_of_it(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [[row("a")]])
    warehouse.merge("r1", PLAN)
    warehouse.gate_relation("r1", PLAN)
    for _ in range(2):
        warehouse.drop_stage("r1", PLAN)
    assert stored(database, "count(*)", "pg_class WHERE relnamespace = 'kasbah_staging'::regnamespace") == [(0,)]
    assert stored(database, "count(*)", "kasbah.stage") == [(0,)]


def test_a_batch_written_again_replaces_what_stood_under_its_number(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    warehouse.prepare(PLAN)
    with warehouse.stage("r1", PLAN) as writer:
        assert writer.write(0, batch([row("a"), row("b")])) == 2
        assert writer.write(1, batch([row("c")])) == 1
        assert writer.write(0, batch([row("d")])) == 1
        assert writer.write(2, batch([])) == 0
    with warehouse.stage("r1", PLAN) as writer:
        writer.write(1, batch([row("e"), row("f")]))
    assert warehouse.merge("r1", PLAN).staged == 3
    ids = [i for b in warehouse.winners("r1", PLAN) for i in b.column("order_id").to_pylist()]
    assert sorted(ids) == ["d", "e", "f"]


def test_a_killed_steps_leftovers_are_discarded(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [[row("a")], [row("b"), row("c")], []])
    assert warehouse.discard_batches("r1", PLAN, {0, 2}) == 2
    assert warehouse.discard_batches("r1", PLAN, {0, 2}) == 0
    assert warehouse.merge("r1", PLAN).staged == 1
    with pytest.raises(StagingLostError):
        warehouse.discard_batches("r1", PLAN, {0, 1, 2})


def test_staging_more_after_a_merge_makes_it_count_anew(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [[row("a")]])
    assert warehouse.merge("r1", PLAN).new == 1
    assert warehouse.merge("r1", PLAN).new == 1
    with warehouse.stage("r1", PLAN) as writer:
        writer.write(1, batch([row("b")]))
    assert warehouse.merge("r1", PLAN).new == 2


def told_by(raised: pytest.ExceptionInfo[StoreRefusedError]) -> str:
    """Everything that an error and those behind it say."""
    told, error = "", raised.value
    while isinstance(error, BaseException):
        told += f"{error!r} {error.args} {vars(error)}"
        error = error.__cause__ or error.__context__
    return told


def test_an_error_while_staging_tells_no_value_and_the_writer_goes_on(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    warehouse.prepare(PLAN)
    with warehouse.stage("r1", PLAN) as writer:
        with psycopg.connect(database) as connection:
            (name,) = stored(database, "relname", "pg_class WHERE relname LIKE '%__rows'")[0]
            unique = sql.SQL("CREATE UNIQUE INDEX ON kasbah_staging.{} (customer_email)")
            connection.execute(unique.format(sql.Identifier(name)))
        with pytest.raises(StoreRefusedError, match="23505") as raised:
            writer.write(0, batch([row("a", customer_email="canary-7Q"), row("b", customer_email="canary-7Q")]))
        assert "canary" not in told_by(raised)
        with pytest.raises(StoreRefusedError, match="22021"):
            writer.write(0, batch([row("a", customer_email="NUL is no text\0")]))
        writer.write(0, batch([row("a")]))
    assert warehouse.merge("r1", PLAN).staged == 1


def test_an_error_while_publishing_tells_no_value(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [[row("a", customer_email="canary-7Q"), row("b", customer_email="canary-7Q")]])
    with psycopg.connect(database) as connection:
        connection.execute("CREATE UNIQUE INDEX ON store.orders (customer_email)")
    merged = warehouse.merge("r1", PLAN)
    with pytest.raises(StoreRefusedError, match="23505") as raised:
        warehouse.publish(publication("r1", merged), PLAN)
    assert "canary" not in told_by(raised)
    assert raised.value.sqlstate == "23505"


@contextlib.contextmanager
def reader_of(database: str) -> Any:
    with psycopg.connect(database) as connection:
        yield connection


def test_readers_see_the_old_version_until_the_new_one_is_whole(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    loaded(warehouse, "r1", [row("a", quantity=1)])
    with reader_of(database) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert reader.execute("SELECT quantity FROM store.orders").fetchall() == [(1,)]
        loaded(warehouse, "r2", [row("a", 2, quantity=2), row("b")])
        assert reader.execute("SELECT quantity FROM store.orders").fetchall() == [(1,)]


def test_a_reader_of_an_empty_table_does_not_hold_up_its_first_load(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    warehouse.prepare(PLAN)
    with reader_of(database) as reader:
        assert reader.execute("SELECT count(*) FROM store.orders").fetchone() == (0,)
        assert loaded(warehouse, "r1", [row("a"), row("b")]).new == 2
    assert loaded(warehouse, "r2", [row("a")]).unchanged == 1


def test_ten_thousand_rows_keep_their_key(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    rows = [row(f"o{n % 9000:05d}", kasbah_position=n) for n in range(10_000)]
    staged(warehouse, "r1", [rows[:4000], rows[4000:]])
    merged = warehouse.merge("r1", PLAN)
    assert (merged.new, merged.duplicates) == (9000, 1000)
    ids = [i for b in warehouse.winners("r1", PLAN) for i in b.column("order_id").to_pylist()]
    assert sorted(ids) == [r["order_id"] for r in rows[:9000]]
    warehouse.publish(publication("r1", merged), PLAN)
    indexed = "pg_index WHERE indrelid = 'store.orders'::regclass AND indisprimary AND indisvalid"
    assert stored(database, "count(*)", indexed) == [(1,)]
