"""Delimited text (csv): cells as they stand, each row with its record number, and what is no row with its reason.

Blocks of whole records go through `pyarrow.csv`. Only a block that it refuses, or that holds what it would let pass,
is taken apart record by record; both ways take the same language.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from governance.adapters.sources.opening import Opened, Part, parts, total_size
from governance.adapters.sources.quoting import Dialect, Records, boundary, first_end, records, structure
from governance.contracts.types import Source
from governance.errors import SourceError
from governance.flows.source import LARGEST_BODY, LARGEST_RECORD, Malformed, MalformedReason, SourceBatch

_LARGEST_HEADER = 1 << 20
_LARGEST_BLOCK = 2 << 20
_BATCH_BYTES = 64 << 20
_TAIL = 1 << 16


@dataclass
class _Parsed:
    """What a block, or several, came to; `size` in bytes."""

    rows: list[pa.RecordBatch] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    records: int = 0
    size: int = 0


class DelimitedReader:
    """Reads the files at a csv source's location.

    A file that has only a header gives one batch without rows. Raises SourceError for a file that is empty, or whose
    header can't be read or names a column twice.
    """

    def __init__(self, source: Source, location: str, *, batch_rows: int, max_inflated: int) -> None:
        self.name = source.name
        self._source, self._location = source, location
        self._batch_rows, self._max_inflated = batch_rows, max_inflated
        self._block_bytes = min(max(batch_rows * 32, 1 << 16), _LARGEST_BLOCK)
        self._dialect = Dialect(_byte(source, "delimiter", source.delimiter), _quote(source))

    def size(self) -> int | None:
        """Bytes of the files, packed as they are."""
        return total_size(parts(self.name, self._location))

    def batches(self, *, since: datetime | None = None, cursor: str | None = None) -> Iterator[SourceBatch]:
        """Every record. A file can't be asked for changes, so `since` and `cursor` change nothing."""
        del since, cursor
        for part in parts(self.name, self._location):
            opened = Opened(self.name, part, self._source.encoding, self._max_inflated)
            try:
                yield from self._part(part, opened)
            finally:
                opened.close()

    def _part(self, part: Part, opened: Opened) -> Iterator[SourceBatch]:
        names, rest = self._header(opened)
        parser = _Parser(opened, names, self._dialect)
        gathered, behind, any_yet = _Parsed(), 0, False
        for block in self._blocks(opened, rest, parser):
            for piece in _pieces(block, self._batch_rows):
                _gather(gathered, piece)
                if gathered.records >= self._batch_rows or gathered.size >= _BATCH_BYTES:
                    yield _batch(gathered, parser.schema, part.name, opened.consumed - behind)
                    gathered, behind, any_yet = _Parsed(), opened.consumed, True
        if gathered.records or not any_yet:
            yield _batch(gathered, parser.schema, part.name, opened.consumed - behind)

    def _header(self, opened: Opened) -> tuple[list[str], bytes]:
        """The column names, and the bytes read beyond them."""
        if self._source.columns:
            return _distinct(list(self._source.columns), opened.where), b""
        data = b""
        while True:
            more = opened.read(self._block_bytes)
            data = (data + more).lstrip(b"\r\n")
            end = first_end(structure(data, self._dialect)) if data else None
            if end is None and not more:
                end = len(data)
            if end is not None:
                return self._names(data[:end], opened.where), data[end + 1 :]
            if len(data) > _LARGEST_HEADER:
                raise SourceError(f"{opened.where}: the header doesn't end within {_LARGEST_HEADER} bytes; is it csv?")

    def _names(self, header: bytes, where: str) -> list[str]:
        if not header.strip():
            raise SourceError(f"{where} has no header; a csv names its columns in its first line")
        if len(header) > _LARGEST_HEADER or b"\0" in header:
            raise SourceError(f"{where}: the header holds a NUL byte or is over {_LARGEST_HEADER} bytes; is it csv?")
        try:
            text = header.decode()
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{where}: byte {error.start} of the header isn't {self._source.encoding}; declare the encoding it has"
            ) from None
        quote = self._source.quote
        style = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}
        csv.field_size_limit(max(csv.field_size_limit(), _LARGEST_HEADER))
        row = next(csv.reader(io.StringIO(text, newline=""), delimiter=self._source.delimiter, **style))
        return _distinct(row, where)

    def _blocks(self, opened: Opened, rest: bytes, parser: "_Parser") -> Iterator[_Parsed]:
        """Cut the stream where records end, and parse.

        That the last line's end is a record's end is mostly seen in what the parser made of it, which spares the
        search for it.
        """
        position = 0
        while True:
            more = opened.read(max(self._block_bytes, len(rest)))
            data = rest + more
            cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 if more else len(data)
            parsed = parser.quick(data, cut, position) if cut else None
            if parsed is None:
                cut = boundary(data, self._dialect) if more else len(data)
                parsed = parser.careful(data[:cut], position)
            rest = data[cut:]
            position += parsed.records
            yield parsed
            if len(rest) > LARGEST_RECORD:
                length, rest = self._pass_over(opened, rest)
                yield _Parsed(malformed=[Malformed(position, length, MalformedReason.TOO_LARGE)], records=1)
                position += 1
            elif not more:
                return

    def _pass_over(self, opened: Opened, begun: bytes) -> tuple[int, bytes]:
        """Read to the end of a record that is too large; its length and the bytes after it."""
        found = structure(begun, self._dialect)
        length = len(begun)
        while more := opened.read(_LARGEST_BLOCK):
            found = structure(more, self._dialect, found.end)
            end = first_end(found)
            if end is not None:
                return length + end, more[end + 1 :]
            length += len(more)
        return length, b""


class _Parser:
    """Blocks of one file to rows."""

    def __init__(self, opened: Opened, names: list[str], dialect: Dialect) -> None:
        self._opened, self._dialect = opened, dialect
        self.schema = pa.schema([(name, pa.string()) for name in names])
        self._parsing = arrow_csv.ParseOptions(
            delimiter=chr(dialect.delimiter),
            quote_char=False if dialect.quote is None else chr(dialect.quote),
            double_quote=True,
            escape_char=False,
            newlines_in_values=dialect.quote is not None,
            ignore_empty_lines=True,
        )
        self._conversion = arrow_csv.ConvertOptions(
            column_types=self.schema, null_values=[], strings_can_be_null=False, check_utf8=True
        )

    def quick(self, data: bytes, end: int, first: int) -> _Parsed | None:
        """The bytes up to `end`, where a line ends, as they are; None where some record in them needs looking at.

        `first` is the number of the first record.
        """
        if end > LARGEST_RECORD or data.find(b"\0", 0, end) >= 0:
            return None
        rows = self._read(memoryview(data)[:end])
        if rows is None or not self._closed(rows, data[max(0, end - _TAIL) : end]):
            return None
        return _Parsed([rows], [np.arange(first, first + len(rows))], [], len(rows), end)

    def careful(self, data: bytes, first: int) -> _Parsed:
        """Whole records, one by one: the bad ones apart, the others as one clean block."""
        found = records(data, self._dialect)
        reasons = self._reasons(data, found)
        good, kept = bytearray(), 0
        for index in sorted(reasons):
            good += data[kept : found.starts[index]]
            kept = int(found.ends[index])
        good += data[kept:]
        numbers = np.setdiff1d(np.arange(len(found.starts)), np.fromiter(reasons, np.int64, len(reasons)))
        rows = self._read(memoryview(good)) if len(numbers) else _one([], self.schema)
        if rows is None or len(rows) != len(numbers):
            raise SourceError(
                f"{self._opened.where}: records {first} to {first + len(found.starts)} can't be told apart; "
                "check the declared delimiter, quote and encoding"
            )
        malformed = [
            self._malformed(first + i, data[found.starts[i] : found.ends[i]], reasons[i]) for i in sorted(reasons)
        ]
        return _Parsed([rows], [numbers + first], malformed, len(found.starts), len(data))

    def _read(self, data: memoryview) -> pa.RecordBatch | None:
        reading = arrow_csv.ReadOptions(column_names=self.schema.names, block_size=len(data) + 1)
        try:
            table = arrow_csv.read_csv(pa.BufferReader(pa.py_buffer(data)), reading, self._parsing, self._conversion)
        except pa.ArrowInvalid:
            return None
        return _one(table.to_batches(), self.schema)

    def _closed(self, rows: pa.RecordBatch, tail: bytes) -> bool:
        """Whether the block's end surely is the end of a record, not a line's end within a quoted cell.

        It is if the bytes before it are a delimiter and the last cell, bare, or quoted at both ends. In an open quoted
        cell they would follow a quote, and be doubled where they are quotes, so that neither form could fit.
        """
        if self._dialect.quote is None:
            return True
        if not len(rows) or len(self.schema) == 1:
            return False
        cell = rows.column(len(self.schema) - 1)[-1].as_py().encode()
        delimiter, quote = bytes([self._dialect.delimiter]), bytes([self._dialect.quote])
        bare = tail.rstrip(b"\r\n")
        return bare.endswith((delimiter + cell, delimiter + quote + cell.replace(quote, quote * 2) + quote))

    def _malformed(self, position: int, body: bytes, reason: MalformedReason) -> Malformed:
        raw = self._opened.original(body)
        return Malformed(position, len(raw), reason, raw if len(raw) <= LARGEST_BODY else None)

    def _reasons(self, data: bytes, found: Records) -> dict[int, MalformedReason]:
        """Why which record is no row, by its index in the block; the first reason that applies."""
        reasons: dict[int, MalformedReason] = {}
        if found.unclosed:
            reasons[len(found.starts) - 1] = MalformedReason.TRUNCATED
        for index in np.flatnonzero(found.ends - found.starts > LARGEST_RECORD).tolist():
            reasons[index] = MalformedReason.TOO_LARGE
        block = np.frombuffer(data, np.uint8)
        for index in _holding(found, np.flatnonzero(block == 0)):
            reasons.setdefault(index, MalformedReason.NUL_BYTE)
        for index in _holding(found, np.flatnonzero(block >= 0x80)):
            try:
                data[found.starts[index] : found.ends[index]].decode()
            except UnicodeDecodeError:
                reasons.setdefault(index, MalformedReason.ENCODING)
        for index in np.flatnonzero(found.fields != len(self.schema)).tolist():
            reasons.setdefault(index, MalformedReason.RAGGED)
        return reasons


def _holding(found: Records, places: np.ndarray) -> list[int]:
    """The records in which the places lie (a place between two records lies in none)."""
    index = np.unique(np.searchsorted(found.starts, places, side="right") - 1)
    return [i for i in index.tolist() if i >= 0]


def _byte(source: Source, what: str, text: str) -> int:
    if len(text) != 1 or not text.isascii() or text in "\r\n\0":
        raise SourceError(f"{source.where}: source {source.name}: the {what} must be one ASCII character")
    return ord(text)


def _quote(source: Source) -> int | None:
    return _byte(source, "quote", source.quote) if source.quote else None


def _distinct(names: list[str], where: str) -> list[str]:
    """The names, or SourceError that says which column repeats one (not its name: a file without header has data
    there)."""
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if name in seen:
            raise SourceError(
                f"{where}: column {number} of the header has the same name as column {seen[name]}; "
                "rename one, or declare the columns if the file has no header"
            )
        seen[name] = number
    return names


def _one(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(schema), schema=schema)
    return pa.concat_batches(batches)


def _pieces(one: _Parsed, batch_rows: int) -> Iterator[_Parsed]:
    """A block of very short records, cut to the size of a batch."""
    if one.records <= batch_rows + batch_rows // 4:
        yield one
        return
    rows, positions = one.rows[0], one.positions[0]
    start = int(min([*positions[:1], *(m.position for m in one.malformed[:1])]))
    places = np.array([m.position for m in one.malformed])
    for low in range(start, start + one.records, batch_rows):
        high = min(low + batch_rows, start + one.records)
        a, b = np.searchsorted(positions, [low, high])
        c, d = np.searchsorted(places, [low, high])
        yield _Parsed(
            [rows.slice(a, b - a)],
            [positions[a:b]],
            one.malformed[c:d],
            high - low,
            one.size * (high - low) // one.records,
        )


def _gather(all_: _Parsed, one: _Parsed) -> None:
    all_.rows += [rows for rows in one.rows if len(rows)]
    all_.positions += one.positions
    all_.malformed += one.malformed
    all_.records += one.records
    all_.size += one.size


def _batch(parsed: _Parsed, schema: pa.Schema, part: str, consumed: int) -> SourceBatch:
    positions = np.concatenate([np.empty(0, np.int64), *parsed.positions])
    return SourceBatch(
        records=_one(parsed.rows, schema),
        positions=pa.array(positions, pa.int64()),
        part=part,
        malformed=tuple(parsed.malformed),
        records_read=parsed.records,
        consumed=consumed,
    )
