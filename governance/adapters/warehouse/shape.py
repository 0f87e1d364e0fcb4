"""What a plan looks like as a table: names, types, keys, and the statements that make it so."""

import hashlib
from dataclasses import dataclass

import pyarrow as pa
from psycopg import sql

from governance.adapters.warehouse.session import Connection
from governance.enforcement.plan import PART, POSITION, SOURCE, EnforcementPlan
from governance.errors import ContractError, SettingsError

STAGING = "kasbah_staging"
ROW = "kasbah_row"
"""Staged rows carry batch number * 2^32 + index in the batch, so that a narrow table can name them."""

_LONGEST = 63
_OURS = ("kasbah", STAGING, "kasbah_control", "information_schema")
_BARRED = frozenset('"%{}:\\')
_TYPES: dict[pa.DataType, sql.SQL] = {
    pa.string(): sql.SQL("text"),
    pa.int64(): sql.SQL("bigint"),
    pa.float64(): sql.SQL("double precision"),
    pa.bool_(): sql.SQL("boolean"),
    pa.date32(): sql.SQL("date"),
    pa.time64("us"): sql.SQL("time without time zone"),
    pa.timestamp("us", tz="UTC"): sql.SQL("timestamp with time zone"),
}


@dataclass(frozen=True)
class Column:
    """One column as the warehouse has it; `type` is spelt as `format_type` prints it."""

    name: str
    type: sql.SQL
    required: bool

    @property
    def definition(self) -> sql.Composable:
        """For CREATE TABLE or ADD COLUMN."""
        return sql.SQL("{} {}{}").format(
            sql.Identifier(self.name), self.type, sql.SQL(" NOT NULL") if self.required else sql.SQL("")
        )


@dataclass(frozen=True)
class Shape:
    """A plan's table. `key` are the stored columns by which rows are merged; `version` tells which of two is newer.

    A key field that isn't stored as itself is replaced by its subject's pseudonym: a token differs each time it is
    made, so no two of them can be compared. A dataset without a key has its rows' origin as one, and no version.
    """

    schema: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    version: str | None
    comment: str

    @property
    def target(self) -> sql.Identifier:
        """The published table."""
        return sql.Identifier(self.schema, self.table)

    @property
    def names(self) -> tuple[str, ...]:
        """Every column's name, in order."""
        return tuple(c.name for c in self.columns)


def shape_of(plan: EnforcementPlan) -> Shape:
    """The table of a plan. Raises ContractError for a key or version that can't be compared, or an unfit name."""
    key = _key(plan)
    columns = tuple(
        Column(checked(f.name), _sql_type(f.type), not f.nullable or f.name in key) for f in plan.output_schema()
    )
    if plan.system in _OURS or plan.system.startswith("pg_"):
        raise ContractError(f"{plan.dataset}: the system's name '{plan.system}' is a reserved schema")
    comment = f"{plan.dataset}, contract {plan.contract} {plan.version}"
    return Shape(checked(plan.system), checked(plan.table), columns, key, _version(plan), comment)


def _key(plan: EnforcementPlan) -> tuple[str, ...]:
    if not plan.key:
        return (SOURCE, PART, POSITION)
    pseudonyms = {s.entity: s.pseudonym_column for s in plan.subjects}
    found: list[str] = []
    for field in plan.key:
        column = plan.column(field)
        if column.protect == "clear":
            found.append(column.name)
        elif column.subject in pseudonyms:
            found.append(pseudonyms[column.subject])
        else:
            raise ContractError(
                f"{plan.dataset}: key field {field} is neither kept in clear nor about a subject, "
                "so rows can't be merged by it"
            )
    return tuple(dict.fromkeys(found))


def judged_columns(plan: EnforcementPlan, shape: Shape) -> tuple[str, ...]:
    """The stored columns that set rules may need: the key's, their fields', and the pseudonyms beside those."""
    pseudonyms = {s.entity: s.pseudonym_column for s in plan.subjects}
    found = list(shape.key)
    for field in (f for rule in plan.set_rules for f in rule.fields):
        for column in (c for c in plan.columns if c.field == field):
            found += [column.name] if column.stored else []
            found += [pseudonyms[column.subject]] if column.subject in pseudonyms else []
    return tuple(dict.fromkeys(found))


def _version(plan: EnforcementPlan) -> str | None:
    if plan.version_field is None or not plan.key:
        return None
    column = plan.column(plan.version_field)
    if column.protect != "clear":
        raise ContractError(f"{plan.dataset}: {column.field} tells which row is newer, so it must be kept in clear")
    return column.name


def _sql_type(kind: pa.DataType) -> sql.SQL:
    if pa.types.is_decimal(kind):
        return sql.SQL(f"numeric({int(kind.precision)},{int(kind.scale)})")
    return _TYPES[kind]


def checked(name: str) -> str:
    """The name, if it is fit for PostgreSQL as it stands: at most 63 bytes (a longer one is silently cut), printable,
    and without the characters that mean something to the templates it passes through. Raises ContractError."""
    if not name or len(name.encode()) > _LONGEST or not name.isprintable() or _BARRED & set(name):
        raise ContractError(
            f"'{name}' can't name a table or column in the warehouse: it takes 1 to {_LONGEST} bytes, "
            f"printable, without {' '.join(sorted(_BARRED))}"
        )
    return name


def stage_name(run: str, plan: EnforcementPlan, part: str) -> str:
    """The name of a run's staging relation: bounded, the same each time, apart for any two runs or tables."""
    told = "\0".join((run, plan.system, plan.table)).encode()
    readable = "".join(c if c.isascii() and c.isalnum() else "_" for c in plan.table)[:20]
    return f"{readable}_{hashlib.blake2b(told, digest_size=12).hexdigest()}__{part}"


def make_table(connection: Connection, shape: Shape) -> None:
    """Make the system's schema and the table unless they are there, and bring an older table up to the plan.

    Added are columns that may be null (in an empty table any column); relaxed is NOT NULL where the plan allows nulls
    now. Raises SettingsError where the stored table contradicts the plan.
    """
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(shape.schema)))
    connection.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))").format(
            shape.target, sql.SQL(", ").join(c.definition for c in shape.columns), listed(shape.key)
        )
    )
    _reconcile(connection, shape)
    comment = sql.SQL("COMMENT ON TABLE {} IS {}")
    connection.execute(comment.format(shape.target, sql.Literal(shape.comment)))


def listed(names: tuple[str, ...], alias: str | None = None) -> sql.Composable:
    """Quoted names with commas between, each behind the alias if there is one."""
    return sql.SQL(", ").join(sql.Identifier(alias, n) if alias else sql.Identifier(n) for n in names)


_COLUMNS = sql.SQL(
    """SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              COALESCE(array_position(k.conkey, a.attnum), 0)
       FROM pg_attribute a LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
       WHERE a.attrelid = to_regclass({})::oid AND a.attnum > 0 AND NOT a.attisdropped"""
)


def _reconcile(connection: Connection, shape: Shape) -> None:
    stored = {
        name: (kind, required, place)
        for name, kind, required, place in connection.execute(
            _COLUMNS.format(sql.Literal(shape.target.as_string()))
        ).fetchall()
    }
    faults = _contradictions(shape, stored)
    missing = [c for c in shape.columns if c.name not in stored]
    if any(c.required for c in missing) and _has_rows(connection, shape):
        faults += [
            f"column {c.name} is required now, and the rows that are there have none" for c in missing if c.required
        ]
    if faults:
        raise SettingsError(f"the table {shape.schema}.{shape.table} contradicts the contract: " + "; ".join(faults))
    alter = sql.SQL("ALTER TABLE {} ").format(shape.target)
    for column in missing:
        connection.execute(alter + sql.SQL("ADD COLUMN ") + column.definition)
    for column in shape.columns:
        if column.name in stored and stored[column.name][1] and not column.required:
            connection.execute(alter + sql.SQL("ALTER COLUMN {} DROP NOT NULL").format(sql.Identifier(column.name)))


def _contradictions(shape: Shape, stored: dict[str, tuple[str, bool, int]]) -> list[str]:
    faults = []
    for column in shape.columns:
        if column.name not in stored:
            continue
        kind, required, _ = stored[column.name]
        if kind != column.type.as_string():
            faults.append(f"column {column.name} is {kind}, the contract wants {column.type.as_string()}")
        if column.required and not required:
            faults.append(f"column {column.name} may be null, the contract requires it")
    wanted = set(shape.names)
    faults += [
        f"column {n} is required but the contract has none" for n, c in stored.items() if c[1] and n not in wanted
    ]
    key = tuple(n for n, c in sorted(stored.items(), key=lambda item: item[1][2]) if c[2])
    if key != shape.key:
        faults.append(f"its key is ({', '.join(key)}), the contract's is ({', '.join(shape.key)})")
    return faults


def _has_rows(connection: Connection, shape: Shape) -> bool:
    found = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(shape.target)).fetchone()
    return bool(found and found[0])
