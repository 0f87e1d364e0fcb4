"""A row's own declared values in its free text: found however they are written there, never kept.

Two passes: compiled loops tell the rows that can't hold a value (`own_loops`, proven by a property test against this
module alone), Python looks closely at the others.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from governance.pii.own_dates import born, readings
from governance.pii.own_forms import address, email, identifier, phone
from governance.pii.own_names import person
from governance.pii.own_search import Place, Text, TooManyError
from governance.pii.spans import Mask, Spans

MOST_PLACES = 10_000
"""Places of own values in one cell. A cell with more is unread."""


def find(column: pa.Array, declared: Mapping[str, pa.Array], entities: Mapping[str, str]) -> Spans:
    """The row's own values in each text of `column`, as the entity that `entities` gives the field.

    `declared` is field id -> values, as many rows as the column has. A field without an entity isn't personal data and
    is left out (a customer's segment may well stand in a text). A null text or value has nothing. A text in which a
    value occurs too often to be looked at is unread. Raises TypeError for a column that isn't text.
    """
    if column.type not in (pa.string(), pa.large_string()):
        raise TypeError(f"a column of {column.type} has no free text")
    fields = [f for f in declared if f in entities]
    masks = {f: _both(column, declared[f]) for f in fields}
    return look(column, declared, entities, masks)


def look(
    column: pa.Array, declared: Mapping[str, pa.Array], entities: Mapping[str, str], masks: Mapping[str, Mask]
) -> Spans:
    """The second pass, over the rows that each field's mask names."""
    rows = np.flatnonzero(np.logical_or.reduce([*masks.values(), np.zeros(len(column), dtype=bool)]))
    texts = column.take(pa.array(rows)).to_pylist()
    values = {f: declared[f].take(pa.array(rows)).to_pylist() for f in masks}
    found: list[tuple[int, int, int, str, float]] = []
    unread: list[int] = []
    for at, row in enumerate(rows.tolist()):
        text = Text(texts[at])
        try:
            places = [
                (row, *place[:2], entities[f], place.score)
                for f, mask in masks.items()
                if mask[row]
                for place in _some(_places(text, values[f][at], entities[f]))
            ]
        except TooManyError:
            unread.append(row)
            continue
        found += places
    return Spans.of(found, np.array(unread, np.int64))


def _some(places: Iterator[Place]) -> Iterator[Place]:
    for count, place in enumerate(places):
        if count >= MOST_PLACES:
            raise TooManyError
        yield place


def _places(text: Text, value: Any, entity: str) -> Iterator[Place]:
    if entity == "DATE_TIME" or isinstance(value, date):
        dates = readings(value)
        for one in dates:
            yield from born(text, one)
        if dates:
            return
    yield from _FORMS.get(entity, identifier)(text, str(value))


_FORMS: dict[str, Callable[[Text, str], Iterator[Place]]] = {
    "PERSON": person,
    "EMAIL_ADDRESS": email,
    "PHONE_NUMBER": phone,
    "LOCATION": address,
}


def _both(column: pa.Array, values: pa.Array) -> Mask:
    """Rows that have a text and a value."""
    held = [c.is_valid().to_numpy(zero_copy_only=False) for c in (column, values)]
    return np.asarray(held[0] & held[1], dtype=bool)
