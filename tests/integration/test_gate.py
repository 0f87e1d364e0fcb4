"""The gate lets nothing through that it hasn't seen hold, and brings back counts, never a cell."""

import dataclasses
import logging
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from made_rows import PLAN, column, loaded, plan, publication, row, staged

from governance.adapters.gate import GreatExpectationsGate
from governance.adapters.warehouse import PostgresWarehouse
from governance.enforcement.plan import EnforcementPlan, RulePlan
from governance.errors import StoreUnavailableError
from governance.flows.stores import RuleResult

UNIQUE = RulePlan("one a key", "unique", ("order_id",))
SOME = RulePlan("some rows", "row_count", (), {"min": 1})


def judged(database: str, rows: list[dict[str, Any]], *rules: RulePlan, **changes: Any) -> tuple[RuleResult, ...]:
    """What the gate says of these rows, by the rules, in a keyless dataset so that nothing is merged away."""
    ruled = plan(*rules, key=(), version_field=None, **changes)
    return judged_as(database, rows, ruled)


def judged_as(database: str, rows: list[dict[str, Any]], ruled: EnforcementPlan) -> tuple[RuleResult, ...]:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [rows], ruled)
    warehouse.merge("r1", ruled)
    return GreatExpectationsGate(database).evaluate(ruled, warehouse.gate_relation("r1", ruled))


def test_rules_that_hold_pass_in_the_plans_order(database: str) -> None:
    PostgresWarehouse(database).prepare(plan(table="customers"))
    with psycopg.connect(database) as connection:
        connection.execute(
            """INSERT INTO store.customers
               (order_id, quantity, kasbah_source, kasbah_part, kasbah_position, kasbah_contract)
               VALUES ('a', 1, 's', 'p', 0, 'v')"""
        )
    results = judged(
        database,
        [row("a", quantity=2), row("b", quantity=None, total_amount=Decimal("1.00"))],
        RulePlan("rows", "row_count", (), {"min": 2, "max": 2}),
        UNIQUE,
        RulePlan("both", "unique", ("order_id", "order_date")),
        RulePlan("nulls", "null_share", ("quantity",), {"max": 0.5}),
        RulePlan("mean", "mean_between", ("quantity",), {"min": 2, "max": 2.0}),
        RulePlan("money", "mean_between", ("total_amount",), {"max": 5.5}),
        RulePlan("tokens", "null_share", ("customer_email",), {"max": 0}),
        RulePlan("person", "unique", ("customer_email",)),
        RulePlan("known", "reference", ("kind",), {"to": "store.customers.quantity"}),
        columns=(*PLAN.columns, column("kind", "int64")),
    )
    assert [r.success for r in results] == [True] * 9
    assert [r.name for r in results[:3]] == ["rows", "one a key", "both"]
    assert results[0] == RuleResult("rows", "row_count", success=True, observed=2)
    assert results[1] == RuleResult("one a key", "unique", success=True, unexpected=0)


def test_rules_that_do_not_hold_fail_with_counts(database: str) -> None:
    PostgresWarehouse(database).prepare(plan(table="customers"))
    rows = [row("a", quantity=9), row("a", quantity=None), row("b", quantity=None), row("b"), row("c")]
    results = judged(
        database,
        rows,
        RulePlan("few", "row_count", (), {"max": 4}),
        UNIQUE,
        RulePlan("nulls", "null_share", ("quantity",), {"max": 0.39}),
        RulePlan("mean", "mean_between", ("quantity",), {"max": 1}),
        RulePlan("known", "reference", ("order_id",), {"to": "store.customers.order_id"}),
    )
    assert results == (
        RuleResult("few", "row_count", success=False, observed=5),
        RuleResult("one a key", "unique", success=False, unexpected=2),
        RuleResult("nulls", "null_share", success=False, unexpected=2),
        RuleResult("mean", "mean_between", success=False),
        RuleResult("known", "reference", success=False, unexpected=5),
    )


def test_an_empty_table_has_no_rows_and_no_mean(database: str) -> None:
    results = judged(
        database,
        [],
        SOME,
        UNIQUE,
        RulePlan("mean", "mean_between", ("quantity",), {"min": 0}),
        RulePlan("nulls", "null_share", ("quantity",), {"max": 0.5}),
    )
    assert [(r.rule, r.success) for r in results] == [
        ("row_count", False),
        ("unique", True),
        ("mean_between", False),
        ("null_share", True),
    ]


@pytest.mark.parametrize(
    ("rule", "detail"),
    [
        (RulePlan("x", "distribution_like", ("quantity",)), "unknown_rule"),
        (RulePlan("x", "row_count", ()), "wrong_arguments"),
        (RulePlan("x", "row_count", (), {"min": "1"}), "wrong_arguments"),
        (RulePlan("x", "null_share", ("quantity",), {"max": 1.5}), "wrong_arguments"),
        (RulePlan("x", "null_share", ("quantity",), {"max": float("nan")}), "wrong_arguments"),
        (RulePlan("x", "null_share", (), {"max": 0.5}), "wrong_arguments"),
        (RulePlan("x", "unique", ()), "wrong_arguments"),
        (RulePlan("x", "unique", ("nowhere",)), "unknown_field"),
        (RulePlan("x", "unique", ("secret",)), "token_not_comparable"),
        (RulePlan("x", "unique", ("gone",)), "not_stored"),
        (RulePlan("x", "mean_between", ("secret",), {"min": 1}), "token_not_comparable"),
        (RulePlan("x", "reference", ("order_id",), {"to": "store.customers"}), "wrong_arguments"),
        (RulePlan("x", "reference", ("order_id",), {"to": 'store.a"; drop.x'}), "wrong_arguments"),
        (RulePlan("x", "reference", ("order_id",), {"to": "store.nowhere.id"}), "not_evaluated"),
        (RulePlan("x", "reference", ("order_id",), {"to": "store.orders.quantity"}), "not_evaluated"),
        (RulePlan("x", "mean_between", ("order_date",), {"min": 1}), "not_evaluated"),
    ],
)
def test_what_cannot_be_evaluated_fails_and_says_why(database: str, rule: RulePlan, detail: str) -> None:
    extra = (column("secret", protect="encrypt", subject="customer"), column("gone", protect="drop"))
    results = judged(database, [row("a")], rule, SOME, columns=(*PLAN.columns, *extra))
    assert results[0] == RuleResult("x", rule.rule, success=False, detail=detail)
    assert results[1].success, "one bad rule doesn't take the others with it"


def test_a_relation_that_vanishes_fails_every_rule(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = PostgresWarehouse(database)
    ruled = plan(UNIQUE, SOME)
    staged(warehouse, "r1", [[row("a")]], ruled)
    warehouse.merge("r1", ruled)
    relation = warehouse.gate_relation("r1", ruled)
    gate = GreatExpectationsGate(database)
    judge = gate._judge

    def late(*given: Any) -> Any:
        warehouse.drop_stage("r1", ruled)
        return judge(*given)

    monkeypatch.setattr(gate, "_judge", late)
    assert [(r.success, r.detail) for r in gate.evaluate(ruled, relation)] == [(False, "not_evaluated")] * 2


def test_a_warehouse_that_is_away_is_told_as_such(database: str) -> None:
    away = GreatExpectationsGate("host=/nonexistent dbname=x connect_timeout=1")
    with pytest.raises(StoreUnavailableError):
        away.evaluate(plan(UNIQUE), ("kasbah_staging", "x"))


def test_no_cell_comes_back_or_is_told(
    database: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = "CANARY-31f7"
    caplog.set_level(logging.DEBUG)
    rows = [row(canary, quantity=424242, customer_email=canary, customer_pseudonym=canary, kasbah_part=canary)] * 3
    results = judged(
        database,
        [r | {"kasbah_position": n} for n, r in enumerate(rows)],
        UNIQUE,
        RulePlan("known", "reference", ("order_id",), {"to": "store.orders.order_date"}),
        RulePlan("known too", "reference", ("order_id",), {"to": "store.orders.order_id"}),
        RulePlan("mean", "mean_between", ("quantity",), {"max": 1}),
        RulePlan("cast", "mean_between", ("order_id",), {"max": 1}),
        RulePlan("nulls", "null_share", ("customer_email",), {"max": 0}),
    )
    assert [r.success for r in results] == [False] * 5 + [True]
    shown = repr([dataclasses.asdict(r) for r in results]) + "".join(capfd.readouterr()) + caplog.text
    assert canary not in shown
    assert "424242" not in shown


def test_it_leaves_no_connection_open(database: str) -> None:
    judged(database, [row("a")], UNIQUE)
    with psycopg.connect(database) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert connection.execute(query).fetchone() == (0,)


def test_a_blocked_load_leaves_the_last_version_readable(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    ruled = plan(RulePlan("few", "row_count", (), {"max": 2}), UNIQUE)
    loaded(warehouse, "r1", [row("a"), row("b")], ruled)
    gate = GreatExpectationsGate(database)
    for run, rows, passes in (("r2", [row("c"), row("d")], False), ("r3", [row("a", 2, quantity=7)], True)):
        staged(warehouse, run, [rows], ruled)
        merged = warehouse.merge(run, ruled)
        few, unique = gate.evaluate(ruled, warehouse.gate_relation(run, ruled))
        assert (few.success, unique.success) == (passes, True), "judged as the table would look, replaced rows gone"
        if few.success:
            warehouse.publish(publication(run, merged, of=ruled), ruled)
        warehouse.drop_stage(run, ruled)
    with psycopg.connect(database) as connection:
        kept = connection.execute("SELECT order_id, quantity FROM store.orders ORDER BY 1").fetchall()
    assert kept == [("a", 7), ("b", 1)]


def test_no_rules_no_results(database: str) -> None:
    assert GreatExpectationsGate(database).evaluate(PLAN, ("nowhere", "at all")) == ()
