"""What a contract compiles to: pure data, printable as JSON, the only thing that `enforce` reads.

`compile_plan` refuses nothing that `contract check` accepts, and takes nothing that it refuses.
"""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from governance.contracts.types import (
    UNDECLARED_SHARE,
    Contract,
    Dataset,
    Field,
    LogicalType,
    OnCannotTell,
    OnFinding,
    Protect,
    Scan,
)
from governance.enforcement.stream_plan import (
    SKEW_SECONDS,
    AggregatePlan,
    TopicPlan,
    aggregates_of,
    identity_of,
    is_stream,
    oldest_days,
    topic_of,
)
from governance.errors import ContractError
from governance.pii.scanner import FieldScan, ScanPlan

SOURCE, PART, POSITION, VERSION = "kasbah_source", "kasbah_part", "kasbah_position", "kasbah_contract"
"""Columns that every governed row carries: where it came from and the contract version that let it through."""

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "time": pa.time64("us"),
}
_WORD = re.compile(r"[A-Z]{2,}(?![a-z])|[^\W\d_][^\W\d_A-Z]*")
_SOMETHING = "ID"
"""What a person's own value is called of which the contract doesn't say what it is."""
_DECIMAL = re.compile(r"^(?:decimal|numeric)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)$", re.IGNORECASE)


@dataclass(frozen=True)
class ColumnPlan:
    """One field. `type` is a word of `arrow_type`; `stored_type` what the sink sees. `subject` is the entity it is
    about.
    """

    field: str
    name: str
    type: str
    required: bool
    protect: str
    subject: str | None
    pii: str | None
    scan: str
    on_finding: str
    source_names: dict[str, tuple[str, ...]]
    formats: dict[str, tuple[str, ...]]
    derive: dict[str, Any] | None = None
    reason: str | None = None

    @property
    def stored(self) -> bool:
        """Whether the field reaches a store as a column of its own (a pseudonymised key lives on as the pseudonym)."""
        return self.protect not in (Protect.DROP, Protect.PSEUDONYMISE)

    @property
    def in_clear(self) -> bool:
        """Whether its cells are stored as they are."""
        return self.stored and self.protect == Protect.CLEAR

    @property
    def stored_type(self) -> str:
        """The type in the sink: a token or a mask is text."""
        return self.type if self.protect == Protect.CLEAR else "string"

    def names_in(self, source: str) -> tuple[str, ...]:
        """The names this field may have in a source, in the order they are tried."""
        return self.source_names.get(source) or self.source_names.get("*") or (self.name,)

    def formats_in(self, source: str) -> tuple[str, ...]:
        """The declared forms of this field's values in a source."""
        return self.formats.get(source) or self.formats.get("*") or ()


@dataclass(frozen=True)
class SubjectPlan:
    """A person in the row. `keys` are (field id, normaliser) in deciding order."""

    entity: str
    keys: tuple[tuple[str, str], ...]
    fields: tuple[str, ...]
    pseudonym_column: str
    born: str | None = None
    minimum_age: int | None = None


@dataclass(frozen=True)
class RulePlan:
    """A rule on one row (`enforcement.quality`) or on a set of rows (the quality gate)."""

    name: str
    rule: str
    fields: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourcePlan:
    """What enforcement must know of a source: the texts that mean null there, whether texts are trimmed, and which
    columns (or paths, with all below them) are dropped before anything looks at them.
    """

    name: str
    nulls: tuple[str, ...]
    trim: bool
    ignore: tuple[str, ...] = ()

    def ignores(self, column: str) -> bool:
        """Whether a column of the source is one of those, or stands below one."""
        return any(column == path or column.startswith(f"{path}.") for path in self.ignore)


@dataclass(frozen=True)
class EnforcementPlan:
    """Everything enforcement needs, and nothing else.

    `scanned` are the fields whose cells are searched because they are stored in clear; `admit_unscanned` names those
    for which cannot-tell may pass: a stated gap, shown in every report. `undeclared_share` (0 to 1) is what a column's
    cells with undeclared personal data may be of those read, before the scan gate blocks publication.

    What streams need: `identity` are the columns, by name, that name a record; `oldest_days` is how old a record may
    be by its `record_date` before it is refused, `skew_seconds` how far its `version_field` may be ahead of the clock
    before it is quarantined (None: not asked).
    """

    dataset: str
    contract: str
    version: str
    system: str
    table: str
    columns: tuple[ColumnPlan, ...]
    subjects: tuple[SubjectPlan, ...]
    row_rules: tuple[RulePlan, ...]
    set_rules: tuple[RulePlan, ...]
    sources: tuple[SourcePlan, ...]
    key: tuple[str, ...]
    version_field: str | None
    record_date: str | None
    scanned: tuple[str, ...]
    admit_unscanned: tuple[str, ...]
    quarantine_days: int = 30
    scan: ScanPlan = field(default_factory=ScanPlan)
    undeclared_share: float = UNDECLARED_SHARE
    sinks: tuple[str, ...] = ()
    topic: TopicPlan | None = None
    raw_topics: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    oldest_days: int | None = None
    skew_seconds: int | None = None
    aggregates: tuple[AggregatePlan, ...] = ()
    smallest_group: int = 5

    def column(self, field_id: str) -> ColumnPlan:
        """The plan of one field."""
        return next(c for c in self.columns if c.field == field_id)

    def source(self, name: str) -> SourcePlan:
        """The plan of one source; a source without one has no null texts but the empty one."""
        return next((s for s in self.sources if s.name == name), SourcePlan(name, ("",), True))

    @property
    def has_minimum_age(self) -> bool:
        """Whether some subject must have reached an age."""
        return any(s.minimum_age is not None for s in self.subjects)

    @property
    def is_stream(self) -> bool:
        """Whether its records arrive one by one at a sink that a stream fills."""
        return is_stream(self.sinks)

    def message_columns(self) -> pa.Schema:
        """What a governed message holds, by name: the stored fields, then the pseudonyms."""
        fields = [pa.field(c.name, arrow_type(c.stored_type), not c.required) for c in self.columns if c.stored]
        return pa.schema([*fields, *(pa.field(s.pseudonym_column, pa.string()) for s in self.subjects)])

    def output_schema(self) -> pa.Schema:
        """The schema of admitted rows: what a message holds, and the origin columns."""
        fields = list(self.message_columns())
        fields += [pa.field(n, pa.string(), nullable=False) for n in (SOURCE, PART)]
        fields += [pa.field(POSITION, pa.int64(), nullable=False), pa.field(VERSION, pa.string(), nullable=False)]
        return pa.schema(fields)

    def to_json(self) -> str:
        """Stable, indented JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()


def arrow_type(word: str) -> pa.DataType:
    """The Arrow type of a plan's type word: `string`, `int64`, …, `decimal(12,2)`. Raises ContractError."""
    if word in _TYPES:
        return _TYPES[word]
    match = _DECIMAL.match(word)
    if match and 1 <= int(match[1]) <= 38 and int(match[2] or 0) <= int(match[1]):
        return pa.decimal128(int(match[1]), int(match[2] or 0))
    raise ContractError(
        "a type must be string, int64, double, bool, date, timestamp, time or decimal(p,s) with p up to 38"
    )


def compile_plan(dataset: Dataset, contract: Contract) -> EnforcementPlan:
    """Compile a checked dataset. Raises ContractError where a field has no rule."""
    about = {f: s.entity for s in dataset.subjects for f in s.fields}
    columns = tuple(_column(f, about.get(f.id)) for f in dataset.fields)
    clear = tuple(f for f, c in zip(dataset.fields, columns, strict=True) if c.in_clear and f.scanned_by != Scan.NONE)
    rules = tuple(RulePlan(q.name, q.rule, q.fields, q.arguments) for q in dataset.quality if q.kind == "row")
    limits = tuple(rule for f in dataset.fields for rule in _limits(f))
    return EnforcementPlan(
        dataset=dataset.id,
        contract=contract.id,
        version=contract.version,
        system=contract.id.split(".")[0],
        table=dataset.name,
        columns=columns,
        subjects=tuple(
            SubjectPlan(
                s.entity,
                tuple((k.field, str(k.rule)) for k in s.keys),
                s.fields,
                s.pseudonym_column,
                s.born,
                s.minimum_age,
            )
            for s in dataset.subjects
        ),
        row_rules=limits + rules,
        set_rules=tuple(RulePlan(q.name, q.rule, q.fields, q.arguments) for q in dataset.quality if q.kind == "set"),
        sources=tuple(SourcePlan(s.name, s.nulls, s.trim, s.ignore) for s in dataset.sources),
        key=tuple(f.id for f in dataset.primary_key),
        version_field=dataset.updated_at,
        record_date=dataset.record_date,
        scanned=tuple(f.id for f in clear),
        admit_unscanned=tuple(f.id for f in clear if f.on_cannot_tell is OnCannotTell.ADMIT),
        quarantine_days=dataset.quarantine_retention_days,
        scan=_scan_plan(dataset, columns, clear),
        undeclared_share=dataset.scanning.undeclared_share,
        sinks=dataset.sinks,
        topic=topic_of(dataset),
        raw_topics=tuple(topic.topic for topic in dataset.topics if topic.raw),
        identity=identity_of(dataset),
        oldest_days=oldest_days(dataset),
        skew_seconds=SKEW_SECONDS if is_stream(dataset.sinks) else None,
        aggregates=aggregates_of(dataset),
        smallest_group=dataset.smallest_group,
    )


def _scan_plan(dataset: Dataset, columns: tuple[ColumnPlan, ...], clear: tuple[Field, ...]) -> ScanPlan:
    """A row's own values are those of its personal fields that aren't stored in clear: of the others the contract says
    that they single nobody out.
    """
    scanning = dataset.scanning
    own = {c.field: c.pii or _SOMETHING for c in columns if not c.in_clear and (c.pii or c.subject)}
    return ScanPlan(
        entities=scanning.entities,
        countries=scanning.countries,
        threshold=scanning.threshold,
        thresholds=scanning.thresholds,
        fields=tuple(
            FieldScan(
                f.id,
                text=f.scanned_by is Scan.TEXT,
                redact=f.on_finding is OnFinding.REDACT,
                context=context_of(f.name, f.description),
                declared=(f.pii,) if f.pii else (),
            )
            for f in clear
        ),
        own=own,
    )


def context_of(*texts: str) -> tuple[str, ...]:
    """The words of a field's name and description, in small letters, each once; then each text of several words as
    phrases, since an entity may be known by one ("national insurance", "steuer-id").
    """
    words = [[word.lower() for word in _WORD.findall(text)] for text in texts]
    apart = [word for some in words for word in some]
    several = [(text, some) for text, some in zip(texts, words, strict=True) if len(some) > 1]
    phrases = [phrase for text, some in several for phrase in (" ".join(some), "-".join(some), text.lower())]
    return tuple(dict.fromkeys((*apart, *phrases)))


def _column(one: Field, subject: str | None) -> ColumnPlan:
    protect = one.protect or (Protect.CLEAR if subject is None and one.pii is None else None)
    if protect is None:
        raise ContractError(f"{one.where}: field {one.id} is personal data but no 'protect' rule says how it is kept")
    return ColumnPlan(
        field=one.id,
        name=one.name,
        type=_type_word(one),
        required=one.required or one.primary_key_position is not None,
        protect=str(protect),
        subject=subject,
        pii=one.pii,
        scan=str(one.scanned_by),
        on_finding=str(one.on_finding),
        source_names=one.source_names,
        formats=one.source_formats,
        derive=None if one.derive is None else asdict(one.derive),
        reason=one.reason,
    )


def _type_word(one: Field) -> str:
    if one.logical_type is LogicalType.NUMBER:
        physical = (one.physical_type or "double").strip().lower()
        return physical if _DECIMAL.match(physical) else "double"
    words = {
        LogicalType.INTEGER: "int64",
        LogicalType.BOOLEAN: "bool",
        LogicalType.DATE: "date",
        LogicalType.TIMESTAMP: "timestamp",
        LogicalType.TIME: "time",
    }
    return words.get(one.logical_type, "string")


def _limits(one: Field) -> list[RulePlan]:
    """The ODCS options of a field, as row rules."""
    rules = []
    if one.enum:
        rules.append(RulePlan(f"{one.id}_in_set", "in_set", (one.id,), {"values": list(one.enum)}))
    bounds: dict[str, Any] = {
        k: one.options[k] for k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if k in one.options
    }
    if bounds:
        rules.append(RulePlan(f"{one.id}_between", "between", (one.id,), bounds))
    lengths: dict[str, Any] = {k: one.options[k] for k in ("minLength", "maxLength") if k in one.options}
    if lengths:
        rules.append(RulePlan(f"{one.id}_length", "length", (one.id,), lengths))
    if "pattern" in one.options:
        rules.append(RulePlan(f"{one.id}_matches", "matches", (one.id,), {"pattern": one.options["pattern"]}))
    return rules
