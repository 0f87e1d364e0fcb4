"""What the ledger keeps: a closed set of fields, written as canonical JSON, without any personal data.

A record says who did what to which dataset, in which run or request, with which counts and reason codes. Its strings
are identifiers of a narrow alphabet without spaces or `@`, so that no e-mail address, full name or sentence can be
one. A person appears as a request id at most.

Canonical JSON is the subset of RFC 8785 (JCS) that these fields need: objects with ASCII keys, strings, integers
within ±(2^53 - 1), booleans. No floats, no null, no arrays; an absent field is left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import orjson

from governance.errors import AuditError

Value: TypeAlias = str | int | bool | Mapping[str, int]

MAX_INTEGER: Final = 2**53 - 1
MAX_ENTRIES: Final = 256
"""The most entries of `counts` or `reasons`, so that a record stays small."""

_ACTION = re.compile(r"[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31}){0,3}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#+-]{0,127}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:/#-]{0,127}", re.ASCII)
_SORTED = orjson.OPT_SORT_KEYS
_STRINGS = ("actor", "contract", "dataset", "item", "request", "run")
_TABLES = ("counts", "reasons")


class RecordError(AuditError):
    """A record has a field outside the closed set, or a value that a field may not hold."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that was done. Raises RecordError, which names the field and never its value.

    * `action`: dotted lower-case words, such as `ingest.publish`; `actor`: an account or role, never an address
    * `dataset`, `contract` (its version), `run`, `request`: identifiers; `item`: what else was touched, such as a
      quarantined row's id, an epoch's number or a store's name
    * `ok`: whether it succeeded, where that is a question
    * `counts`: rows by outcome, for example; `reasons`: rows by reason code
    """

    action: str
    actor: str
    dataset: str | None = None
    contract: str | None = None
    run: str | None = None
    request: str | None = None
    item: str | None = None
    ok: bool | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.action, str) or not _ACTION.fullmatch(self.action):
            raise RecordError("audit record: field action must be dotted lower-case words, such as ingest.publish")
        if self.actor is None:
            raise RecordError("audit record: field actor is missing")
        for name in _STRINGS:
            _check_identifier(name, getattr(self, name))
        if self.ok is not None and type(self.ok) is not bool:
            raise RecordError("audit record: field ok must be true or false")
        for name in _TABLES:
            _check_table(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as it stands in the ledger: its 0-based index, and when it was appended (UTC)."""

    index: int
    at: datetime
    record: Record


def canonical(value: Mapping[str, Value]) -> bytes:
    """Canonical JSON (the subset of RFC 8785 above), UTF-8. Raises RecordError on any other type or range."""
    for key, item in value.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise RecordError("canonical JSON: a key is not of the plain ASCII that this ledger uses")
        if isinstance(item, Mapping):
            _check_table(key, item)
        elif type(item) is int:
            _check_integer(key, item)
        elif type(item) is not bool and type(item) is not str:
            raise RecordError(f"canonical JSON: field {key} is neither a string, an integer, a boolean nor a table")
    try:
        return orjson.dumps(value, option=_SORTED)
    except orjson.JSONEncodeError:
        raise RecordError("canonical JSON: a string holds a lone surrogate, or a table is no plain dict") from None


def encode(record: Record, index: int, at: str) -> bytes:
    """The bytes that are hashed and stored. `at` is `stamp(moment)`; the record was checked when it was made."""
    value = {
        "action": record.action,
        "actor": record.actor,
        "at": at,
        "contract": record.contract,
        "counts": record.counts or None,
        "dataset": record.dataset,
        "index": index,
        "item": record.item,
        "ok": record.ok,
        "reasons": record.reasons or None,
        "request": record.request,
        "run": record.run,
    }
    return orjson.dumps({name: item for name, item in value.items() if item is not None}, default=dict, option=_SORTED)


def decode(stored: bytes) -> Entry:
    """The inverse of `encode`. Raises RecordError on bytes that are not canonical or not of the closed set."""
    value = _object(stored)
    index, at = value.pop("index", None), value.pop("at", None)
    if type(index) is not int or index < 0:
        raise RecordError("audit record: field index is missing or no index")
    try:
        entry = Entry(index, unstamp(at), Record(**value))
    except TypeError:
        raise RecordError("audit record: a field is missing or outside the closed set") from None
    if encode(entry.record, index, stamp(entry.at)) != stored:
        raise RecordError("audit record: the stored bytes are not canonical JSON")
    return entry


def carried_index(stored: bytes) -> int:
    """The index that the stored bytes themselves carry. Raises RecordError if they carry none."""
    index = _object(stored).get("index")
    if type(index) is not int or index < 0:
        raise RecordError("audit record: field index is missing or no index")
    return index


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`. Raises RecordError on a moment without a zone."""
    if moment.tzinfo is None:
        raise RecordError("audit record: the moment has no time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unstamp(text: object) -> datetime:
    """The inverse of `stamp`; no other form is read. Raises RecordError."""
    try:
        moment = datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise RecordError("audit record: field at is no moment in UTC") from None
    if stamp(moment) != text:
        raise RecordError("audit record: field at is no moment in UTC")
    return moment


def _object(stored: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(stored)
    except orjson.JSONDecodeError:
        raise RecordError("audit record: the stored bytes are not JSON") from None
    if not isinstance(value, dict):
        raise RecordError("audit record: the stored bytes are no JSON object")
    return value


def _check_identifier(name: str, value: object) -> None:
    if value is not None and (type(value) is not str or not _IDENTIFIER.fullmatch(value)):
        raise RecordError(
            f"audit record: field {name} must be an identifier of at most 128 letters, digits and ._:/#+- "
            "(no spaces and no @, so that no person is named)"
        )


def _check_table(name: str, table: object) -> None:
    if not isinstance(table, Mapping) or len(table) > MAX_ENTRIES:
        raise RecordError(f"audit record: field {name} must be a table of at most {MAX_ENTRIES} integers")
    for key, number in table.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise RecordError(f"audit record: field {name} has a key that is no identifier")
        _check_integer(name, number)


def _check_integer(name: str, number: object) -> None:
    if type(number) is not int or not -MAX_INTEGER <= number <= MAX_INTEGER:
        raise RecordError(f"audit record: field {name} holds something that is no integer within ±(2^53 - 1)")
