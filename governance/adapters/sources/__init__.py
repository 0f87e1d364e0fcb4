"""Readers of sources, one file a kind."""

from governance.adapters.sources.compressed import MAX_INFLATED
from governance.adapters.sources.delimited import DelimitedReader
from governance.adapters.sources.json_file import JsonReader
from governance.adapters.sources.sql import TableReader
from governance.contracts.types import Source
from governance.errors import SourceError
from governance.flows.source import SourceReader

BATCH_ROWS = 131_072


def open_source(
    source: Source, location: str, *, batch_rows: int = BATCH_ROWS, max_inflated: int = MAX_INFLATED
) -> SourceReader:
    """The reader of a contract's source. `location` is what the settings say, or the contract.

    Opens nothing yet. Raises SourceError where the format is none that can be read.
    """
    if source.format == "csv":
        return DelimitedReader(source, location, batch_rows=batch_rows, max_inflated=max_inflated)
    if source.format in ("json", "ndjson"):
        return JsonReader(source, location, batch_rows=batch_rows, max_inflated=max_inflated)
    if source.format == "sql":
        return TableReader(source, location, batch_rows=batch_rows)
    raise SourceError(f"{source.where}: source {source.name}: format '{source.format}' can't be read")
