"""A small dataset of made orders for the stores' tests: its plan, and batches as enforcement would admit them."""

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from governance.enforcement.plan import ColumnPlan, EnforcementPlan, RulePlan, SourcePlan, SubjectPlan
from governance.flows.stores import LakeFile, Merged, Publication

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def column(
    field: str, kind: str = "string", *, required: bool = False, protect: str = "clear", **more: Any
) -> ColumnPlan:
    """A column plan; what the stores don't read is left plain."""
    return ColumnPlan(
        field=field,
        name=more.pop("name", field),
        type=kind,
        required=required,
        protect=protect,
        subject=more.pop("subject", None),
        pii=None,
        scan="none",
        on_finding="quarantine",
        source_names={},
        formats={},
    )


CUSTOMER = SubjectPlan("customer", (("customer_email", "email"),), ("customer_email",), "customer_pseudonym")

PLAN = EnforcementPlan(
    dataset="store.orders/order_line",
    contract="store.orders",
    version="1.0.0",
    system="store",
    table="orders",
    columns=(
        column("order_id", required=True),
        column("order_date", "date"),
        column("updated_at", "timestamp"),
        column("customer_email", protect="encrypt", subject="customer"),
        column("quantity", "int64"),
        column("weight", "double"),
        column("gift", "bool"),
        column("packed_at", "time"),
        column("total_amount", "decimal(12,2)"),
        column("exact", "decimal(38,5)"),
    ),
    subjects=(CUSTOMER,),
    row_rules=(),
    set_rules=(),
    sources=(SourcePlan("csv", ("",), True), SourcePlan("api", ("",), True)),
    key=("order_id",),
    version_field="updated_at",
    record_date="order_date",
    scanned=(),
    admit_unscanned=(),
)


def plan(*rules: RulePlan, **changes: Any) -> EnforcementPlan:
    """The orders' plan, with set rules or other changes."""
    return dataclasses.replace(PLAN, set_rules=rules, **changes)


def row(order_id: str | None, day: int | None = 1, **values: Any) -> dict[str, Any]:
    """One admitted order, last updated on a day of January 2026."""
    whole: dict[str, Any] = {
        "order_id": order_id,
        "order_date": date(2026, 1, 2),
        "updated_at": datetime(2026, 1, day, tzinfo=UTC) if day else None,
        "customer_email": f"kb1.{order_id}",
        "quantity": 1,
        "weight": 0.5,
        "gift": False,
        "packed_at": None,
        "total_amount": Decimal("10.00"),
        "exact": Decimal("0.00001"),
        "customer_pseudonym": f"p-{order_id}",
        "kasbah_source": "csv",
        "kasbah_part": "orders.csv",
        "kasbah_position": 0,
        "kasbah_contract": "1.0.0",
    }
    return whole | values


def batch(rows: Sequence[dict[str, Any]], of: EnforcementPlan = PLAN) -> pa.RecordBatch:
    """Rows as the plan's output schema; each gets its place in the list as position unless it names one."""
    placed = [{**r, "kasbah_position": r.get("kasbah_position") or n} for n, r in enumerate(rows)]
    schema = of.output_schema()
    loose = pa.schema([pa.field(f.name, f.type) for f in schema])
    return pa.RecordBatch.from_pylist([{name: r.get(name) for name in schema.names} for r in placed], schema=loose)


def staged(warehouse: Any, run: str, batches: Iterable[Sequence[dict[str, Any]]], of: EnforcementPlan = PLAN) -> None:
    """Prepare, then stage each list of rows as a batch."""
    warehouse.prepare(of)
    with warehouse.stage(run, of) as writer:
        for number, rows in enumerate(batches):
            writer.write(number, batch(rows, of))


def publication(
    run: str, merged: Merged, files: tuple[LakeFile, ...] = (), of: EnforcementPlan = PLAN, **marks: datetime
) -> Publication:
    """What the flow would hand to publish."""
    return Publication(run, of.dataset, of.version, merged, marks, files, MOMENT)


def loaded(warehouse: Any, run: str, rows: Sequence[dict[str, Any]], of: EnforcementPlan = PLAN) -> Merged:
    """Stage, merge and publish in one go."""
    staged(warehouse, run, [rows], of)
    merged: Merged = warehouse.merge(run, of)
    warehouse.publish(publication(run, merged, of=of), of)
    warehouse.drop_stage(run, of)
    return merged


def stored(database: str, what: str = "*", table: str = "store.orders") -> list[tuple[Any, ...]]:
    """What stands in a table, in the order of its first column."""
    with psycopg.connect(database) as connection:
        connection.execute("SET timezone = 'UTC'")
        return connection.execute(
            sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.SQL(what), sql.SQL(table))
        ).fetchall()
