"""What a plan looks like as a Cassandra table: keyspace, names, CQL types, key; and how it is made so.

A record's version (microseconds since 1970) stands beside it in a column of ours, since CQL's timestamp counts
milliseconds: moments are cut to those.
"""

import re
from dataclasses import dataclass

import pyarrow as pa

from governance.adapters.cassandra.server import Row, Server
from governance.enforcement.plan import EnforcementPlan
from governance.errors import ContractError, SettingsError

VERSION = "kasbah_version"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")
_LONGEST_COLUMN = 200
_TYPES: dict[pa.DataType, str] = {
    pa.string(): "text",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.time64("us"): "time",
    pa.timestamp("us", tz="UTC"): "timestamp",
}
_ORDER = ("partition_key", "clustering")
_READ_COLUMNS = (
    "SELECT column_name, type, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?"
)


@dataclass(frozen=True)
class Column:
    """A column as the table has it."""

    name: str
    kind: pa.DataType
    required: bool

    @property
    def cql(self) -> str:
        """Its type, as `system_schema.columns` writes it."""
        return "decimal" if pa.types.is_decimal(self.kind) else _TYPES[self.kind]


@dataclass(frozen=True)
class Shape:
    """A plan's table. `key` are the columns of its partition key: the record's identity."""

    dataset: str
    keyspace: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def target(self) -> str:
        """The table, quoted."""
        return f"{quoted(self.keyspace)}.{quoted(self.table)}"

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """Those of the contract, then ours."""
        return (*self.columns, Column(VERSION, pa.int64(), True))

    @property
    def where(self) -> str:
        """The condition that names one record by its key's values."""
        return " AND ".join(f"{quoted(name)} = ?" for name in self.key)


def shape_of(plan: EnforcementPlan) -> Shape:
    """The table of a plan. Raises ContractError for a name that Cassandra doesn't take, or a record without identity.

    A keyspace's and a table's name are names of folders, hence letters, digits and underscores.
    """
    for name in (plan.system, plan.table):
        if not _NAME.fullmatch(name) or name.lower().startswith("system"):
            raise ContractError(
                f"{plan.dataset}: '{name}' can't name a keyspace or table in Cassandra: 1 to 48 letters, digits and "
                "underscores, beginning with a letter, and not with 'system'"
            )
    columns = tuple(Column(checked(one.name), one.type, not one.nullable) for one in plan.message_columns())
    missing = [name for name in plan.identity if name not in {one.name for one in columns}]
    if missing or not plan.identity:
        raise ContractError(
            f"{plan.dataset}: its records have no identity that is stored, so none could be found again"
        )
    return Shape(plan.dataset, plan.system, plan.table, columns, plan.identity)


def checked(name: str) -> str:
    """The name, if it is fit for a column. Raises ContractError."""
    if not name or len(name.encode()) > _LONGEST_COLUMN or not name.isprintable() or name.startswith("kasbah_"):
        raise ContractError(f"'{name}' can't name a column in Cassandra: printable, up to {_LONGEST_COLUMN} bytes")
    return name


def quoted(name: str) -> str:
    """An identifier, as it is written."""
    return '"' + name.replace('"', '""') + '"'


def make_table(server: Server, shape: Shape) -> None:
    """Make keyspace and table unless they are there; add columns that may be null (to an empty table any).

    Raises SettingsError where the stored table contradicts the plan.
    """
    server.ask(
        f"CREATE KEYSPACE IF NOT EXISTS {quoted(shape.keyspace)} WITH replication = "
        f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {int(server.replication)}}}"
    )
    columns = ", ".join(f"{quoted(one.name)} {one.cql}" for one in shape.all_columns)
    key = ", ".join(map(quoted, shape.key))
    server.ask(f"CREATE TABLE IF NOT EXISTS {shape.target} ({columns}, PRIMARY KEY (({key})))")
    stored = {row["column_name"]: row for row in server.ask(_READ_COLUMNS, (shape.keyspace, shape.table))}
    missing = [one for one in shape.all_columns if one.name not in stored]
    faults = _contradictions(shape, stored)
    if any(one.required for one in missing) and _has_rows(server, shape):
        faults += [
            f"column {one.name} is required now, and the rows that are there have none"
            for one in missing
            if one.required
        ]
    if faults:
        raise SettingsError(
            f"the table {shape.keyspace}.{shape.table} in Cassandra contradicts the contract: " + "; ".join(faults)
        )
    for one in missing:
        server.ask(f"ALTER TABLE {shape.target} ADD IF NOT EXISTS {quoted(one.name)} {one.cql}")
    if missing:
        server.forget_statements()


def stored_columns(server: Server, shape: Shape) -> dict[str, str]:
    """The columns that the table has now, and their types; none where there is no table."""
    found = server.ask(_READ_COLUMNS, (shape.keyspace, shape.table))
    return {row["column_name"]: row["type"] for row in found}


def _contradictions(shape: Shape, stored: dict[str, Row]) -> list[str]:
    faults = [
        f"column {one.name} is {stored[one.name]['type']}, the contract wants {one.cql}"
        for one in shape.all_columns
        if one.name in stored and stored[one.name]["type"] != one.cql
    ]
    keyed = [row for row in stored.values() if row["kind"] in _ORDER]
    keyed.sort(key=lambda row: (_ORDER.index(row["kind"]), row["position"]))
    key = tuple(row["column_name"] for row in keyed)
    if key != shape.key or any(row["kind"] != "partition_key" for row in keyed):
        faults.append(f"its key is ({', '.join(key)}), the contract's is (({', '.join(shape.key)}))")
    return faults


def _has_rows(server: Server, shape: Shape) -> bool:
    return bool(server.ask(f"SELECT {quoted(shape.key[0])} FROM {shape.target} LIMIT 1"))  # noqa: S608
