"""The product API: GET /products with `limit`, `cursor` and `updated_since` (ISO 8601, included).

It answers {"data": [records], "next": cursor or null}. `updated_since` goes by when the marketplace changed a listing,
whatever the record says of it. A page that is full stays as it is for ever; new rows come behind the last.
"""

import orjson

from samples.paging import Page, Query, Reading, reading
from samples.products.source import ProductSource
from samples.ticks import Ticks

LIMIT, LARGEST_LIMIT = 100, 1000


class ProductApi:
    """The listings of a source, as many as it has at the tick that it is."""

    path = "products"

    def __init__(self, source: ProductSource, ticks: Ticks) -> None:
        self.source = source
        self._ticks = ticks

    def check(self, query: Query) -> None:
        """Raise BadRequestError for a request that can't be answered."""
        self._reading(query)

    def page(self, query: Query) -> Page:
        """The page that is asked for."""
        asked, feed = self._reading(query), self.source.feed
        there = feed.rows(self._ticks.now())
        first = asked.start + (feed.since(asked.since, there) if asked.since else 0)
        rows = self.source.rows(first, min(first + asked.limit, there))
        records = [orjson.dumps(row.record).decode() for row in rows]
        return asked.page(records, asked.start + asked.limit if first + asked.limit < there else None)

    def _reading(self, query: Query) -> Reading:
        return reading(self.path, query, LIMIT, LARGEST_LIMIT)
