"""A row's own declared values in its free text: found however they are written there, never kept.

Two passes: compiled loops tell the rows that can't hold a value (`own_loops`, proven by a property test against this
module alone), Python looks closely at the others.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.pii import own_loops
from governance.pii.folding import IGNORED, TextBuffer, table, text_buffer, unspaced
from governance.pii.own_dates import born, readings
from governance.pii.own_forms import address, email, identifier, phone
from governance.pii.own_loops import look_at_rows
from governance.pii.own_names import person
from governance.pii.own_search import Place, Text, TooManyError
from governance.pii.spans import Mask, Spans

MOST_PLACES = 10_000
"""Places of own values in one cell. A cell with more is unread."""


def find(column: pa.Array, declared: Mapping[str, pa.Array], entities: Mapping[str, str]) -> Spans:
    """The row's own values in each text of `column`, as the entity that `entities` gives the field.

    `declared` is field id -> values, as many rows as the column has. A field without an entity isn't personal data and
    is left out (a customer's segment may well stand in a text). A null text or value has nothing. A text in which a
    value occurs too often to be looked at is unread. Places may overlap. Raises TypeError for a column that isn't text.
    """
    if column.type not in (pa.string(), pa.large_string()):
        raise TypeError(f"a column of {column.type} has no free text")
    fields = [f for f in declared if f in entities]
    buffers = [text_buffer(_as_text(declared[f])) for f in fields]
    kinds = [_kind(entities[f], declared[f].type) for f in fields]
    masks = _may_hold(text_buffer(column), buffers, kinds)
    return look(column, declared, entities, dict(zip(fields, masks, strict=True)))


def _may_hold(text: TextBuffer, values: list[TextBuffer], kinds: list[int]) -> npt.NDArray[np.bool_]:
    """One mask a field: the rows whose text may hold the field's value."""
    rows = len(text.valid)
    out = np.zeros((len(values), rows), dtype=bool)
    if not values or not rows:
        return out
    data = np.concatenate([v.data for v in values])
    shifts = np.cumsum([0, *(len(v.data) for v in values)])[:-1]
    offsets = np.stack([v.offsets + shift for v, shift in zip(values, shifts, strict=True)])
    valid = np.stack([v.valid for v in values])
    tables = (table(), table(written_out=True))
    plain = np.zeros(128, np.uint8)
    start = tables[0].start[:128]
    plain[start >= 0] = tables[0].symbols[start[start >= 0]]
    plain[start == IGNORED] = 1
    given = (data, offsets, valid)
    folds = [(t.start, t.sizes, t.symbols) for t in tables]
    texts = (text.data, text.offsets, text.valid)
    look_at_rows(texts, given, np.array(kinds, np.int64), folds[0], folds[1], plain, unspaced(), out)
    return out


def _as_text(values: pa.Array) -> pa.Array:
    text = values.type in (pa.string(), pa.large_string())
    return values if text else values.cast(pa.string())


def _kind(entity: str, kind: pa.DataType) -> int:
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return own_loops.DATE
    return _KINDS.get(entity, own_loops.IDENTIFIER)


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
    seen: set[Place] = set()
    for place in places:
        if len(seen) >= MOST_PLACES:
            raise TooManyError
        if place not in seen:
            seen.add(place)
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
_KINDS = {
    "PERSON": own_loops.NAME,
    "EMAIL_ADDRESS": own_loops.EMAIL,
    "PHONE_NUMBER": own_loops.PHONE,
    "LOCATION": own_loops.ADDRESS,
    "DATE_TIME": own_loops.DATE_TEXT,
}
