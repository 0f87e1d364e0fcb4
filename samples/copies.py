"""Rows that come more than once: duplicates within a source and across sources, and older versions of a row."""

import copy
import random
from collections.abc import Callable
from datetime import datetime, time, timedelta

from samples.rows import LITERAL_NULLS, LITERAL_SOURCES, SOURCES, Row

WITHIN, ACROSS, SUPERSEDED = 0.015, 0.015, 0.015
"""Shares of rows that come again in the same source, again in another, and before in an older version."""


def clone(row: Row, **changes: object) -> Row:
    """A copy whose values are its own."""
    twin = copy.copy(row)
    twin.values = dict(row.values)
    twin.traits = []
    for name, value in changes.items():
        setattr(twin, name, value)
    return twin


def _move(row: Row, source: str) -> None:
    """Into another source: those that know a real null don't write one out."""
    row.source = source
    if source not in LITERAL_SOURCES:
        row.values = {name: None if value in LITERAL_NULLS else value for name, value in row.values.items()}


def copies(rows: list[Row], chance: random.Random, day_field: str, older: Callable[[Row], None]) -> list[Row]:
    """The copies to add. No row is copied in two ways, so which of them counts is never in doubt.

    `older` changes the values of an older version. Its time is the early morning of the row's own day, which is
    always before the row's.
    """
    pool = list(rows)
    chance.shuffle(pool)
    added = []
    for name, share in (("duplicate_within", WITHIN), ("duplicate_across", ACROSS), ("superseded_version", SUPERSEDED)):
        for _ in range(min(max(1, round(share * len(rows))), len(pool))):
            row = pool.pop()
            twin = clone(row, arrival=row.arrival + timedelta(seconds=chance.randrange(5 * 86400)))
            if name != "duplicate_within" and chance.random() < (1 if name == "duplicate_across" else 0.3):
                _move(twin, chance.choice([s for s in SOURCES if s != row.source]))
            if name == "superseded_version":
                twin.version = datetime.combine(row.day(day_field), time(6)) + timedelta(seconds=row.touch % 3600)
                twin.values["updated_at"] = twin.version
                older(twin)
            twin.traits.append(name)
            added.append(twin)
    return added
