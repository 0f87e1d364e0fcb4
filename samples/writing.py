"""One row as a source writes it: names, date forms, money, the ways of saying nothing."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from samples.rows import Column, Layout, Row, Value

_DOLLARS = ("product_price", "total_amount")
_NOTES = ("", "", "", "gold card", "asked for samples", "prefers less packaging", "silver card")


def csv_cells(row: Row, layout: Layout) -> list[str]:
    """The cells of a CSV line; more or fewer than the header has where the line is ragged."""
    cells = [_csv(column, row.values[column.field], row.touch) for column in layout.columns]
    if layout.unknown:
        cells.append(_NOTES[row.touch % len(_NOTES)] if row.remark is None else row.remark)
    if row.extra < 0:
        return cells[: row.extra]
    return cells + ["?"] * row.extra


def csv_header(layout: Layout) -> list[str]:
    """The header, with the column that nobody declared."""
    return [column.csv for column in layout.columns] + ([layout.unknown] if layout.unknown else [])


def _csv(column: Column, value: Value, touch: int) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return _money(value, touch) if column.field in _DOLLARS else f"{value:.2f}"
    if isinstance(value, date) and not isinstance(value, datetime):
        return f"{value:%m-%d-%Y}"
    return _text(value)


def _money(value: Decimal, touch: int) -> str:
    """A third with the dollar sign, a sixth with grouped thousands only, the rest plain."""
    if value < 0 or touch % 6 > 2:
        return f"{value:.2f}"
    return f"${value:,.2f}" if touch % 6 else f"{value:,.2f}"


def _text(value: Value) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}Z"
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    return str(value)


def json_record(row: Row, layout: Layout) -> dict[str, str | None]:
    """The record of the JSON file: everything is text; nothing is null, or an empty text."""
    record: dict[str, str | None] = {}
    for place, column in enumerate(layout.columns):
        value = row.values[column.field]
        nothing = "" if row.touch >> place & 1 else None
        record[column.json] = nothing if value is None else _text(value)
    return record


def api_record(row: Row, layout: Layout) -> dict[str, Any]:
    """The record of the API: numbers are numbers, nothing is null."""
    record: dict[str, Any] = {}
    for column in layout.columns:
        value = row.values[column.field]
        if isinstance(value, Decimal):
            record[column.api] = float(value)
        else:
            record[column.api] = value if value is None or isinstance(value, int) else _text(value)
    return record


def json_text(record: dict[str, Any]) -> str:
    """JSON in one line, as UTF-8 can hold it: a lone surrogate is written as its escape."""
    text = json.dumps(record, ensure_ascii=False)
    return text.replace("\ud800", "\\ud800")
