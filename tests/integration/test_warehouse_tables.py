"""The warehouse's tables have the contract's shape, grow with it, and are refused where they contradict it."""

from typing import Any

import pytest
from made_rows import PLAN, batch, column, loaded, plan, row, stored

from governance.adapters.warehouse import PostgresWarehouse, StoreRefusedError
from governance.errors import ContractError, SettingsError


def test_a_table_grows_with_its_contract(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    strict = plan(columns=(*PLAN.columns[:4], column("quantity", "int64", required=True), *PLAN.columns[5:]))
    loaded(warehouse, "r1", [row("a")], strict)
    wider = plan(columns=(*PLAN.columns, column("note")), version="1.1.0")
    loaded(warehouse, "r2", [row("b", note="new", quantity=None)], wider)
    assert stored(database, "order_id, note, quantity") == [("a", None, 1), ("b", "new", None)]
    loaded(warehouse, "r3", [row("c")], PLAN)
    assert stored(database, "order_id, note") == [("a", None), ("b", "new"), ("c", None)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"columns": (*PLAN.columns[:4], column("quantity"), *PLAN.columns[5:])}, "quantity is bigint, .* wants text"),
        ({"columns": (*PLAN.columns[:8], column("total_amount", "decimal(14,2)"))}, r"numeric\(12,2\)"),
        ({"columns": (*PLAN.columns, column("must", required=True))}, "must is required now"),
        ({"columns": (PLAN.columns[0], column("order_date", "date", required=True), *PLAN.columns[2:])}, "may be null"),
        ({"key": ("order_id", "quantity")}, r"its key is \(order_id\)"),
    ],
)
def test_a_table_that_contradicts_the_contract_is_refused(database: str, change: dict[str, Any], told: str) -> None:
    warehouse = PostgresWarehouse(database)
    loaded(warehouse, "r1", [row("a")])
    with pytest.raises(SettingsError, match=told):
        warehouse.prepare(plan(**change))
    assert stored(database, "order_id") == [("a",)]


@pytest.mark.parametrize("name", ["n" * 64, "é" * 32, 'quo"te', "brace{", "nul\0", "per%cent", "", "line\nbreak"])
def test_a_name_that_postgres_would_cut_or_a_template_would_read_is_refused(database: str, name: str) -> None:
    with pytest.raises(ContractError, match="can't name"):
        PostgresWarehouse(database).prepare(plan(table=name))


@pytest.mark.parametrize("system", ["kasbah", "kasbah_staging", "kasbah_control", "pg_catalog", "information_schema"])
def test_a_system_cannot_take_a_schema_that_is_ours_or_the_servers(database: str, system: str) -> None:
    with pytest.raises(ContractError, match="reserved"):
        PostgresWarehouse(database).prepare(plan(system=system))


def test_awkward_names_are_quoted(database: str) -> None:
    awkward = plan(
        system="Order",
        table="select * from; drop",
        columns=(column("order_id", name="Größe user's", required=True),),
        version_field=None,
    )
    warehouse = PostgresWarehouse(database)
    rows = [{"Größe user's": "a", **row("a")}]
    assert loaded(warehouse, "r'; drop table x; --" * 9, rows, awkward).new == 1
    assert loaded(warehouse, "r2", rows, awkward).unchanged == 1


def test_rows_that_are_not_the_plans_are_refused(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    warehouse.prepare(PLAN)
    with warehouse.stage("r1", PLAN) as writer:
        with pytest.raises(StoreRefusedError, match="columns and types"):
            writer.write(0, batch([row("a")]).drop_columns(["gift"]))
        with pytest.raises(StoreRefusedError, match="order_id"):
            writer.write(0, batch([row(None)]))
