"""Readers of sources, one file a kind."""

import httpx

from governance.adapters.sources.api import ApiReader
from governance.adapters.sources.compressed import MAX_INFLATED
from governance.adapters.sources.delimited import DelimitedReader
from governance.adapters.sources.json_file import JsonReader
from governance.adapters.sources.retrying import Patience
from governance.adapters.sources.sql import TableReader
from governance.contracts.types import Source
from governance.errors import SourceError
from governance.flows.source import SourceReader

BATCH_ROWS = 131_072


def open_source(
    source: Source,
    location: str,
    *,
    batch_rows: int = BATCH_ROWS,
    max_inflated: int = MAX_INFLATED,
    client: httpx.Client | None = None,
    patience: Patience | None = None,
) -> SourceReader:
    """The reader of a contract's source. `location` is what the settings say, or the contract: a path, folder or
    pattern of files, an http address, a libpq address.

    Opens nothing yet. `max_inflated` bounds the bytes that a packed file may come to; `client` and `patience` are an
    API's. Raises SourceError where the source isn't declared as its format needs.
    """
    if source.format == "csv":
        return DelimitedReader(source, location, batch_rows=batch_rows, max_inflated=max_inflated)
    if source.format in ("json", "ndjson"):
        return JsonReader(source, location, batch_rows=batch_rows, max_inflated=max_inflated)
    if source.format == "api":
        return ApiReader(source, location, client=client, patience=patience)
    if source.format == "sql":
        return TableReader(source, location, batch_rows=batch_rows)
    raise SourceError(f"{source.where}: source {source.name}: format '{source.format}' can't be read")
