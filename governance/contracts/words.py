"""The closed vocabularies of a contract, and the nearest valid word for a misspelt one."""

import difflib
from collections.abc import Iterable

FIELD_TERMS = (
    "pii",
    "protect",
    "scan",
    "onFinding",
    "onCannotTell",
    "sourceNames",
    "sourceFormats",
    "derive",
    "enum",
    "reason",
)
"""Custom properties of a field."""

DATASET_TERMS = (
    "subjects",
    "purpose",
    "legalBasis",
    "erasure",
    "afterErasure",
    "aggregateOnly",
    "recordDate",
    "updatedAt",
    "overlapHours",
    "quarantineRetentionDays",
    "sinks",
    "scanning",
    "aggregates",
)
"""Custom properties of a dataset."""

AGGREGATE_TERMS = ("name", "by", "mean", "width", "digits")

SERVER_TERMS = (
    "dataset",
    "nulls",
    "records",
    "columns",
    "table",
    "cursorParameter",
    "nextPath",
    "pageSize",
    "pageParameter",
    "firstPage",
    "sizeParameter",
    "updatedParameter",
    "updatedField",
    "trim",
    "quote",
    "delimiter",
    "encoding",
    "ignore",
    "raw",
    "retention",
    "compacted",
    "topic",
    "partitions",
)
"""Custom properties of a server."""

SCANNING_TERMS = ("entities", "countries", "threshold", "thresholds", "undeclaredShare")
"""What `scanning` may say: what cells are searched for, from which score on a match counts (0 to 1; each entity may
have its own), and which share of a column's cells may be undeclared before the load is blocked."""

SUBJECT_TERMS = ("entity", "key", "fields", "born", "minimumAge", "belongsTo", "pseudonym")
DERIVE_KINDS = {
    "age_in_years": (1, 1),
    "email_domain": (1, 1),
    "year": (1, 1),
    "concat": (1, 32),
    "range_lowest": (1, 1),
    "range_highest": (1, 1),
    "band": (1, 1),
    "constant": (0, 0),
}
"""What may be computed, and from how many fields."""

STREAM_SINKS = ("kafka", "elasticsearch", "cassandra", "mongodb")
"""Where records arrive one by one, for as long as the stream runs."""
SINKS = ("warehouse", "lake", *STREAM_SINKS)
FORMATS = ("csv", "json", "ndjson", "parquet")
LEGAL_BASES = (
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
)
"""Article 6 (1) GDPR, a to f."""

ACCESS = ("read", "write", "reveal")
"""What a role may do: read what is stored, write it, or have protected cells decrypted (each time audited)."""

STATUSES = ("proposed", "draft", "active", "deprecated", "retired")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, upper and lower case apart; None if none is near."""
    by_lower = {k.lower(): k for k in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None
