"""What a scan found, for people and for programs: columns, entities, bands and counts; never a text."""

from collections.abc import Iterable

from governance.pii.counts import ColumnCounts


def called(column: ColumnCounts) -> str:
    """A column as messages name it."""
    return f"field {column.field}" if column.declared else f"column {column.field}, which nobody declared,"


def percent(share: float) -> str:
    """A share as people read it; what isn't nothing never reads as nothing."""
    if 0 < share < 0.0001:
        return "under 0.01 %"
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + " %"


def as_json(columns: Iterable[ColumnCounts]) -> list[dict[str, object]]:
    """Plain values, a column each: fields always, other columns where something was found in them."""
    return [_column(one) for one in columns if one.declared or one.findings]


def _column(one: ColumnCounts) -> dict[str, object]:
    return {
        "field": one.field,
        "declared": one.declared,
        "cells": one.cells,
        "undeclared": one.undeclared,
        "cannot_tell": one.cannot_tell,
        "share": one.share,
        "findings": [
            {"outcome": str(found.outcome), "entity": found.entity, "band": found.band, "count": found.count}
            for found in one.findings
        ],
    }
