"""Sealed rows, opened again: to show one, or to replay many. The inverse of `enforcement.seal`."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from governance.enforcement.seal import QUARANTINE_FIELD, day_context
from governance.errors import KeyUnavailableError, TokenError
from governance.model.secret import Secret
from governance.protection import cells, pairs
from governance.protection.keytable import PSEUDONYM_BYTES, KeyTable
from governance.quarantine.store import DayKeyDestroyedError, DayKeys, HeldRow

_Row = dict[str, Any]


class HeldKeys(Protocol):
    """The keys under which rows are held."""

    def of_pseudonyms(self, entity: str, pseudonyms: pa.Array) -> tuple[np.ndarray, KeyTable]:
        """For each pseudonym (text, 32 hexadecimal digits) the row of its key in the table, int32; -1 where the
        person's key is gone.
        """
        ...

    def existing(self, day: date) -> Secret:
        """The quarantine key of a day. Raises DayKeyDestroyedError."""
        ...


class Subjects(Protocol):
    """Living persons by pseudonym (`protection.subjects.Subjects`)."""

    def by_pseudonym(self, entity: str, pseudonyms: np.ndarray) -> tuple[np.ndarray, KeyTable]:
        """Pseudonyms as uint8 (n, 16) -> each one's row in the table, int32, -1 where it is gone."""
        ...


@dataclass(frozen=True)
class KeysOfHeld:
    """`HeldKeys` from the subjects and the quarantine's days. Use it under a lease."""

    subjects: Subjects
    days: DayKeys

    def of_pseudonyms(self, entity: str, pseudonyms: pa.Array) -> tuple[np.ndarray, KeyTable]:
        """See `HeldKeys`. Raises TokenError where a text is no pseudonym."""
        try:
            raw = bytes.fromhex("".join(text or "?" for text in pseudonyms.to_pylist()))
            rows = np.frombuffer(raw, np.uint8).reshape(len(pseudonyms), PSEUDONYM_BYTES)
        except ValueError:
            raise TokenError("a quarantined row names no pseudonym: it was altered") from None
        return self.subjects.by_pseudonym(entity, rows)

    def existing(self, day: date) -> Secret:
        """See `HeldKeys`."""
        return self.days.existing(day)


@dataclass(frozen=True, repr=False)
class Unsealed:
    """The plain bodies by row. None where a row has none, or where its key is gone: then `lost` (bool) is true."""

    bodies: list[bytes | None]
    lost: np.ndarray


def unseal(rows: pa.RecordBatch, dataset: str, keys: HeldKeys) -> Unsealed:
    """Open rows of the schema QUARANTINED. Persons' keys are asked for once an entity, days' once a day.

    Raises TokenError where a body was altered or stood elsewhere, TransientError where the key store is away.
    """
    held = rows.to_pylist()
    opened = Unsealed([None] * len(held), np.zeros(len(held), dtype=bool))
    groups: dict[str | date, list[int]] = {}
    for number, row in enumerate(held):
        if row["sealed"] is not None:
            groups.setdefault(row["entity"] or row["day"], []).append(number)
    for owner, numbers in groups.items():
        if isinstance(owner, str):
            _open_of_persons(opened, held, numbers, owner, dataset, keys)
        else:
            _open_of_day(opened, held, numbers, owner, dataset, keys)
    return opened


def unseal_row(row: HeldRow, keys: HeldKeys) -> bytes | None:
    """The plain body of one row, None where it has none. Raises KeyUnavailableError where its key is gone."""
    one: _Row = {name: getattr(row.place, name) for name in ("source", "part", "position")}
    one |= {name: getattr(row, name) for name in ("entity", "pseudonym", "day", "sealed")}
    opened = unseal(pa.RecordBatch.from_pylist([one], schema=_OPENABLE), row.dataset, keys)
    if opened.lost[0]:
        why = "its person's key was shredded" if row.entity else f"the quarantine key of {row.day} was destroyed"
        raise KeyUnavailableError(f"this row can't be opened any more: {why}")
    return opened.bodies[0]


_OPENABLE = pa.schema(
    {
        "source": pa.string(),
        "part": pa.string(),
        "position": pa.int64(),
        "entity": pa.string(),
        "pseudonym": pa.string(),
        "day": pa.date32(),
        "sealed": pa.binary(),
    }
)
"""What of QUARANTINED it takes to open a row."""


def _open_of_persons(
    opened: Unsealed, held: list[_Row], numbers: list[int], entity: str, dataset: str, keys: HeldKeys
) -> None:
    index, table = keys.of_pseudonyms(entity, pa.array([held[n]["pseudonym"] for n in numbers], pa.string()))
    places = np.array(numbers)
    opened.lost[places[index < 0]] = True
    alive = places[index >= 0]
    tokens = pa.array([held[n]["sealed"] for n in alive], pa.binary())
    bodies = cells.open(tokens, index[index >= 0], table, dataset, QUARANTINE_FIELD, as_type=pa.binary())
    for number, body in zip(alive, bodies.to_pylist(), strict=True):
        opened.bodies[number] = body


def _open_of_day(
    opened: Unsealed, held: list[_Row], numbers: list[int], day: date, dataset: str, keys: HeldKeys
) -> None:
    try:
        key = keys.existing(day)
    except DayKeyDestroyedError:
        opened.lost[numbers] = True
        return
    for number in numbers:
        row = held[number]
        context = day_context(dataset, row["source"], row["part"], row["position"])
        opened.bodies[number] = pairs.open_bytes(row["sealed"], key, context)
