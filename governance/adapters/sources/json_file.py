"""JSON files: a list of records, several lists or records one after another, one a line, or a list in an envelope."""

import codecs
from collections.abc import Iterator
from datetime import datetime

from governance.adapters.sources.json_batch import Gathering
from governance.adapters.sources.json_records import Fault, Feed, documents, lines
from governance.adapters.sources.opening import Opened, Part, parts, total_size
from governance.contracts.types import Source
from governance.errors import SourceError
from governance.flows.source import SourceBatch

_PIECE = 1 << 20


class JsonReader:
    """Reads the files at a json or ndjson source's location.

    Raises SourceError for a file that is empty, isn't JSON at all, or has no list where the contract says.
    """

    def __init__(self, source: Source, location: str, *, batch_rows: int, max_inflated: int) -> None:
        self.name = source.name
        self._source, self._location = source, location
        self._batch_rows, self._max_inflated = batch_rows, max_inflated
        self._path = tuple(source.records.split(".")) if source.records else ()
        if self._path and source.format == "ndjson":
            raise SourceError(f"{source.where}: source {source.name}: ndjson has one record a line, and no `records`")

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
        feed = Feed(_Pieces(opened), opened.where)
        gathering, behind, began = Gathering(), 0, 0
        for one in lines(feed) if self._source.format == "ndjson" else documents(feed, self._path):
            if isinstance(one, Fault):
                gathering.fault(one, opened.original)
            else:
                gathering.row(one)
            if gathering.full(self._batch_rows, feed.taken + feed.at - began):
                yield gathering.batch(part.name, consumed=opened.consumed - behind)
                behind, began = opened.consumed, feed.taken + feed.at
        if gathering.records:
            yield gathering.batch(part.name, consumed=opened.consumed - behind)


class _Pieces:
    """The file as text, piece by piece; bytes that aren't UTF-8 become lone surrogates, which no row may hold."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def __call__(self) -> str:
        while True:
            data = self._opened.read(_PIECE)
            text = self._decoder.decode(data, final=not data)
            if text or not data:
                return text
