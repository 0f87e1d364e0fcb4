"""Listings as they must be found in Elasticsearch, by what their generator knows of them; and as they are there."""

from decimal import Decimal
from typing import Any

import httpx

from samples.feed import moment_at
from samples.products import Product
from samples.traits import Row

Document = dict[str, Any]


def document(row: Row[Product]) -> Document:
    """An admitted row in the types of `comparable`. A title keeps what was served, without blanks around it."""
    made = row.facts
    nothing = row.trait == "nothing_in_words"
    low = Decimal(made.low) / 100
    return {
        "id": made.id,
        "title": str(row.record["title"]).strip(),
        "category": made.category,
        "price_min": low,
        "price_max": Decimal(made.high) / 100,
        "price_band": "low" if low <= 50 else "medium" if low <= 200 else "high",
        "promotion_price": None if nothing or made.promotion is None else Decimal(made.promotion) / 100,
        "quantity": made.quantity,
        "rating": None if nothing or made.rating is None else Decimal(made.rating) / 10,
        "reviews": made.reviews,
        "seller_id": made.seller_id,
        "seller_rating": Decimal(made.seller_rating) / 10,
        "ship_from": made.ship_from,
        "ship_days": made.ship_days,
        "updated_at": moment_at(made.updated).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }


_NUMBERS = frozenset({"price_min", "price_max", "promotion_price", "rating", "seller_rating"})


def comparable(stored: Document) -> Document:
    """A stored document, its decimal numbers read as such."""
    return {n: Decimal(str(v)) if n in _NUMBERS and v is not None else v for n, v in stored.items()}


def indexed(address: str, index: str) -> dict[str, list[Document]]:
    """Every document of an index or alias by the record's own id; `_id` and `_version` go along."""
    httpx.post(f"{address}/{index}/_refresh", timeout=60).raise_for_status()
    found: dict[str, list[Document]] = {}
    after: list[Any] | None = None
    # One view of it for all pages: a merge in between would give some documents twice.
    view = httpx.post(f"{address}/{index}/_pit?keep_alive=2m", timeout=60).raise_for_status().json()["id"]
    while True:
        query: Document = {"size": 5000, "sort": [{"id": "asc"}, {"_shard_doc": "asc"}], "version": True}
        query["pit"] = {"id": view, "keep_alive": "2m"}
        if after:
            query["search_after"] = after
        answer = httpx.post(f"{address}/_search", json=query, timeout=60).raise_for_status().json()
        hits = answer["hits"]["hits"]
        for hit in hits:
            document = hit["_source"] | {"_id": hit["_id"], "_version": hit["_version"]}
            found.setdefault(hit["_source"]["id"], []).append(document)
        if not hits:
            return found
        after = hits[-1]["sort"]
