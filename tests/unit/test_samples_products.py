"""The marketplace's listings: the same from the same seed, changing with the ticks, with every defect, and known."""

import json
import re
from itertools import islice
from typing import Any

import pytest

from samples.feed import Feed, written
from samples.feed_truth import final, final_of, truth, truth_of
from samples.products import ProductSource, records
from samples.products.listing import CATEGORIES
from samples.products.traits import TRAITS
from samples.seeded import stream
from samples.traits import ECHO

FIELDS = ["id", "title", "category", "price", "promotionPrice", "quantity", "rating", "reviews", "sellerId",
          "sellerRating", "shipFrom", "shipDays", "updatedAt"]  # fmt: skip


def test_the_same_seed_makes_the_same_listings_wherever_one_begins() -> None:
    rows = [row.record for row in ProductSource(Feed(seed=3)).rows(0, 1200)]
    again = ProductSource(Feed(seed=3))
    places = list(range(1200))
    stream(1, "order").shuffle(places)
    assert {place: again.row(place).record for place in places} == dict(enumerate(rows))
    assert [row.record for row in ProductSource(Feed(seed=4)).rows(0, 1200)] != rows


def test_a_sound_listing_has_every_field_in_its_type() -> None:
    for record in records(5, 500):
        assert list(record) == FIELDS
        assert re.fullmatch(r"P-\d+", record["id"])
        assert re.fullmatch(r"\d+\.\d\d( - \d+\.\d\d)?", record["price"])
        assert record["category"] in CATEGORIES
        assert record["quantity"] >= 0
        assert record["title"] == record["title"].strip()
        low, _, high = record["price"].partition(" - ")
        assert float(low) < float(high or "inf")
    assert len({record["id"] for record in records(5, 500)}) == 500


def test_every_thousand_rows_hold_each_defect_as_often_as_declared() -> None:
    source = ProductSource(Feed(keys=4000))
    for start in (0, 1000, 2377):
        counts = truth_of(source.rows(start, start + 1000))["traits"]
        assert counts == {trait.name: trait.share for trait in TRAITS}


@pytest.mark.parametrize("share", [0.01, 0.5, 1])
def test_the_share_of_defects_can_be_chosen(share: float) -> None:
    counts = truth_of(ProductSource(Feed(keys=20_000), share).rows(0, 20_000))
    assert sum(counts["traits"].values()) == pytest.approx(20_000 * share, rel=0.03)


def test_what_was_planted_can_be_seen_in_the_records() -> None:
    source = ProductSource(Feed(keys=2000))
    rows = [json.loads(json.dumps(row.record)) for row in source.rows(0, 2000)]
    counts = truth(source)["traits"]
    moments = [str(r["updatedAt"]) for r in rows]
    seen = {
        "missing_id": sum(not r.get("id") for r in rows),
        "negative_quantity": sum(str(r["quantity"]).startswith("-") for r in rows),
        "unknown_category": sum(r["category"] not in CATEGORIES for r in rows),
        "email_in_title": sum("@" in r["title"] for r in rows),
        "phone_in_title": sum("+44" in r["title"] for r in rows),
        "padded_title": sum(r["title"] != r["title"].strip() for r in rows),
        "html_entities": sum("&#" in r["title"] for r in rows),
        "currency_sign": sum("$" in str(r["price"]) for r in rows),
        "text_numbers": sum(isinstance(r["shipDays"], str) for r in rows),
        "no_moment": moments.count("None"),
        "other_zone": sum(bool(re.search(r"[+-]\d\d:\d\d$", m)) for m in moments),
        "future": sum(m > "2060" and m[:4].isdecimal() for m in moments if "/" not in m and "," not in m),
        "unknown_column": sum("badge" in r for r in rows),
    }
    assert seen == {name: counts[name] for name in seen}
    assert all(place <= row - 37 for row, place in _echoes(source))


def _echoes(source: ProductSource) -> list[tuple[int, int]]:
    """Where a record comes again and where it came before."""
    before: dict[str, int] = {}
    found = []
    for row in source.rows(0, 2000):
        text = json.dumps(row.record)
        if row.trait == ECHO:
            found.append((row.serial, before[text]))
        before[text] = row.serial
    assert len(found) == 24
    return found


def test_later_ticks_change_prices_and_bring_products() -> None:
    source = ProductSource(Feed(keys=400), share=0)
    first, later = final(source), final(source, tick=10)
    assert len(later) - len(first) == 10 * source.feed.news
    changed = [key for key, row in first.items() if later[key].version > row.version]
    assert 20 < len(changed) <= 10 * source.feed.changes
    for key in changed:
        was, now = first[key].facts, later[key].facts
        assert (was.title, was.category, was.seller_id) == (now.title, now.category, now.seller_id)
    assert sum(first[key].facts.low != later[key].facts.low for key in changed) > len(changed) * 0.9


def test_the_newest_admitted_row_stays_in_whatever_order_rows_come() -> None:
    source = ProductSource(Feed(keys=300, changed=50))
    rows = list(source.rows(0, source.feed.rows(8)))
    expected = {key: (row.version, row.facts) for key, row in final(source, tick=8).items()}
    stream(2, "order").shuffle(rows)
    assert {key: (row.version, row.facts) for key, row in final_of(rows + rows[:40]).items()} == expected
    newest: dict[str, int] = {}
    for row in rows:
        if row.outcome.reason is None:
            newest[row.key] = max(row.version, newest.get(row.key, 0))
    assert newest == {key: version for key, (version, _) in expected.items()}


def test_the_truth_of_all_ticks_is_the_sum_of_each() -> None:
    source = ProductSource(Feed(keys=500))
    whole, parts = truth(source, 6), [truth(source, tick, tick) for tick in range(7)]
    for count in ("rows", "admitted", "quarantined", "refused"):
        assert whole[count] == sum(part[count] for part in parts)
    assert whole["rows"] == whole["admitted"] + whole["quarantined"] + whole["refused"] == source.feed.rows(6)
    assert whole["held"] == [line for part in parts for line in part["held"]]
    assert len(whole["held"]) == whole["quarantined"]
    json.dumps(whole)


def test_made_up_people_have_addresses_and_numbers_of_nobody() -> None:
    titles = " ".join(row.record["title"] for row in ProductSource(Feed(keys=5000)).rows(0, 5000))
    assert set(re.findall(r"@([\w.]+)", titles)) == {"example.org"}
    assert all(re.fullmatch(r"\+44 20 7946 0\d{3}", number) for number in re.findall(r"\+44 [\d ]+\d", titles))


def test_versions_are_what_the_record_says() -> None:
    for row in islice(ProductSource(Feed(), share=0).rows(0, 50), 50):
        record: dict[str, Any] = row.record
        assert record["updatedAt"] == written(row.version)
