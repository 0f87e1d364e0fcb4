"""The product API's rows, one by one."""

from collections.abc import Iterator
from typing import Any

from samples.draws import Draws
from samples.feed import Feed
from samples.products.listing import Product, product, record
from samples.products.traits import TRAITS
from samples.rows import ADMITTED
from samples.traits import ECHO, Pattern, Row


class ProductSource:
    """The listings of a feed; `share` of the rows are odd or defective (None: as many as real ones)."""

    def __init__(self, feed: Feed, share: float | None = None) -> None:
        self.feed = feed
        self._pattern = Pattern(TRAITS, feed.seed, share)

    def row(self, serial: int) -> Row[Product]:
        """The row at this place of the feed."""
        trait = self._pattern.of(serial)
        name = trait.name if trait else None
        told = self._pattern.original(serial) if name == ECHO else serial
        made = product(self.feed.seed, self.feed.place(told))
        served = record(made)
        if trait and name != ECHO:
            trait.spoil(served, made, Draws(self.feed.seed, "spoil", serial))
        return Row(serial, made.id, made.updated, served, made, trait.outcome if trait else ADMITTED, name)

    def rows(self, start: int, end: int) -> Iterator[Row[Product]]:
        """The rows from place `start` up to, not including, `end`."""
        return map(self.row, range(start, end))


def records(seed: int, count: int, share: float | None = 0.0) -> Iterator[dict[str, Any]]:
    """So many records, each a product of its own: none spoilt, unless a share is given (None: as many as real ones)."""
    source = ProductSource(Feed(seed=seed, keys=max(count, 1)), share)
    return (row.record for row in source.rows(0, count))
