"""The store's API: GET /orders and /stock, each with `limit`, `cursor` and `updated_since` (ISO 8601, included), answer
{"data": [records], "next": cursor or null}. A wave's API holds the rows of the waves before it, too.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from samples.paging import Page, Query, Reading, reading
from samples.rows import LAYOUTS, Row
from samples.serving import Api, ApiServer
from samples.store import Wave
from samples.writing import api_record, json_text

LIMIT, LARGEST_LIMIT = 100, 1000
"""Rows a page, unless asked for otherwise, and at most."""


class StoreApi:
    """One of the store's two data sets."""

    def __init__(self, name: str, rows: list[Row]) -> None:
        self.path = name
        self.rows = rows

    def check(self, query: Query) -> None:
        """Raise BadRequestError for a request that can't be answered."""
        self._reading(query)

    def page(self, query: Query) -> Page:
        """The page that is asked for."""
        asked, rows = self._reading(query), self.rows
        if asked.since:
            since = asked.since
            rows = [row for row in rows if row.version.replace(tzinfo=UTC) >= since]
        end = asked.start + asked.limit
        records = [json_text(api_record(row, LAYOUTS[self.path])) for row in rows[asked.start : end]]
        return asked.page(records, end if end < len(rows) else None)

    def _reading(self, query: Query) -> Reading:
        return reading(self.path, query, LIMIT, LARGEST_LIMIT)


class StoreServer(ApiServer):
    """The store's API by itself, or beside others. See ApiServer for the options."""

    def __init__(self, waves: list[Wave], *, beside: Sequence[Api] = (), **options: Any) -> None:
        self.rows = {name: [row for wave in waves for row in wave.rows[name]["api"]] for name in LAYOUTS}
        super().__init__([*(StoreApi(name, rows) for name, rows in self.rows.items()), *beside], **options)
