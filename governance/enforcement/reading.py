"""A source's batch, read as the contract declares it: names, types, derived fields."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.convert import convert
from governance.enforcement.derive import derive
from governance.enforcement.plan import POSITION, ColumnPlan, EnforcementPlan, arrow_type
from governance.model.clock import Clock

_SOURCE, _PART = b"kasbah.source", b"kasbah.part"
_RANGES = ("range_lowest", "range_highest")


@dataclass(frozen=True)
class Origin:
    """Where a batch comes from: the source's name, the part of it (file, page, table) and each row's position there."""

    source: str
    part: str
    positions: np.ndarray


def with_origin(records: pa.RecordBatch, source: str, part: str, positions: pa.Array) -> pa.RecordBatch:
    """The batch as `enforce` takes it: positions as a column, source and part in the schema's metadata. A column of the
    source that is called as ours is gets another name, under which nobody declared it.
    """
    if POSITION in records.schema.names:
        records = records.rename_columns([f"{n}_" if n == POSITION else n for n in records.schema.names])
    named = records.append_column(POSITION, positions.cast(pa.int64()))
    return named.replace_schema_metadata({_SOURCE: source.encode(), _PART: part.encode()})


def origin_of(batch: pa.RecordBatch) -> Origin:
    """Read it back; a batch without origin is at positions 0, 1, … of the unnamed part of source `batch`."""
    metadata = batch.schema.metadata or {}
    place = batch.schema.get_field_index(POSITION)
    positions = batch.column(place).to_numpy(zero_copy_only=False) if place >= 0 else np.arange(batch.num_rows)
    return Origin(metadata.get(_SOURCE, b"batch").decode(), metadata.get(_PART, b"").decode(), positions)


def without_ignored(batch: pa.RecordBatch, plan: EnforcementPlan) -> pa.RecordBatch:
    """The batch without the columns that the contract has dropped unread; they aren't sealed into a held row either."""
    source = plan.source(origin_of(batch).source)
    kept = [place for place, name in enumerate(batch.schema.names) if not source.ignores(name)]
    return batch if len(kept) == batch.num_columns else batch.select(kept)


@dataclass
class Reading:
    """Columns by field id in their declared types. `failed` has the rows whose cell doesn't fit; `unknown` are
    columns that nobody declared (by name)."""

    origin: Origin
    values: dict[str, pa.Array] = field(default_factory=dict)
    failed: dict[str, np.ndarray] = field(default_factory=dict)
    unknown: dict[str, pa.Array] = field(default_factory=dict)


def read(batch: pa.RecordBatch, plan: EnforcementPlan, clock: Clock) -> Reading:
    """Convert every declared field of the batch, then derive. A field that the batch lacks is null."""
    reading = Reading(origin_of(batch))
    used = {POSITION}
    for column in plan.columns:
        if column.derive is None:
            _read_column(batch, plan, column, reading, used)
    today = clock().date()
    for column in _in_order(plan):
        rule = column.derive or {}
        inputs = [reading.values[name] for name in rule["inputs"]]
        derived = derive(rule, inputs, column.type, batch.num_rows, today)
        reading.values[column.field] = derived
        if rule["kind"] in _RANGES:
            _fail_unread(reading, rule["inputs"][0], derived)
    reading.unknown = {n: batch.column(i) for i, n in enumerate(batch.schema.names) if n not in used}
    return reading


def _fail_unread(reading: Reading, field: str, derived: pa.Array) -> None:
    """A text that is no range fails where it stands: it isn't of the form that the contract reads."""
    unread = reading.values[field].is_valid().to_numpy(zero_copy_only=False)
    unread &= ~derived.is_valid().to_numpy(zero_copy_only=False)
    reading.failed[field] = reading.failed.get(field, np.zeros(len(derived), dtype=bool)) | unread


def _in_order(plan: EnforcementPlan) -> list[ColumnPlan]:
    """Derived columns, each after the derived ones it needs (`contract check` has refused cycles)."""
    waiting = [c for c in plan.columns if c.derive]
    ordered: list[ColumnPlan] = []
    while waiting:
        names = {c.field for c in waiting}
        ready = [c for c in waiting if not names & set((c.derive or {})["inputs"])]
        ordered += ready
        waiting = [c for c in waiting if c not in ready]
    return ordered


def _read_column(
    batch: pa.RecordBatch, plan: EnforcementPlan, column: ColumnPlan, reading: Reading, used: set[str]
) -> None:
    """The first of the names that holds a value, row by row where several are present (a street may be text or a
    record).
    """
    source = plan.source(reading.origin.source)
    names = [n for n in column.names_in(source.name) if batch.schema.get_field_index(n) >= 0]
    used.update(names)
    target = arrow_type(column.type)
    values, failed = pa.nulls(batch.num_rows, target), np.zeros(batch.num_rows, dtype=bool)
    for name in names:
        one = convert(batch.column(name), column.type, column.formats_in(source.name), source.nulls, trim=source.trim)
        if values.null_count == len(values) and not failed.any():
            values, failed = one.values, one.failed
        else:
            empty = ~values.is_valid().to_numpy(zero_copy_only=False) & ~failed
            values = pc.if_else(pa.array(empty), one.values, values)
            failed = failed | (one.failed & empty)
    reading.values[column.field], reading.failed[column.field] = values, failed
