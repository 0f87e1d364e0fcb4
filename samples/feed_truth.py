"""What a right pipeline must count and hold of a feed, from the generator's own knowledge of what it planted.

Nothing here reads a record back. A reading is any stretch of rows; readings that overlap count a row each time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

from samples.feed import Feed
from samples.traits import REFUSED, Row

F = TypeVar("F")


class Source(Protocol):
    """The rows of a feed."""

    feed: Feed

    def rows(self, start: int, end: int) -> Iterator[Row[Any]]:
        """The rows from place `start` up to, not including, `end`."""


def truth(source: Source, tick: int = 0, first_tick: int = 0) -> dict[str, Any]:
    """The counts of all rows that came in the ticks from `first_tick` to `tick`, both included, as JSON data.

    `held` has a line for each row that is not admitted; `serial` is its place in the feed (in a reading from the
    first row on: rows a page times pages before, plus the index).
    """
    return truth_of(_stretch(source, tick, first_tick))


def truth_of(rows: Iterable[Row[Any]]) -> dict[str, Any]:
    """The counts of these rows. admitted + quarantined + refused = rows."""
    reasons: Counter[str] = Counter()
    traits: Counter[str] = Counter()
    held, keys, admitted, total = [], set(), 0, 0
    for row in rows:
        total += 1
        if row.trait:
            traits[row.trait] += 1
        if row.outcome.reason is None:
            admitted += 1
            keys.add(row.key)
        else:
            reasons[str(row.outcome)] += 1
            held.append({"serial": row.serial, "reason": row.outcome.reason, "field": row.outcome.field,
                         "detail": row.outcome.detail})  # fmt: skip
    refused = {name: count for name, count in sorted(reasons.items()) if name.partition(":")[0] in REFUSED}
    quarantined = {name: count for name, count in sorted(reasons.items()) if name not in refused}
    return {
        "rows": total,
        "admitted": admitted,
        "quarantined": sum(quarantined.values()),
        "quarantined_by_reason": quarantined,
        "refused": sum(refused.values()),
        "refused_by_reason": refused,
        "keys": len(keys),
        "traits": dict(sorted(traits.items())),
        "held": held,
    }


def final(source: Source, tick: int = 0) -> dict[str, Row[Any]]:
    """By key, the newest admitted row at this tick: what a sink holds once it has taken everything."""
    return final_of(_stretch(source, tick, 0))


def final_of(rows: Iterable[Row[F]]) -> dict[str, Row[F]]:
    """By key, the newest admitted one of these rows, in whatever order they come."""
    newest: dict[str, Row[F]] = {}
    for row in rows:
        if row.outcome.reason is None and (row.key not in newest or newest[row.key].version < row.version):
            newest[row.key] = row
    return newest


def _stretch(source: Source, tick: int, first_tick: int) -> Iterator[Row[Any]]:
    start = source.feed.rows(first_tick - 1) if first_tick else 0
    return source.rows(start, source.feed.rows(tick))
