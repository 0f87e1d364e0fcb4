"""A contract, parsed: what the YAML says, as types. Everything below trusts these.

`load.py` makes them from ODCS v3.1.0 files and `check.py` refuses those that would break a promise.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

UNDECLARED_SHARE = 0.01
"""Unless the contract says: single findings are held and go no further, a column of them is a mistake to mend first."""


class LogicalType(StrEnum):
    """The ODCS logical types."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time"
    OBJECT = "object"
    ARRAY = "array"


class Protect(StrEnum):
    """What happens to a cell before its first write."""

    CLEAR = "clear"
    ENCRYPT = "encrypt"
    PSEUDONYMISE = "pseudonymise"
    MASK = "mask"
    DROP = "drop"


class Scan(StrEnum):
    """How a cell that stays in clear is searched for undeclared personal data."""

    TEXT = "text"
    PATTERN = "pattern"
    NONE = "none"


class OnFinding(StrEnum):
    """What happens to a row, or a span, in which undeclared personal data is found."""

    QUARANTINE = "quarantine"
    REDACT = "redact"


class OnCannotTell(StrEnum):
    """What happens to a row with a cell of which nobody can tell whether it holds personal data."""

    QUARANTINE = "quarantine"
    ADMIT = "admit"


class KeyRule(StrEnum):
    """How a key value is normalised before it is digested. A value that doesn't fit its rule is no alias."""

    EMAIL = "email"
    PHONE = "phone"
    IDENTIFIER = "identifier"


@dataclass(frozen=True)
class Line:
    """Where a thing stands: file and 1-based line."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Derive:
    """One computation of the closed set: `age_in_years`, `email_domain`, `year`, `concat`, `constant`,
    `range_lowest`, `range_highest`, `band`.

    `inputs` are field ids. `separator` is used by concat only, `value` by constant only. A band has its upper limits
    in rising order (a value equal to one is still below it), and one label more than limits.
    """

    kind: str
    inputs: tuple[str, ...]
    separator: str = " "
    value: str | None = None
    limits: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Field:
    """One column. `id` is stable and never renamed; `name` is the column's name in our stores.

    `source_names` maps a server (source) name, or `*`, to the names the column has there, tried in order.
    A name may be a dotted path into nested records (`location.street.name`). `source_formats` maps a server name or `*`
    to the form a date, timestamp or number is written in there (see `enforcement.convert`).
    """

    id: str
    name: str
    logical_type: LogicalType
    where: Line
    physical_type: str | None = None
    description: str = ""
    required: bool = False
    unique: bool = False
    primary_key_position: int | None = None
    classification: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    enum: tuple[str, ...] = ()
    pii: str | None = None
    protect: Protect | None = None
    scan: Scan | None = None
    on_finding: OnFinding = OnFinding.QUARANTINE
    on_cannot_tell: OnCannotTell = OnCannotTell.QUARANTINE
    source_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    source_formats: dict[str, tuple[str, ...]] = field(default_factory=dict)
    derive: Derive | None = None
    reason: str | None = None
    transform_sources: tuple[str, ...] = ()
    transform_logic: str | None = None
    relationships: tuple[str, ...] = ()
    quality: tuple["Quality", ...] = ()
    lines: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_free_text(self) -> bool:
        """A string that neither an enum, nor a pattern, nor a reference, nor the contract's own words make a code."""
        constant = self.derive is not None and self.derive.kind in ("constant", "band")
        coded = bool(self.enum) or "pattern" in self.options or bool(self.relationships) or constant
        return self.logical_type is LogicalType.STRING and not coded

    @property
    def scanned_by(self) -> Scan:
        """How its cells are searched: as the contract says, else free text as text, anything else for patterns."""
        return self.scan or (Scan.TEXT if self.is_free_text else Scan.PATTERN)


@dataclass(frozen=True)
class SubjectKey:
    """One field of a subject key, with its normaliser."""

    field: str
    rule: KeyRule


@dataclass(frozen=True)
class Subject:
    """A person a row speaks of. `entity` has at most 16 bytes; `keys` in the order in which they decide.

    `fields` are the field ids that are about this person (its keys included). `born` is the field id of the birth date.
    `pseudonym` is, in a dataset derived from governed ones, the field that carries the pseudonym: such a subject has no
    keys. `lines` (here and below) says on which line a term stands.
    """

    entity: str
    keys: tuple[SubjectKey, ...]
    fields: tuple[str, ...]
    where: Line
    born: str | None = None
    minimum_age: int | None = None
    belongs_to: str | None = None
    pseudonym: str | None = None
    lines: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def pseudonym_column(self) -> str:
        """The output column that carries this subject's pseudonym."""
        return f"{self.entity}_pseudonym"


@dataclass(frozen=True)
class Quality:
    """One rule of the contract's `quality`.

    kind `row`: a condition on one row, vectorised (`rule`: net_of, unit_price, difference, not_negative, between,
    in_set, matches, not_after; see `enforcement.quality`). kind `set`: a condition on the staged table (`rule`:
    unique, row_count, reference, null_share, mean_between, …), compiled into Great Expectations.
    """

    name: str
    kind: Literal["row", "set"]
    rule: str
    fields: tuple[str, ...]
    where: Line
    arguments: dict[str, Any] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True)
class Source:
    """A server of the contract that data comes from. `location` may be replaced in the settings, by name.

    `format`: csv | json | ndjson | api | sql | parquet | kafka (a raw topic, whose name is the location). `nulls` are
    the texts that mean null there. `records` is the dotted path to the list of records in a JSON document or API page
    (empty: the document is the list). `updated_field` is the column, as named at the source, that incremental reads ask
    for. `trim` strips the outer white space of texts. An API that counts its pages names the parameter for the number
    in `page_parameter`, and has no cursor then; `size_parameter` asks for `page_size` records. What stands in `ignore`
    (a column, or a path with all below it) is dropped before anything looks at it.
    """

    name: str
    format: str
    location: str
    where: Line
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str | None = '"'
    nulls: tuple[str, ...] = ("",)
    records: str = ""
    columns: tuple[str, ...] = ()
    cursor_parameter: str = "cursor"
    next_path: str = "next"
    page_size: int = 500
    page_parameter: str | None = None
    first_page: int = 1
    size_parameter: str = "limit"
    updated_parameter: str | None = None
    table: str | None = None
    updated_field: str | None = None
    trim: bool = True
    ignore: tuple[str, ...] = ()
    raw: bool = False
    retention: str | None = None
    lines: dict[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Topic:
    """A Kafka topic of the contract. `raw` topics are sources that others write; `retention` is an ISO 8601 period.

    `name` is the server's, `topic` what the brokers call it: the same unless the contract says otherwise. `host` is
    where the brokers are, unless the settings say.
    """

    name: str
    where: Line
    compacted: bool = False
    raw: bool = False
    retention: str | None = None
    topic: str = ""
    partitions: int = 1
    host: str = ""
    lines: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Call it as the server is called, if nothing else is said."""
        object.__setattr__(self, "topic", self.topic or self.name)


@dataclass(frozen=True)
class Scanning:
    """What a dataset's cells are searched for (see `entities.searched_for` for what none named means).

    A match counts from its entity's score in `thresholds` on, else from `threshold` on (0 to 1). `undeclared_share`
    (0 to 1) is what the cells with undeclared personal data may be of a column's before nothing is published.
    """

    entities: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    threshold: float = 0.4
    thresholds: dict[str, float] = field(default_factory=dict)
    undeclared_share: float = UNDECLARED_SHARE

    def least(self, entity: str) -> float:
        """The least score that counts for an entity."""
        return self.thresholds.get(entity, self.threshold)


@dataclass(frozen=True)
class Aggregate:
    """People counted by the fields `by` (all of them together where it is empty), with the mean of a field, to `digits`
    places. `width` is for a histogram: how many whole numbers of the one field in `by` are a group.
    """

    name: str
    where: Line
    by: tuple[str, ...] = ()
    mean: str | None = None
    width: int | None = None
    digits: int = 1


@dataclass(frozen=True)
class Dataset:
    """One schema object of a contract. `id` is `<contract id>/<schema id>`; `name` the table's.

    `retention` and `latency` are ISO 8601 periods (`P7Y`, `PT24H`). A dataset without sources is derived from governed
    ones.
    """

    id: str
    name: str
    where: Line
    fields: tuple[Field, ...]
    subjects: tuple[Subject, ...]
    quality: tuple[Quality, ...]
    sources: tuple[Source, ...]
    purpose: str | None = None
    legal_basis: str | None = None
    erasure: Literal["shred", "delete"] | None = None
    after_erasure: Literal["suppress", "forget"] | None = None
    aggregate_only: bool = False
    smallest_group: int = 5
    record_date: str | None = None
    retention: str | None = None
    latency: str | None = None
    quarantine_retention_days: int = 30
    overlap_hours: int = 0
    updated_at: str | None = None
    sinks: tuple[str, ...] = ()
    description: str = ""
    topics: tuple[Topic, ...] = ()
    scanning: Scanning = field(default_factory=Scanning)
    aggregates: tuple[Aggregate, ...] = ()
    lines: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    def field(self, field_id: str) -> Field:
        """The field with this id. Raises KeyError: `check` has seen to it that references exist."""
        for one in self.fields:
            if one.id == field_id:
                return one
        raise KeyError(field_id)

    @property
    def governed_topic(self) -> Topic | None:
        """The topic that its governed records go through; None where it has none (`check` refuses a second)."""
        return next((topic for topic in self.topics if not topic.raw), None)

    @property
    def batch_sources(self) -> tuple[Source, ...]:
        """The sources that end, so that a load can read all of them; a raw topic goes on and on."""
        return tuple(source for source in self.sources if source.format != "kafka")

    @property
    def primary_key(self) -> tuple[Field, ...]:
        """The fields of the primary key, in order."""
        keyed = [f for f in self.fields if f.primary_key_position is not None]
        return tuple(sorted(keyed, key=lambda f: f.primary_key_position or 0))


@dataclass(frozen=True)
class Role:
    """An ODCS role."""

    name: str
    access: str = "read"
    description: str = ""
    where: Line | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Contract:
    """One contract file."""

    id: str
    name: str
    version: str
    status: str
    file: str
    datasets: tuple[Dataset, ...]
    roles: tuple[Role, ...] = ()
    team: tuple[str, ...] = ()
    description: str = ""
    lines: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def system(self) -> str:
        """What stands before the first dot of the id: the schema its tables are in."""
        return self.id.split(".", maxsplit=1)[0]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a contract: where, what, and the nearest valid word if there is one."""

    where: Line
    code: str
    message: str
    field: str | None = None
    nearest: str | None = None

    def __str__(self) -> str:
        subject = f" field {self.field}:" if self.field else ""
        hint = f" Did you mean '{self.nearest}'?" if self.nearest else ""
        return f"{self.where}:{subject} {self.message}{hint}"
