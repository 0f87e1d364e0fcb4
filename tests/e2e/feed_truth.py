"""What must have become of a feed's rows, by what their generator knows of them: counts, and the records themselves."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from samples.traits import REFUSED, Row

Shape = frozenset[tuple[str, str]]
"""A record as texts by name, without what it leaves empty: however a reader lays it out, the same record."""


def outcomes(rows: Iterable[Row[Any]]) -> Counter[str]:
    """How many rows must be admitted, held for each reason, refused for each reason; as `Watch.counts` names them."""
    found: Counter[str] = Counter()
    for row in rows:
        reason = row.outcome.reason
        if reason is None:
            found["admitted"] += 1
        else:
            found[f"{'refused' if reason in REFUSED else 'quarantined'}.{reason}"] += 1
    return found


def held(rows: Iterable[Row[Any]], ignored: Iterable[str] = ()) -> Counter[tuple[str, Shape]]:
    """The records that must be in quarantine, each as often as it was served, with the reason for which it is held."""
    return Counter(
        (row.outcome.reason, shape(row.record, ignored))
        for row in rows
        if row.outcome.reason is not None and row.outcome.reason not in REFUSED
    )


def shape(record: dict[str, Any], ignored: Iterable[str] = ()) -> Shape:
    """A record of JSON as texts by dotted name, without the names that its contract leaves unread."""
    left_out = tuple(ignored)
    return frozenset(
        (name, text)
        for name, text in _leaves(record)
        if not any(name == one or name.startswith(f"{one}.") for one in left_out)
    )


def unread(body: bytes) -> Shape:
    """What is no record, as it came."""
    return frozenset({("", body.decode())})


def _leaves(record: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{name}.")
        elif value is not None:
            yield before + name, str(value)
