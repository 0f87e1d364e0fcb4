"""What the generators say must become of each row is what the contracts' enforcement makes of it, row by row."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from desk import Desk

from governance.adapters.kafka.raw_values import read_values
from governance.adapters.presidio.scanner import PresidioScanner
from governance.adapters.sources.json_batch import Gathering
from governance.adapters.sources.json_values import decode, to_row
from governance.contracts.load import load_contract
from governance.enforcement.apply import enforce
from governance.enforcement.outcomes import Enforced
from governance.enforcement.plan import compile_plan
from governance.enforcement.reading import with_origin
from samples import bad_messages, products, users
from samples.feed import Feed, moment_at
from samples.feed_truth import truth_of
from samples.products import Product, ProductSource
from samples.rows import Outcome
from samples.traits import REFUSED, Row
from samples.users import UserSource

CONTRACTS = Path(__file__).parents[2] / "contracts"
Why = tuple[str | None, str | None, str | None]
ROWS = 1500
ADMITTED: Why = (None, None, None)
LEAP_EVE = datetime(2026, 2, 28, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def scanner() -> PresidioScanner:
    return PresidioScanner(limit_seconds=60)


def _enforced(desk: Desk, scanner: PresidioScanner, path: str, source: str, rows: list[Row[Any]]) -> Enforced:
    gathering = Gathering()
    for row in rows:
        gathering.row(to_row(decode(orjson.dumps(row.record).decode())))
    batch = gathering.batch("page")
    return _judged(desk, scanner, path, source, batch.records, batch.positions)


def _judged(
    desk: Desk, scanner: PresidioScanner, path: str, source: str, records: pa.RecordBatch, positions: pa.Array
) -> Enforced:
    contract = load_contract(CONTRACTS / path)
    plan = compile_plan(contract.datasets[0], contract)
    with desk.keyring.lease("test") as lease:
        return enforce(with_origin(records, source, "page", positions), plan, lease.keys, scanner, desk.clock)


def _outcomes(enforced: Enforced) -> dict[int, Why]:
    found: dict[int, Why] = dict.fromkeys(enforced.admitted.column("kasbah_position").to_pylist(), ADMITTED)
    for row in enforced.quarantined.to_pylist():
        found[row["position"]] = (row["reason"], row["field"], row["detail"])
    for row in enforced.refused.to_pylist():
        found[row["position"]] = (row["reason"], None, None)
    return found


def _expected(outcome: Outcome) -> Why:
    if outcome.reason in REFUSED:
        return outcome.reason, None, None
    return outcome.reason, outcome.field, outcome.detail


def _differences(rows: list[Row[Any]], enforced: Enforced) -> Iterator[tuple[Any, ...]]:
    found = _outcomes(enforced)
    for place, row in enumerate(rows):
        if found[place] != _expected(row.outcome):
            yield row.trait, _expected(row.outcome), found[place]


def test_listings_meet_the_outcome_that_was_planted(desk: Desk, scanner: PresidioScanner) -> None:
    source = ProductSource(Feed(keys=ROWS - 500))
    rows = list(source.rows(0, ROWS))
    enforced = _enforced(desk, scanner, "store/products.odcs.yaml", "products_api", rows)
    assert list(_differences(rows, enforced)) == []
    counts = truth_of(rows)
    assert enforced.admitted.num_rows == counts["admitted"]
    assert enforced.quarantined.num_rows == counts["quarantined"] > 30


@pytest.mark.parametrize("now", [None, LEAP_EVE, LEAP_EVE.replace(month=3, day=1)])
def test_people_meet_the_outcome_that_was_planted(desk: Desk, scanner: PresidioScanner, now: datetime | None) -> None:
    desk.now = now or desk.now
    source = UserSource(Feed(keys=ROWS - 500), today=desk.now.date())
    rows = list(source.rows(0, ROWS))
    enforced = _enforced(desk, scanner, "users/people.odcs.yaml", "users_api", rows)
    assert list(_differences(rows, enforced)) == []
    counts = truth_of(rows)
    assert enforced.refused.num_rows == counts["refused"] > 30
    assert enforced.quarantined.num_rows == counts["quarantined"] > 15


def test_an_admitted_listing_says_what_its_marketplace_means(desk: Desk, scanner: PresidioScanner) -> None:
    rows = list(ProductSource(Feed(seed=11)).rows(0, 1000))
    admitted = _enforced(desk, scanner, "store/products.odcs.yaml", "products_api", rows).admitted.to_pylist()
    assert len(admitted) > 900
    for found in admitted:
        row: Row[Product] = rows[found["kasbah_position"]]
        meant, bare = row.facts, row.trait == "nothing_in_words"
        assert (found["id"], unescape(found["title"]), found["category"]) == (meant.id, meant.title, meant.category)
        assert (_cents(found["price_min"]), _cents(found["price_max"])) == (meant.low, meant.high)
        assert _cents(found["promotion_price"]) == (None if bare else meant.promotion)
        assert found["price_band"] == ("low" if meant.low <= 5000 else "medium" if meant.low <= 20000 else "high")
        assert (found["quantity"], found["reviews"], found["ship_days"]) == (
            meant.quantity,
            meant.reviews,
            meant.ship_days,
        )
        assert found["updated_at"] == moment_at(row.version)


def _cents(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount * 100)


def test_records_without_defects_are_all_admitted(desk: Desk, scanner: PresidioScanner) -> None:
    for path, source, made in (
        ("store/products.odcs.yaml", "products_raw", products.records(19, 1500)),
        ("users/people.odcs.yaml", "users_raw", users.records(19, 1500)),
    ):
        found = read_values([(place, orjson.dumps(record)) for place, record in enumerate(made)])
        enforced = _judged(desk, scanner, path, source, found.records, found.positions)
        assert enforced.admitted.num_rows == 1500


def test_bad_messages_are_held_each_for_its_reason_and_take_no_other_with_them(
    desk: Desk, scanner: PresidioScanner
) -> None:
    messages = [message for make in bad_messages.ALL for message in (make(), bad_messages.sound(1))]
    found = read_values([(place, message.value) for place, message in enumerate(messages)])
    enforced = _judged(desk, scanner, "store/products.odcs.yaml", "products_raw", found.records, found.positions)
    outcomes = _outcomes(enforced) | {one.position: ("malformed", None, str(one.reason)) for one in found.malformed}
    assert [(message.name, outcomes[place]) for place, message in enumerate(messages)] == [
        (message.name, _expected(message.outcome)) for message in messages
    ]
