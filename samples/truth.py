"""What a right pipeline must count, from the decisions of the generator itself: nothing here reads a file back."""

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from samples.rows import LAYOUTS, SOURCES, Row
from samples.shop import Key, Shop

ENTITIES = {"orders": "customer", "stock": "supplier_contact"}
MEASURES = {
    "orders": ("quantity", "total_amount", "discount_amount", "net_amount"),
    "stock": ("stock_received", "stock_sold", "stock_on_hand"),
}


def truth_of(shop: Shop, dataset: str, rows: dict[str, list[Row]], published: dict[Key, Row]) -> dict[str, Any]:
    """The counts of a dataset's wave, as JSON data. `rows` by source, in the order in which the source has them;
    `published` is what stood before the wave. To be called once a wave: it notes who has been seen."""
    everything = [row for source in SOURCES for row in rows[source]]
    admitted = [row for row in everything if row.outcome.reason is None]
    held = Counter(str(row.outcome) for row in everything if row.outcome.reason)
    traits = Counter(trait for row in everything for trait in row.traits)
    return {
        "rows": len(everything),
        "admitted": len(admitted),
        "quarantined": held.total(),
        "quarantined_by_reason": dict(sorted(held.items())),
        "merged": _merged(admitted, published),
        "distinct_keys": len({row.key for row in admitted}),
        "people": {ENTITIES[dataset]: _people(shop, ENTITIES[dataset], everything)},
        "published_after": _sums(dataset, shop.published[dataset]),
        "defects": dict(sorted(traits.items())),
        "sources": {f"{dataset}_{source}": _source(dataset, source, rows[source]) for source in SOURCES},
    }


def _source(dataset: str, source: str, rows: list[Row]) -> dict[str, Any]:
    held = Counter(str(row.outcome) for row in rows if row.outcome.reason)
    unknown = LAYOUTS[dataset].unknown
    return {
        "rows": len(rows),
        "admitted": len(rows) - held.total(),
        "quarantined": held.total(),
        "quarantined_by_reason": dict(sorted(held.items())),
        "held": [
            {
                "position": position,
                "reason": row.outcome.reason,
                "field": row.outcome.field,
                "detail": row.outcome.detail,
            }
            for position, row in enumerate(rows)
            if row.outcome.reason
        ],
        "unknown_columns": [unknown] if unknown and source == "csv" else [],
        "first_updated_at": min(row.version for row in rows).isoformat() + "Z",
        "last_updated_at": max(row.version for row in rows).isoformat() + "Z",
    }


def _merged(admitted: list[Row], published: dict[Key, Row]) -> dict[str, int]:
    """The newest row a key wins. new + changed + unchanged + superseded + duplicates = admitted."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in admitted:
        groups[row.key].append(row)
    counts = Counter(new=0, changed=0, unchanged=0, superseded=0, duplicates=0)
    for key, group in groups.items():
        newest = max(row.version for row in group)
        stood = published.get(key)
        if stood is not None and stood.version > newest:
            counts["superseded"] += len(group)
            continue
        first = "new" if stood is None else "changed" if stood.version < newest else "unchanged"
        same = sum(row.version == newest for row in group)
        counts[first] += 1
        counts["duplicates"] += same - 1
        counts["superseded"] += len(group) - same
    return dict(counts)


def _people(shop: Shop, entity: str, rows: list[Row]) -> dict[str, int]:
    """Subjects whose key stands in a row that can be read (`seen`: a quarantined row has a subject too), those met
    for the first time, and those of admitted rows."""
    seen = {row.person for row in rows if row.person is not None and row.outcome.reason != "malformed"}
    admitted = {row.person for row in rows if row.person is not None and row.outcome.reason is None}
    new = seen - shop.seen[entity]
    shop.seen[entity] |= seen
    counts = {"seen": len(seen), "new": len(new), "admitted": len(admitted), "so_far": len(shop.seen[entity])}
    if entity == "customer":
        users = Counter(_phone(shop, number) for number in shop.seen[entity] if shop.people[number].phone)
        counts["phones_of_two_so_far"] = sum(1 for n in users.values() if n == 2)
        counts["phones_of_many_so_far"] = sum(1 for n in users.values() if n > 3)
    return counts


def _phone(shop: Shop, number: int) -> str:
    phone = shop.people[number].phone
    return phone.digits if phone else ""


def _sums(dataset: str, published: dict[Key, Row]) -> dict[str, str | int]:
    """Rows of the table after the wave, and what its columns add up to."""
    totals: dict[str, str | int] = {"rows": len(published)}
    for measure in MEASURES[dataset]:
        values = [row.values[measure] for row in published.values()]
        totals[measure] = str(sum(v for v in values if isinstance(v, Decimal | int)))
    return totals
