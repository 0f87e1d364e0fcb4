"""The quality gate: a plan's set rules as a Great Expectations suite, run on a relation of the warehouse.

The suite never sees a cell: where a library expectation would fetch examples, the rule is a query that gives a constant
for each offender, and the result format is BASIC without examples. What comes back is counts. Fail closed: a rule that
is unknown, ill-told or can't be evaluated fails.
"""

import logging
import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any, TypeGuard

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from governance.adapters.warehouse.session import translated
from governance.adapters.warehouse.shape import checked
from governance.enforcement.plan import ColumnPlan, EnforcementPlan, RulePlan
from governance.errors import ContractError
from governance.flows.stores import RuleResult

_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}
_SESSION = "-c work_mem=64MB -c jit=off"
_ONE_AT_A_TIME = Lock()
"""Great Expectations keeps its context in a global."""


class UnfitRuleError(ContractError):
    """A rule that can't be compiled; the message is a code. `evaluate` makes a failed result of it."""


class GreatExpectationsGate:
    """Evaluates set rules over one PostgreSQL database, by its libpq address.

    The library takes seconds to import, so that happens at the first rule evaluated, and commands without a gate stay
    quick.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def evaluate(self, plan: EnforcementPlan, relation: tuple[str, str]) -> tuple[RuleResult, ...]:
        """One result a rule, in the plan's order. Raises StoreUnavailableError if the warehouse is away at the start;
        what goes wrong later makes rules fail, as `not_evaluated`."""
        if not plan.set_rules:
            return ()
        with translated(f"judging {plan.dataset}"), psycopg.connect(self._address()) as connection:
            connection.execute(sql.SQL("SELECT FROM {} LIMIT 0").format(sql.Identifier(*relation)))
        compiled: dict[int, Any] = {}
        failed: dict[int, RuleResult] = {}
        for place, rule in enumerate(plan.set_rules):
            try:
                compiled[place] = compile_rule(rule, plan)
            except UnfitRuleError as unfit:
                failed[place] = RuleResult(rule.name, rule.rule, success=False, detail=str(unfit))
        judged = self._judge(compiled, relation) if compiled else {}
        return tuple(failed.get(place) or _result(rule, judged.get(place)) for place, rule in enumerate(plan.set_rules))

    def _judge(self, compiled: dict[int, "Expectation"], relation: tuple[str, str]) -> dict[int, Any]:
        """Results by place. Whatever fails here leaves places without a result, which is a failure."""
        opened: list[Any] = []

        def open_one() -> psycopg.Connection[Any]:
            opened.append(psycopg.connect(self._address()))
            return opened[-1]  # type: ignore[no-any-return]

        try:
            with _ONE_AT_A_TIME, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _run(compiled, relation, open_one)
        except Exception:  # noqa: BLE001  whatever the library raises, the rules have not passed
            return {}
        finally:
            for connection in opened:
                with suppress(psycopg.Error):
                    connection.close()

    def _address(self) -> str:
        options = conninfo_to_dict(self._dsn).get("options") or ""
        return make_conninfo(
            self._dsn, connect_timeout="10", application_name="kasbah", options=f"{options} {_SESSION}".strip()
        )


Expectation = tuple[str, dict[str, Any]]
"""A Great Expectations class by name, and its arguments: made without importing the library."""


def compile_rule(rule: RulePlan, plan: EnforcementPlan) -> Expectation:
    """A set rule as an expectation. Raises UnfitRuleError with a code: `unknown_rule`, `unknown_field`, `not_stored`,
    `token_not_comparable`, `wrong_arguments`."""
    compiler = _COMPILERS.get(rule.rule)
    if compiler is None:
        raise UnfitRuleError("unknown_rule")
    return compiler(rule, plan)


def _unique(rule: RulePlan, plan: EnforcementPlan) -> Expectation:
    """Keys that occur more than once; nulls equal nothing, so a key that is all null is passed over, as in ODCS."""
    columns = [_named(_comparable(field, plan)) for field in rule.fields]
    if not columns:
        raise UnfitRuleError("wrong_arguments")
    listed = sql.SQL(", ").join(columns)
    query = sql.SQL("SELECT 1 AS unexpected FROM {{batch}} WHERE num_nonnulls({}) > 0 GROUP BY {} HAVING count(*) > 1")
    return _offenders(query.format(listed, listed))


def _reference(rule: RulePlan, plan: EnforcementPlan) -> Expectation:
    """Rows whose value isn't in the referenced column; a null refers to nothing."""
    target = str(rule.arguments.get("to", "")).split(".")
    if len(rule.fields) != 1 or len(target) != 3 or not all(target):
        raise UnfitRuleError("wrong_arguments")
    column = _named(_comparable(rule.fields[0], plan))
    schema, table, referenced = target
    query = sql.SQL(
        "SELECT 1 AS unexpected FROM {{batch}} WHERE {column} IS NOT NULL AND NOT EXISTS "
        "(SELECT FROM {table} AS referenced WHERE referenced.{referenced} = {column})"
    ).format(column=column, table=_named(schema, table), referenced=_named(referenced))
    return _offenders(query)


def _offenders(query: sql.Composed) -> Expectation:
    text = query.as_string()
    return "UnexpectedRowsExpectation", {"unexpected_rows_query": text}


def _row_count(rule: RulePlan, _: EnforcementPlan) -> Expectation:
    return "ExpectTableRowCountToBeBetween", _bounds(rule, "min_value", "max_value")


def _null_share(rule: RulePlan, plan: EnforcementPlan) -> Expectation:
    most = rule.arguments.get("max")
    if len(rule.fields) != 1 or not _is_number(most) or not 0 <= float(most) <= 1:
        raise UnfitRuleError("wrong_arguments")
    column = _column(rule.fields[0], plan)
    name = column.name if column.stored else _comparable(rule.fields[0], plan)
    return "ExpectColumnValuesToNotBeNull", {"column": name, "mostly": round(1 - float(most), 12)}


def _mean_between(rule: RulePlan, plan: EnforcementPlan) -> Expectation:
    if len(rule.fields) != 1:
        raise UnfitRuleError("wrong_arguments")
    column = _column(rule.fields[0], plan)
    if column.protect != "clear":
        raise UnfitRuleError("token_not_comparable")
    return "ExpectColumnMeanToBeBetween", {"column": column.name, **_bounds(rule, "min_value", "max_value")}


_COMPILERS: dict[str, Callable[[RulePlan, EnforcementPlan], Expectation]] = {
    "unique": _unique,
    "reference": _reference,
    "row_count": _row_count,
    "null_share": _null_share,
    "mean_between": _mean_between,
}


def _bounds(rule: RulePlan, low: str, high: str) -> dict[str, Any]:
    least, most = rule.arguments.get("min"), rule.arguments.get("max")
    given = [value for value in (least, most) if value is not None]
    if not given or not all(_is_number(value) for value in given):
        raise UnfitRuleError("wrong_arguments")
    return {low: least, high: most}


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _named(*names: str) -> sql.Identifier:
    """Quoted, and free of what the library's templates would read."""
    try:
        return sql.Identifier(*map(checked, names))
    except ContractError:
        raise UnfitRuleError("wrong_arguments") from None


def _column(field: str, plan: EnforcementPlan) -> ColumnPlan:
    found = next((c for c in plan.columns if c.field == field), None)
    if found is None:
        raise UnfitRuleError("unknown_field")
    return found


def _comparable(field: str, plan: EnforcementPlan) -> str:
    """The column in which equal values of the field are equal: its own if it is in clear; for a subject's key, the
    pseudonym. Any other token differs each time it is made."""
    column = _column(field, plan)
    if column.protect == "clear":
        return column.name
    for subject in plan.subjects:
        if subject.entity == column.subject and field in {key for key, _ in subject.keys}:
            return subject.pseudonym_column
    raise UnfitRuleError("token_not_comparable" if column.stored else "not_stored")


def _run(compiled: dict[int, Expectation], relation: tuple[str, str], open_one: Callable[[], Any]) -> dict[int, Any]:
    """Build the suite and validate the relation; results by place."""
    # The import takes seconds and must not burden other commands.
    import great_expectations as gx
    from great_expectations import expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.CRITICAL + 1)
    context: Any = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # The connection is handed over ready-made: in an address the library would replace what looks like a variable.
    source = context.data_sources.add_sql(
        "warehouse", connection_string="postgresql+psycopg://", kwargs={"creator": open_one, "hide_parameters": True}
    )
    schema, name = relation
    asset = source.add_table_asset("relation", table_name=name, schema_name=schema)
    batch = asset.add_batch_definition_whole_table("whole").get_batch()
    made = [
        getattr(expectations, kind)(**arguments, meta={"place": place}) for place, (kind, arguments) in compiled.items()
    ]
    validated: Any = batch.validate(gx.ExpectationSuite(name="set rules", expectations=made), result_format=_FORMAT)
    return {result.expectation_config.meta["place"]: result for result in validated.results}


def _result(rule: RulePlan, judged: Any) -> RuleResult:
    """Counts only, whatever else the library returns: a mean of one row would be a value."""
    if judged is None or not _evaluated(judged):
        return RuleResult(rule.name, rule.rule, success=False, detail="not_evaluated")
    told = judged.result or {}
    observed, unexpected = _count(told.get("observed_value")), _count(told.get("unexpected_count"))
    if rule.rule in ("unique", "reference"):
        observed, unexpected = None, observed
    if rule.rule == "mean_between":
        observed = None
    return RuleResult(rule.name, rule.rule, success=judged.success is True, observed=observed, unexpected=unexpected)


def _evaluated(judged: Any) -> bool:
    """Whether the library says in as many words that nothing was raised."""
    told = judged.exception_info or {}
    return told.get("raised_exception") is False and bool(judged.result)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
