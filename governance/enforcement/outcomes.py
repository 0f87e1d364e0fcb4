"""A row's only three outcomes, and the closed list of reasons."""

from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from governance.pii.counts import ColumnCounts
from governance.pii.scanner import Finding


class Reason(StrEnum):
    """Why a row was not admitted. Never a value, never free text."""

    TYPE = "type"
    REQUIRED = "required"
    RULE = "rule"
    NO_SUBJECT_KEY = "no_subject_key"
    FINDING = "finding"
    CANNOT_TELL = "cannot_tell"
    MALFORMED = "malformed"
    UNDERAGE = "underage"
    AGE_UNKNOWN = "age_unknown"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    """Older than the retention of its dataset: refused, since nothing may be stored that should be gone."""
    AHEAD = "ahead"
    """Of a moment that has not come yet: the newest version of a key wins, and this one would win for ever."""
    FORGED = "forged"
    """A message without the MAC that its topic asks for, or with a wrong one."""
    VERSION = "version"
    """A message under a contract version that nobody here knows."""
    SINK = "sink"
    """The sink takes every other record, but not this one."""
    CONFLICT = "conflict"
    """The sink has other content in the same version."""


QUARANTINED = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("part", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("field", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("entity", pa.string()),
        pa.field("pseudonym", pa.string()),
        pa.field("day", pa.date32()),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("sealed", pa.binary()),
        pa.field("content", pa.binary()),
    ]
)
"""Quarantined rows: `field` is a field id, `detail` a rule's name or a malformed reason. `sealed` is under the
subject's key (`entity`, `pseudonym`) or under the quarantine key of `day`, or null where a body may not be kept.
`length` is its plain size in bytes. `content` is a keyed digest of the body: a source may give the same row again at
another place, in an overlap or a file that was copied."""

REFUSED = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("part", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""Refused rows leave where they stood and why, nothing else."""


@dataclass(frozen=True)
class Enforced:
    """What became of a batch: the three add up to its rows. `scanned` has every column that was searched."""

    admitted: pa.RecordBatch
    quarantined: pa.RecordBatch
    refused: pa.RecordBatch
    findings: tuple[Finding, ...] = ()
    unknown_columns: tuple[str, ...] = ()
    created_subjects: int = 0
    possible_links: int = 0
    shared_aliases: int = 0
    not_scanned: tuple[str, ...] = field(default=())
    scanned: tuple[ColumnCounts, ...] = ()
