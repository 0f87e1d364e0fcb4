"""A topic that somebody else fills: enforced as it is consumed, by the same code as everything else."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import httpx
import orjson
import pytest
from services import make_topic
from streaming import Premises, Shop, listing

from governance.model.message import Message
from local.kafka import Kafka
from samples import bad_messages
from samples.bad_messages import BadMessage

LISTED = {
    "      - { property: updatedAt, value: updated_at }\n": (
        "      - { property: updatedAt, value: updated_at }\n      - { property: recordDate, value: listed_on }\n"
    ),
    "    properties:\n": (
        "    properties:\n      - id: listed_on\n        name: listed_on\n        description: Its first day\n"
        "        logicalType: date\n        required: true\n        customProperties:\n"
        "          - { property: sourceFormats, value: iso }\n"
    ),
}
"""The contract, with the day on which a listing was first there."""


@pytest.fixture
def dated(kafka: Kafka, premises: Premises, tmp_path: Path) -> Iterator[Shop]:
    """A shop that keeps listings for a year from their first day."""
    made = Shop(tmp_path, premises, amend=LISTED)
    for name in (made.topic, made.raw_topic):
        make_topic(kafka, name)
    yield made
    made.close()


def raw(number: int, **changes: object) -> bytes:
    """A listing as the marketplace writes it."""
    record = {
        "id": f"P-{number}",
        "title": f"Mint tea number {number}",
        "category": "Kitchen",
        "price": "7.92 - 16.23",
        "promotionPrice": "",
        "quantity": number,
        "rating": 4.5,
        "reviews": 12,
        "sellerId": "S-4",
        "sellerRating": 97.5,
        "shipFrom": "Portugal",
        "shipDays": 4,
        "updatedAt": "2026-11-21T10:00:00Z",
    }
    return orjson.dumps(record | changes)


def fill(shop: Shop, *values: bytes | None) -> None:
    shop.send([Message(shop.raw_topic, None, value) for value in values])


def test_raw_listings_are_enforced_and_reach_the_same_index_as_governed_ones(shop: Shop) -> None:
    fill(shop, *(raw(n) for n in range(300)))
    counts = shop.run(raw=True)
    assert (counts.read, counts.applied) == (300, 300)
    one = shop.documents()['["P-7"]']
    assert (one["price_min"], one["price_max"], one["price_band"]) == ("7.92", "16.23", "low")
    assert "price" not in one
    assert set(one) - {"_version"} == set(shop.plan.message_columns().names)


def test_a_raw_record_and_the_governed_one_of_it_are_the_same_document(shop: Shop) -> None:
    fill(shop, raw(7, quantity=7))
    shop.run(raw=True)
    there = shop.documents()['["P-7"]']
    there.pop("_version")
    shop.send([shop.signed(b'["P-7"]', orjson.dumps(there))])
    counts = shop.run()
    assert (counts.unchanged, shop.count()) == (1, 1)


@pytest.mark.parametrize("make", bad_messages.ALL, ids=lambda make: make.__name__)
def test_a_bad_message_meets_its_end_and_those_around_it_pass(shop: Shop, make: Callable[[], BadMessage]) -> None:
    bad = make()
    around = [bad_messages.sound(n) for n in (101, 102)]
    shop.send([Message(shop.raw_topic, one.key, one.value) for one in (around[0], bad, around[1])])
    counts = shop.run(raw=True)
    held = [(row.place.position, row.reason, row.field, row.detail) for row in shop.held()]
    if bad.outcome.reason is None:
        assert (counts.admitted, held) == (3, [])
    else:
        assert counts.admitted == 2
        ((position, reason, field, detail),) = held
        assert (position, reason) == (1, bad.outcome.reason)
        assert field == bad.outcome.field
        assert detail == bad.outcome.detail


def test_personal_data_that_nobody_declared_is_held_and_indexed_nowhere(shop: Shop) -> None:
    fill(shop, raw(1), raw(2, title="call jo@example.com"), raw(3))
    assert shop.run(raw=True).quarantined == {"finding": 1}
    assert sorted(shop.documents()) == ['["P-1"]', '["P-3"]']


def test_a_record_of_a_moment_that_has_not_come_is_held(shop: Shop) -> None:
    fill(shop, raw(1, updatedAt="2026-11-21T12:04:59Z"), raw(2, updatedAt="2026-11-21T12:05:01Z"))
    counts = shop.run(raw=True)
    assert (counts.applied, counts.quarantined) == (1, {"ahead": 1})


def test_a_record_that_is_too_old_is_refused_and_leaves_a_count(dated: Shop) -> None:
    fill(
        dated,
        raw(1, listed_on="2026-01-01"),
        raw(2, listed_on="2024-01-01"),
        raw(3, listed_on="2025-11-01"),
        raw(4, listed_on="2025-12-31"),
    )
    counts = dated.run(raw=True)
    assert (counts.applied, counts.refused, counts.quarantined) == (2, {"expired": 2}, {})
    assert dated.held() == []


def test_records_are_in_an_index_a_month_of_their_own_date_and_a_tombstone_finds_them(dated: Shop) -> None:
    fill(dated, raw(1, listed_on="2026-01-01"), raw(2, listed_on="2026-01-31"), raw(3, listed_on="2026-11-20"))
    dated.run(raw=True)
    assert len(dated.documents()) == 3
    listed = httpx.get(f"{dated.search}/_cat/indices/{dated.alias}-*?format=json&h=index").json()
    assert {one["index"] for one in listed} == {f"{dated.alias}-2026-01", f"{dated.alias}-2026-11"}
    dated.send([dated.signed(b'["P-2"]', None)])
    assert dated.run().tombstones == 1
    assert sorted(dated.documents()) == ['["P-1"]', '["P-3"]']


def test_a_governed_record_that_has_become_too_old_on_its_way_is_refused(dated: Shop) -> None:
    old, new = date(2025, 3, 1), date(2026, 3, 1)
    dated.send(dated.messages([listing(1, listed_on=old), listing(2, listed_on=new)]))
    counts = dated.run()
    assert (counts.applied, counts.refused) == (1, {"expired": 1})
