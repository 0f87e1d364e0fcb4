"""Governed messages, read again: vouched for, of a known version, of the plan's columns, of people who are there.

Whatever fails is named by its place in the batch and a reason; nothing is guessed, and nothing unverified is parsed.
A record that can't be read never takes others with it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from governance.enforcement.convert import convert
from governance.enforcement.outcomes import Reason
from governance.enforcement.plan import EnforcementPlan
from governance.errors import ContractError
from governance.flows.documents import NO_DOCUMENTS, Documents
from governance.flows.governed import written
from governance.model.clock import Clock
from governance.model.message import Message
from governance.protection.messages import Forgery, MessageKeys, Verified, verify

_VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")
_NATIVE = {"string": str, "int64": int, "double": (int, float), "bool": bool}
_MOMENT = pa.timestamp("us", tz="UTC")

Alive = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.bool_]]
"""Which pseudonyms, uint8 (n, 16), belong to somebody who is there (`Subjects.alive`)."""

Begin = Callable[[], None]
"""Begins a lease unless it was begun."""

_Entry = tuple[int, bytes | None, bytes | None]
"""A message's place in the batch, its key and its value."""


@dataclass(frozen=True)
class Fault:
    """A message that is held back: its place in the batch, why, and its body if that may be kept (in memory only)."""

    place: int
    reason: Reason
    length: int
    column: str | None = None
    detail: str | None = None
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Judged:
    """What became of each message of a batch: a document, a fault, or refused.

    `places` (int64) are the documents' places in the batch. `rows` are the documents but for the tombstones, in
    `plan.message_columns()`.
    """

    documents: Documents
    places: npt.NDArray[np.int64]
    faults: tuple[Fault, ...] = ()
    refused: tuple[tuple[int, Reason], ...] = ()
    rows: pa.RecordBatch | None = field(default=None, repr=False)


@dataclass(frozen=True)
class GovernedReader:
    """Reads the messages of a dataset's governed topic."""

    plan: EnforcementPlan
    keys: MessageKeys
    alive: Alive
    clock: Clock

    def read(self, messages: Sequence[Message], leased: Begin | None = None) -> Judged:
        """What each message is. `leased` is called before anybody's being alive is asked for.

        Raises StoreUnavailableError, KeyUnavailableError where the keys can't be had.
        """
        faults: list[Fault] = []
        good: list[int] = []
        for place, answer in enumerate(verify(messages, self.keys)):
            if isinstance(answer, Verified):
                fault = self._unknown(place, messages[place], answer)
            else:
                fault = self._forged(place, messages[place], answer)
            if fault is None:
                good.append(place)
            else:
                faults.append(fault)
        entries = [(place, messages[place].key or b"", messages[place].value) for place in good]
        return self._judge(entries, faults, leased)

    def read_again(self, bodies: Sequence[bytes], leased: Begin | None = None) -> Judged:
        """Bodies of messages that were vouched for when they were held back; their identity is read from them."""
        return self._judge([(place, None, body) for place, body in enumerate(bodies)], [], leased)

    def _judge(
        self,
        entries: Sequence[_Entry],
        faults: list[Fault],
        leased: Begin | None,
    ) -> Judged:
        live = [(place, key, body) for place, key, body in entries if body is not None]
        parsed = parse([(place, body) for place, _, body in live], self.plan)
        faults = [*faults, *parsed.faults]
        rows, kept = parsed.rows, parsed.places
        refused: list[tuple[int, Reason]] = []
        for reason, bad in (
            (Reason.EXPIRED, self._expired),
            (Reason.SUPPRESSED, lambda some: self._dead(some, leased)),
        ):
            gone = bad(rows)
            if gone.any():
                refused += [(place, reason) for place in kept[gone].tolist()]
                rows, kept = rows.filter(pa.array(~gone)), kept[~gone]
        documents, places = _documents(entries, rows, kept, self.plan)
        return Judged(documents, places, tuple(sorted(faults, key=lambda f: f.place)), tuple(refused), rows)

    def _expired(self, rows: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Rows that have become too old on the way."""
        if self.plan.oldest_days is None:
            return np.zeros(rows.num_rows, bool)
        oldest = np.datetime64(self.clock().date() - timedelta(days=self.plan.oldest_days))
        return np.asarray(days_of(rows, self.plan) < oldest)

    def _dead(self, rows: pa.RecordBatch, leased: Begin | None) -> npt.NDArray[np.bool_]:
        """Rows that name somebody who is gone. One round trip, whatever the number of entities."""
        if not self.plan.subjects or not rows.num_rows:
            return np.zeros(rows.num_rows, bool)
        if leased is not None:
            leased()
        columns = [rows.column(subject.pseudonym_column) for subject in self.plan.subjects]
        encoded = pa.chunked_array(columns).dictionary_encode().unify_dictionaries()
        names = encoded.chunk(0).dictionary.to_pylist()
        if not names:
            return np.zeros(rows.num_rows, bool)
        raw = np.frombuffer(bytes.fromhex("".join(names)), np.uint8).reshape(len(names), 16)
        gone = np.append(~self.alive(raw), False)
        dead = np.zeros(rows.num_rows, bool)
        for chunk in encoded.chunks:
            dead |= gone[chunk.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)]
        return dead

    def _forged(self, place: int, message: Message, why: Forgery) -> Fault:
        """Where a minimum age is declared nobody knows whose it is, so nothing of it is kept."""
        body = None if self.plan.has_minimum_age else message.value
        return Fault(place, Reason.FORGED, _length(message), detail=str(why), body=body)

    def _unknown(self, place: int, message: Message, said: Verified) -> Fault | None:
        if said.contract != self.plan.dataset:
            return Fault(place, Reason.FORGED, _length(message), detail="other_dataset")
        if known_version(said.version, self.plan.version):
            return None
        detail = said.version if _VERSION.fullmatch(said.version) else None
        return Fault(place, Reason.VERSION, _length(message), detail=detail, body=message.value)


def known_version(given: str, mine: str) -> bool:
    """Whether a message under the contract version `given` can be read under `mine`: the same, or an earlier one that
    differs by additions only (semantic versioning: the same first number).
    """
    if given == mine:
        return True
    one, other = _VERSION.fullmatch(given), _VERSION.fullmatch(mine)
    if one is None or other is None:
        return False
    theirs, ours = [int(n) for n in one.groups()], [int(n) for n in other.groups()]
    return theirs[0] == ours[0] and theirs <= ours


@dataclass(frozen=True)
class Parsed:
    """Bodies that are records, column by column, with their places; and those that aren't."""

    rows: pa.RecordBatch
    places: npt.NDArray[np.int64]
    faults: tuple[Fault, ...] = ()


def parse(bodies: Sequence[tuple[int, bytes]], plan: EnforcementPlan) -> Parsed:
    """JSON objects as rows of `plan.message_columns()`. A body that isn't one, holds a name that nobody declared, lacks
    a required value or holds one of another type is a fault of its own.
    """
    schema = plan.message_columns()
    names = frozenset(schema.names)
    records: list[dict[str, Any]] = []
    kept: list[tuple[int, bytes]] = []
    faults: list[Fault] = []
    for place, body in bodies:
        record, why = _loaded(body, names)
        if record is None:
            faults.append(Fault(place, Reason.MALFORMED, len(body), detail=why, body=body))
        else:
            records.append(record)
            kept.append((place, body))
    bad: dict[int, tuple[Reason, str]] = {}
    columns = [_column(records, one, word, plan, bad) for one, word in zip(schema, _words(plan), strict=True)]
    rows = pa.RecordBatch.from_arrays(columns, schema=pa.schema([one.with_nullable(True) for one in schema]))
    places = np.array([place for place, _ in kept], dtype=np.int64)
    if bad:
        for row, (reason, name) in bad.items():
            place, body = kept[int(row)]
            faults.append(Fault(place, reason, len(body), column=name, body=body))
        good = np.ones(len(kept), bool)
        good[list(bad)] = False
        rows, places = rows.filter(pa.array(good)), places[good]
    return Parsed(pa.RecordBatch.from_arrays(rows.columns, schema=schema), places, tuple(faults))


def _loaded(body: bytes, names: frozenset[str]) -> tuple[dict[str, Any] | None, str]:
    try:
        record = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None, "not_json"
    if type(record) is not dict:
        return None, "not_an_object"
    if not record.keys() <= names:
        return None, "unknown_column"
    return record, ""


def _words(plan: EnforcementPlan) -> list[str]:
    """The type word of each message column."""
    return [c.stored_type for c in plan.columns if c.stored] + ["pseudonym"] * len(plan.subjects)


def _column(
    records: list[dict[str, Any]], one: pa.Field, word: str, plan: EnforcementPlan, bad: dict[int, tuple[Reason, str]]
) -> pa.Array:
    """One column of all records; rows whose cell doesn't fit go to `bad` and are null."""
    name = one.name
    cells = [record.get(name) for record in records]
    values, wrong = _typed(cells, one.type, word)
    named = _field_of(name, plan)
    for row in wrong:
        bad.setdefault(row, (Reason.TYPE, named))
    if not one.nullable and values.null_count:
        for row in np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)).tolist():
            bad.setdefault(row, (Reason.REQUIRED, named))
    if name == _version_name(plan):
        for row in _before_1970(values):
            bad.setdefault(row, (Reason.TYPE, named))
    return values


def _typed(cells: list[Any], kind: pa.DataType, word: str) -> tuple[pa.Array, Iterator[int]]:
    """A column of cells, and the rows whose cell is of another type. The quick way is taken while all of them fit."""
    native = _NATIVE.get(word)
    if native is not None:
        try:
            return pa.array(cells, kind), _misfits(cells, native) if word in ("int64", "double") else iter(())
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
            fits = [c if _is(c, native) and _holds(c, kind) else None for c in cells]
            return pa.array(fits, kind), _lost(cells, fits)
    if not all(c is None or type(c) is str for c in cells):
        texts = [c if type(c) is str else None for c in cells]
    else:
        texts = cells
    if word == "pseudonym":
        fits = [c if c is not None and _PSEUDONYM.fullmatch(c) else None for c in texts]
        return pa.array(fits, kind), _lost(cells, fits)
    values = convert(pa.array(texts, pa.string()), word, (), (), trim=False).values
    if values.null_count == sum(c is None for c in cells):
        return values, iter(())
    return values, _lost(cells, values.to_pylist())


def _is(cell: Any, native: Any) -> bool:
    return cell is not None and isinstance(cell, native) and (native is bool or type(cell) is not bool)


def _holds(cell: Any, kind: pa.DataType) -> bool:
    try:
        pa.scalar(cell, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return False
    return True


def _misfits(cells: list[Any], native: Any) -> Iterator[int]:
    """Arrow takes 1.0 for an integer, and true for a number."""
    types = set(map(type, cells))
    types.discard(type(None))
    allowed = {native} if isinstance(native, type) else set(native)
    if types <= allowed:
        return iter(())
    return iter([row for row, cell in enumerate(cells) if cell is not None and type(cell) not in allowed])


def _lost(cells: list[Any], fits: list[Any]) -> Iterator[int]:
    return iter([row for row, cell in enumerate(cells) if cell is not None and fits[row] is None])


def _before_1970(values: pa.Array) -> list[int]:
    micros = values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return [int(row) for row in np.flatnonzero(micros < 0)]


def _field_of(name: str, plan: EnforcementPlan) -> str:
    return next((c.field for c in plan.columns if c.stored and c.name == name), name)


def _version_name(plan: EnforcementPlan) -> str | None:
    return plan.column(plan.version_field).name if plan.version_field else None


def _length(message: Message) -> int:
    return len(message.value or b"")


def versions_of(rows: pa.RecordBatch, plan: EnforcementPlan) -> npt.NDArray[np.int64]:
    """Each row's `updatedAt` in microseconds since 1970. Raises ContractError where the dataset declares none."""
    name = _version_name(plan)
    if name is None:
        raise ContractError(f"{plan.dataset} declares no updatedAt, so a stream can't tell which record is newer")
    moments: npt.NDArray[np.int64] = rows.column(name).cast(_MOMENT).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return moments


def days_of(rows: pa.RecordBatch, plan: EnforcementPlan) -> npt.NDArray[np.datetime64]:
    """Each row's record date, NaT where it has none."""
    if plan.record_date is None:
        return np.full(rows.num_rows, "NaT", "datetime64[D]")
    days = rows.column(plan.column(plan.record_date).name).cast(pa.date32())
    found: npt.NDArray[np.datetime64] = days.to_numpy(zero_copy_only=False).astype("datetime64[D]")
    return found


def _documents(
    entries: Sequence[_Entry],
    rows: pa.RecordBatch,
    kept: npt.NDArray[np.int64],
    plan: EnforcementPlan,
) -> tuple[Documents, npt.NDArray[np.int64]]:
    """Rows and tombstones in the order of their places."""
    versions, days = versions_of(rows, plan), days_of(rows, plan)
    row_of = {place: row for row, place in enumerate(kept.tolist())}
    chosen = [(place, key, body) for place, key, body in entries if body is None or place in row_of]
    if not chosen:
        return NO_DOCUMENTS, np.zeros(0, np.int64)
    index = np.array([row_of.get(place, -1) for place, _, _ in chosen], dtype=np.int64)
    dated = np.append(days, np.datetime64("NaT"))[index]
    found = Documents(
        [
            key if key is not None else identity(rows, row, plan)
            for (_, key, _), row in zip(chosen, index.tolist(), strict=True)
        ],
        [body for _, _, body in chosen],
        np.append(versions, 0)[index],
        dated,
    )
    return found, np.array([place for place, _, _ in chosen], dtype=np.int64)


def identity(rows: pa.RecordBatch, row: int, plan: EnforcementPlan) -> bytes:
    """The identity of one row in `plan.message_columns()`, as `governed.encode` writes it."""
    return written(rows.slice(int(row), 1), plan)[0][0]
