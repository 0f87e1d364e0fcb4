"""What a plan becomes in the warehouse, before any server is asked."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from governance.adapters.gate import UnfitRuleError, compile_rule
from governance.adapters.warehouse.reading import _as_decimal
from governance.adapters.warehouse.session import lock_number
from governance.adapters.warehouse.shape import judged_columns, shape_of, stage_name
from governance.enforcement.plan import ColumnPlan, EnforcementPlan, RulePlan, SubjectPlan
from governance.errors import ContractError


def field(name: str, kind: str = "string", protect: str = "clear", subject: str | None = None) -> ColumnPlan:
    return ColumnPlan(
        field=name,
        name=f"{name}_col",
        type=kind,
        required=False,
        protect=protect,
        subject=subject,
        pii=None,
        scan="none",
        on_finding="quarantine",
        source_names={},
        formats={},
    )


PLAN = EnforcementPlan(
    dataset="shop/visits",
    contract="shop",
    version="2.1.0",
    system="shop",
    table="visits",
    columns=(
        field("id"),
        field("email", protect="pseudonymise", subject="visitor"),
        field("name", protect="encrypt", subject="visitor"),
        field("code", protect="encrypt"),
        field("spent", "decimal(9,3)"),
        field("at", "timestamp"),
    ),
    subjects=(SubjectPlan("visitor", (("email", "email"),), ("email", "name"), "visitor_pseudonym"),),
    row_rules=(),
    set_rules=(RulePlan("r", "unique", ("email", "name")),),
    sources=(),
    key=("id",),
    version_field="at",
    record_date=None,
    scanned=(),
    admit_unscanned=(),
)


def changed(**changes: Any) -> EnforcementPlan:
    return dataclasses.replace(PLAN, **changes)


def test_columns_follow_the_output_schema_and_a_pseudonymised_key_is_not_one_of_them() -> None:
    shape = shape_of(PLAN)
    assert shape.names == tuple(PLAN.output_schema().names)
    assert "email_col" not in shape.names
    types = {c.name: c.type.as_string() for c in shape.columns}
    assert types["spent_col"] == "numeric(9,3)"
    assert types["code_col"] == "text"
    assert next(c.name for c in shape.columns if c.required) == "id_col"


@pytest.mark.parametrize(
    ("key", "columns"),
    [
        (("id",), ("id_col",)),
        (("email",), ("visitor_pseudonym",)),
        (("name", "email", "at"), ("visitor_pseudonym", "at_col")),
        ((), ("kasbah_source", "kasbah_part", "kasbah_position")),
    ],
)
def test_rows_are_merged_by_what_can_be_compared(key: tuple[str, ...], columns: tuple[str, ...]) -> None:
    assert shape_of(changed(key=key)).key == columns


def test_a_token_of_nobody_can_be_neither_key_nor_version() -> None:
    with pytest.raises(ContractError, match="can't be merged"):
        shape_of(changed(key=("code",)))
    with pytest.raises(ContractError, match="newer"):
        shape_of(changed(version_field="name"))


def test_without_a_key_there_are_no_versions() -> None:
    assert shape_of(changed(key=())).version is None


def test_the_gate_gets_the_columns_that_rules_speak_of_and_no_more() -> None:
    assert judged_columns(PLAN, shape_of(PLAN)) == ("id_col", "visitor_pseudonym", "name_col")


def test_staging_names_are_bounded_and_told_apart() -> None:
    long = changed(table="é" * 31)
    names = {
        stage_name(run, plan, part) for run in ("r1", "r" * 500) for plan in (PLAN, long) for part in ("rows", "gate")
    }
    assert len(names) == 8
    assert all(len(name.encode()) <= 63 and name.isascii() for name in names)
    assert stage_name("r1", PLAN, "rows") == stage_name("r1", PLAN, "rows")
    apart = changed(system="sho", table="pvisits")
    assert stage_name("r1", PLAN, "rows").split("_")[-3] != stage_name("r1", apart, "rows").split("_")[-3]


def test_lock_numbers_fit_and_depend_on_where_words_end() -> None:
    assert -(2**63) <= lock_number("a", "b") < 2**63
    assert lock_number("ab", "c") != lock_number("a", "bc")


@pytest.mark.parametrize(
    "values", [[], [0], [None], [5, None, -5, 2**62, -(2**62)], [None] * 9 + [1], list(range(-20, 20))]
)
def test_unscaled_integers_become_the_decimals_they_stand_for(values: list[int | None]) -> None:
    kind = pa.decimal128(38, 3)
    whole = pa.array([7, None, *values], pa.int64())
    got = _as_decimal(whole.slice(2), kind)
    got.validate(full=True)
    assert got.to_pylist() == [
        None if v is None else pa.scalar(v).cast(pa.decimal128(38, 0)).as_py().scaleb(-3) for v in values
    ]
    assert len(got) == len(values) == np.shape(values)[0]


def test_a_rule_becomes_an_expectation_that_can_give_no_cell() -> None:
    kind, arguments = compile_rule(RulePlan("u", "unique", ("email", "at")), PLAN)
    assert kind == "UnexpectedRowsExpectation"
    assert arguments["unexpected_rows_query"] == (
        'SELECT 1 AS unexpected FROM {batch} WHERE num_nonnulls("visitor_pseudonym", "at_col") > 0 '
        'GROUP BY "visitor_pseudonym", "at_col" HAVING count(*) > 1'
    )
    rule = RulePlan("n", "null_share", ("name",), {"max": 0.58})
    assert compile_rule(rule, PLAN)[1] == {"column": "name_col", "mostly": 0.42}


@pytest.mark.parametrize("argument", ["store.t", "a.b.c.d", "..", 'a.b."', "a.b.{c}", "a.%s.c", ""])
def test_a_reference_to_no_column_is_unfit(argument: str) -> None:
    with pytest.raises(UnfitRuleError, match="wrong_arguments"):
        compile_rule(RulePlan("r", "reference", ("id",), {"to": argument}), PLAN)
