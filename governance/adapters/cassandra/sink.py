"""A dataset's records in Cassandra: one row an identity, written with its version as the timestamp of its cells.

So a write that comes again, or too late, changes nothing there, whoever sends it. What a batch does is found out
beforehand, by the versions of the rows that are there. A row goes by itself (TTL) when its record's retention ends.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson

from governance.adapters.cassandra.server import Server, StatementRefusedError
from governance.adapters.cassandra.shape import VERSION, Shape, make_table, quoted, shape_of
from governance.adapters.cassandra.values import Record, key_values, plain, reader
from governance.contracts.types import Protect
from governance.enforcement.plan import EnforcementPlan
from governance.errors import StoreUnavailableError
from governance.flows.documents import Codes, Documents, Taken
from governance.flows.superseding import Final, Held, Resolved, resolve, settle
from governance.model.clock import Clock, system_clock

_LONGEST_TTL = 20 * 365 * 86_400
"""What Cassandra takes. A record that is kept for longer has none: a sweep deletes it."""
_LARGEST = 1_048_576
"""In bytes of JSON. Far larger ones Cassandra answers by ending the connection, which looks as if it were away."""
_TOGETHER = 100
"""Rows that are asked for in one request."""
_MANY = 100
"""If a table refuses so many and takes none, it isn't the records."""


class CassandraSink:
    """`DocumentSink` on one Cassandra cluster. Rows are also read and deleted by identity, for those who answer for
    them.
    """

    def __init__(self, server: Server, plan: EnforcementPlan, clock: Clock = system_clock) -> None:
        self._server, self._plan, self._clock = server, plan, clock
        self._shape = shape_of(plan)
        self._readers = [(one.name, reader(one.kind)) for one in self._shape.columns]
        tokens = {c.name for c in plan.columns if c.protect == Protect.ENCRYPT}
        self._clear = [name for name, _ in self._readers if name not in tokens and name not in self._shape.key]
        self._cql = _Statements(self._shape, self._clear)

    @property
    def name(self) -> str:
        """See `DocumentSink.name`."""
        return f"Cassandra table {self._shape.keyspace}.{self._shape.table}"

    def prepare(self) -> None:
        """See `DocumentSink.prepare`."""
        make_table(self._server, self._shape)

    def close(self) -> None:
        """Let go of connections."""
        self._server.close()

    def write(self, documents: Documents) -> Codes:
        """See `DocumentSink.write`. A record of more than a mebibyte is refused."""
        large = [place for place, value in enumerate(documents.values) if value is not None and len(value) > _LARGEST]
        if large:
            taken = np.full(len(documents), Taken.REFUSED, np.int8)
            fitting = np.setdiff1d(np.arange(len(documents)), large)
            taken[fitting] = self.write(documents.take(fitting.tolist()))
            return taken
        keys = self._identities(documents)
        found = resolve(documents, self._held(keys))
        records = _Records(documents, self._readers)
        taken = self._settle(found, records, keys)
        unknown = [place for place, key in enumerate(documents.keys) if key not in keys]
        taken[unknown] = Taken.REFUSED
        writes = {key: final for key, final in found.writes.items() if key in keys}
        refused = self._insert(writes, records, documents)
        self._delete(writes, keys)
        self._try_without(refused, writes, documents, taken)
        if len(documents) >= _MANY and bool((taken == Taken.REFUSED).all()):
            raise StoreUnavailableError(f"{self.name} refuses every record: its shape may not be the contract's")
        return taken

    def read(self, keys: Sequence[bytes]) -> list[Record | None]:
        """The rows of these identities, by column; None for each that isn't there."""
        answers = self._ask(self._cql.one(self._cql.all), [key_values(key) for key in keys])
        return [{name: plain(cell) for name, cell in rows[0].items()} if rows else None for rows in answers]

    def delete(self, keys: Sequence[bytes]) -> int:
        """Delete the rows of these identities, whatever their version; returns how many were there."""
        identities = {key: key_values(key) for key in keys}
        held = self._held(identities)
        self._delete({key: Final(one.version + 1, None) for key, one in held.items()}, identities)
        return len(held)

    def _identities(self, documents: Documents) -> dict[bytes, tuple[Any, ...]]:
        """The key's values of each identity that could be one of this table's."""
        found = {}
        for key in dict.fromkeys(documents.keys):
            try:
                values = key_values(key)
            except (orjson.JSONDecodeError, UnicodeDecodeError):
                continue
            if len(values) == len(self._shape.key):
                found[key] = tuple(self._key_readers[place](value) for place, value in enumerate(values))
        return found

    @property
    def _key_readers(self) -> list[Callable[[Any], Any]]:
        by_name = dict(self._readers)
        return [by_name[name] for name in self._shape.key]

    def _held(self, keys: Mapping[bytes, tuple[Any, ...]]) -> dict[bytes, Held]:
        return {key: Held(row[VERSION]) for key, row in self._rows(self._cql.version, keys).items()}

    def _rows(self, columns: str, keys: Mapping[bytes, tuple[Any, ...]]) -> dict[bytes, Record]:
        """These columns of the rows that are there; of many rows in one request, where the key is one column."""
        if len(self._shape.key) > 1:
            answers = self._ask(self._cql.one(columns), list(keys.values()))
            return {key: rows[0] for key, rows in zip(keys, answers, strict=True) if rows}
        (name,) = self._shape.key
        by_value = {plain(values[0]): key for key, values in keys.items()}
        values = [one[0] for one in keys.values()]
        portions = [(values[start : start + _TOGETHER],) for start in range(0, len(values), _TOGETHER)]
        answers = self._ask(self._cql.several(columns), portions)
        return {by_value[plain(row[name])]: row for rows in answers for row in rows}

    def _ask(self, statement: str, values: Sequence[Sequence[Any]]) -> list[list[dict[str, Any]]]:
        answers = self._server.ask_each(statement, values)
        if any(rows is None for rows in answers):
            raise StatementRefusedError(f"{self.name} can't be asked by its key: was it changed by somebody else?")
        return [rows or [] for rows in answers]

    def _settle(self, found: Resolved, records: "_Records", keys: Mapping[bytes, tuple[Any, ...]]) -> Codes:
        """Of records whose version is there: the clear cells are compared, since tokens differ each time."""
        documents = records.documents
        asked = sorted({documents.keys[place] for place, other in found.doubtful.items() if other is None})
        there = self._rows(self._cql.clear, {key: keys[key] for key in asked}) if self._clear else {}

        def differs(place: int, other: int | None) -> bool:
            mine = records.of(place)
            held = there.get(documents.keys[place]) if other is None else records.of(other)
            if held is None or not self._clear:
                return False
            return any(plain(mine[name]) != plain(held[name]) for name in self._clear)

        return settle(found, differs)

    def _insert(self, writes: Mapping[bytes, Final], records: "_Records", documents: Documents) -> list[bytes]:
        finals = [(key, final, final.place) for key, final in writes.items() if final.place is not None]
        seconds = self._seconds_left(documents)
        names = [name for name, _ in self._readers]
        values, sent, refused = [], [], []
        for key, final, place in finals:
            record = records.of(place)
            if any(record[name] is None for name in self._shape.key):
                refused.append(key)
                continue
            sent.append(key)
            values.append([*(record[name] for name in names), final.version, final.version, int(seconds[place])])
        answers = self._server.ask_each(self._cql.insert, values)
        return refused + [key for key, rows in zip(sent, answers, strict=True) if rows is None]

    def _try_without(
        self, refused: Sequence[bytes], writes: Mapping[bytes, Final], documents: Documents, taken: Codes
    ) -> None:
        """What an identity comes to without the document that was refused."""
        without = {writes[key].place for key in refused}
        taken[[place for place in without if place is not None]] = Taken.REFUSED
        keys = set(refused)
        rest = [place for place, key in enumerate(documents.keys) if key in keys and taken[place] != Taken.REFUSED]
        if rest:
            taken[rest] = self.write(documents.take(rest))

    def _delete(self, writes: Mapping[bytes, Final], keys: Mapping[bytes, tuple[Any, ...]]) -> None:
        gone = {key: final for key, final in writes.items() if final.place is None}
        self._ask(self._cql.delete, [(one.version, *keys[key]) for key, one in gone.items()])

    def _seconds_left(self, documents: Documents) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """How long each record is still kept; 0 where it has no end that Cassandra could see to.

        The day on which the retention ends is the record's last.
        """
        if self._plan.oldest_days is None:
            return np.zeros(len(documents), np.int64)
        now = self._clock().astimezone(UTC)
        midnight = datetime.combine(now.date(), datetime.min.time(), UTC)
        ends = documents.days + np.timedelta64(self._plan.oldest_days + 1, "D")
        days = (ends - np.datetime64(now.date())).astype(np.int64)
        left = days * 86_400 - int((now - midnight) / timedelta(seconds=1))
        left = np.where(np.isnat(documents.days) | (left > _LONGEST_TTL), 0, np.maximum(left, 1))
        return left.astype(np.int64)


class _Statements:
    """The table's CQL. Names are quoted, and every value is bound."""

    def __init__(self, shape: Shape, clear: Sequence[str]) -> None:
        self._shape = shape
        marks = ", ".join("?" for _ in shape.all_columns)
        self.version = ", ".join(map(quoted, (*shape.key, VERSION)))
        self.clear = ", ".join(map(quoted, (*shape.key, *clear)))
        self.all = ", ".join(quoted(one.name) for one in shape.all_columns)
        self.insert = f"INSERT INTO {shape.target} ({self.all}) VALUES ({marks}) USING TIMESTAMP ? AND TTL ?"  # noqa: S608
        self.delete = f"DELETE FROM {shape.target} USING TIMESTAMP ? WHERE {shape.where}"  # noqa: S608

    def one(self, columns: str) -> str:
        """To read a row by its key."""
        return f"SELECT {columns} FROM {self._shape.target} WHERE {self._shape.where}"  # noqa: S608

    def several(self, columns: str) -> str:
        """To read rows by a list of keys of one column."""
        return f"SELECT {columns} FROM {self._shape.target} WHERE {quoted(self._shape.key[0])} IN ?"  # noqa: S608


class _Records:
    """The documents as the driver takes them, each taken apart once."""

    def __init__(self, documents: Documents, readers: Sequence[tuple[str, Callable[[Any], Any]]]) -> None:
        self.documents = documents
        self._readers = readers
        self._known: dict[int, Record] = {}

    def of(self, place: int) -> Record:
        """One record, every column of it."""
        if place not in self._known:
            cells = orjson.loads(self.documents.values[place] or b"{}")
            self._known[place] = {
                name: None if cells.get(name) is None else read(cells[name]) for name, read in self._readers
            }
        return self._known[place]
