"""What a flow needs of a source: a Protocol, and the batches that come out of it.

A reader guesses nothing: it hands on what stands in the source, row by row with its position there, and says of every
record that can't be read as one why not. So `records_read` always reconciles with a count of the raw input.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import pyarrow as pa

LARGEST_RECORD = 16 * 1024 * 1024
"""Bytes. A longer record is `too_large`: no reader holds more than this of one record."""
LARGEST_BODY = 1024 * 1024
"""Bytes. The body of a longer malformed record isn't kept."""


class MalformedReason(StrEnum):
    """Why a record can't be read as a record at all. The set is closed."""

    RAGGED = "ragged"
    """More or fewer fields than the header."""
    ENCODING = "encoding"
    """Bytes that aren't of the declared encoding, or a surrogate without its other half."""
    NUL_BYTE = "nul_byte"
    """U+0000 in a text: no SQL store can hold it."""
    TOO_LARGE = "too_large"
    """Longer than LARGEST_RECORD."""
    TRUNCATED = "truncated"
    """The input ends within the record."""
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    DUPLICATE_KEY = "duplicate_key"
    """One name twice in an object, or two paths that read the same when dotted."""
    TOO_DEEP = "too_deep"
    """Nested deeper than any record that a table could hold."""
    TOO_WIDE = "too_wide"
    """More keys than any table has columns."""
    OUT_OF_RANGE = "out_of_range"
    """A date or moment of a database that no calendar year from 1 to 9999 holds, such as infinity."""


@dataclass(frozen=True)
class Malformed:
    """A record that can't be read as one.

    `position` is its number in the part, from 0, counted together with the rows. `length` is in bytes of the input.
    `body` is kept in memory only, so that it may be sealed; None above LARGEST_BODY.
    """

    position: int
    length: int
    reason: MalformedReason
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SourceBatch:
    """Some consecutive records of one part of a source.

    `records` has the columns as the source names them: text for csv, json and api (nested records as dotted paths,
    lists as JSON text), a database's own types for sql. `positions` (int64) are the records' numbers in `part`, a
    file's name, a page's cursor or a table. `cursor` is where an API goes on after this batch. `consumed` is how far
    this batch brought the reader, in the unit of `size()`.
    """

    records: pa.RecordBatch = field(repr=False)
    positions: pa.Array = field(repr=False)
    part: str
    malformed: tuple[Malformed, ...] = ()
    cursor: str | None = None
    records_read: int = 0
    consumed: int = 0
    replayed: bool = False
    """Rows out of quarantine, at the positions where they once stood."""


class SourceReader(Protocol):
    """Reads one source. The same input and settings give the same batches, so that a resumed run finds its place."""

    @property
    def name(self) -> str:
        """The source's name in the contract."""
        ...

    def batches(self, *, since: datetime | None = None, cursor: str | None = None) -> Iterator[SourceBatch]:
        """Every record of the source, or those changed after `since` and from the page at `cursor` on where the source
        can be asked so (files are always read whole). Memory is flat in the size of the source.

        Raises SourceError where the input isn't what the contract declares, SourceUnavailableError where it may be
        had later.
        """
        ...

    def size(self) -> int | None:
        """Bytes or rows, for a progress bar; None if unknown."""
        ...
