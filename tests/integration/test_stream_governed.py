"""What becomes of each message of a governed topic on its way into Elasticsearch."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from streaming import Shop, listing

from governance.enforcement.outcomes import Reason
from governance.model.message import Message

LATER = datetime(2026, 11, 21, 11, tzinfo=UTC)


def reasons(shop: Shop) -> list[tuple[int, str]]:
    """Position and reason of what is held."""
    return sorted((row.place.position, row.reason) for row in shop.held())


def changed(message: Message, **changes: object) -> Message:
    """The listing with other cells, under its old MAC."""
    return replace(message, value=orjson.dumps(orjson.loads(message.value or b"{}") | changes))


def test_every_listing_reaches_the_index_once_as_it_was_sent(shop: Shop) -> None:
    sent = shop.messages([listing(n) for n in range(1200)])
    shop.send(sent)
    counts = shop.run()
    assert (counts.read, counts.admitted, counts.applied) == (1200, 1200, 1200)
    there = shop.documents()
    assert len(there) == 1200
    one = there['["P-7"]']
    assert one.pop("_version") == 1_795_255_207_000_007  # microseconds of its updated_at
    assert one == orjson.loads(sent[7].value or b"")


def test_reading_on_begins_where_it_ended(shop: Shop) -> None:
    shop.send(shop.messages([listing(1)]))
    assert shop.run().read == 1
    assert shop.run().read == 0
    shop.send(shop.messages([listing(2)]))
    assert shop.run().read == 1
    assert shop.counted().admitted == shop.count() == 2


def test_altered_forged_and_moved_messages_are_held_and_the_others_go_on(shop: Shop) -> None:
    good = shop.messages([listing(n) for n in range(8)])
    (stolen,) = shop.messages([listing(99)])
    shop.send(
        [
            *good[:4],
            changed(good[4], price_min="0.01"),
            Message(shop.topic, b'["P-50"]', good[5].value),
            replace(good[5], key=b'["P-51"]'),
            replace(stolen, value=None),
            replace(
                stolen, headers=tuple((n, v[:-1] + b"?") if n == "kasbah-mac" else (n, v) for n, v in stolen.headers)
            ),
            *good[6:],
        ]
    )
    counts = shop.run()
    assert counts.quarantined == {"forged": 5}
    assert reasons(shop) == [(place, "forged") for place in range(4, 9)]
    assert sorted(shop.documents()) == [f'["P-{n}"]' for n in (0, 1, 2, 3, 6, 7)]


def test_a_message_of_another_topic_counts_for_nothing_here(shop: Shop) -> None:
    (one,) = shop.messages([listing(1)])
    elsewhere = shop.signed(b'["P-1"]', one.value)
    genuine_there = replace(elsewhere, topic="another")
    from governance.protection.messages import sign

    genuine_there = sign(genuine_there, shop.plan.dataset, shop.plan.version, shop.key_id, shop.key)
    shop.send([replace(genuine_there, topic=shop.topic)])
    assert shop.run().quarantined == {"forged": 1}
    assert shop.count() == 0


def test_what_comes_twice_or_late_changes_nothing(shop: Shop) -> None:
    old, new = listing(1, quantity=1), listing(1, quantity=2, updated_at=LATER)
    shop.send(shop.messages([new, new, old, listing(2)]))
    shop.run()
    shop.send(shop.messages([new, old]))
    shop.run()
    counts = shop.counted()
    assert (counts.applied, counts.unchanged, counts.superseded) == (2, 2, 2)
    assert shop.documents()['["P-1"]']["quantity"] == 2


def test_other_content_in_the_same_version_is_held(shop: Shop) -> None:
    shop.send(shop.messages([listing(1, quantity=1)]))
    shop.run()
    shop.send(shop.messages([listing(1, quantity=3), listing(2)]))
    assert shop.run().quarantined == {"conflict": 1}
    assert reasons(shop) == [(1, Reason.CONFLICT)]
    assert shop.documents()['["P-1"]']["quantity"] == 1


@pytest.mark.parametrize("version", ["1.1.0", "2.0.0", "0.9.0", "odd"])
def test_an_unknown_contract_version_is_held(shop: Shop, version: str) -> None:
    (one,) = shop.messages([listing(1)])
    shop.send([shop.signed(one.key or b"", one.value, version)])
    assert shop.run().quarantined == {"version": 1}
    assert shop.count() == 0


def test_a_tombstone_deletes_and_what_comes_later_returns(shop: Shop) -> None:
    shop.send(shop.messages([listing(n) for n in range(4)]))
    shop.run()
    gone = shop.signed(b'["P-1"]', None)
    never = shop.signed(b'["P-77"]', None)
    shop.send([gone, never, shop.signed(b'["P-2"]', None), *shop.messages([listing(2, updated_at=LATER)])])
    counts = shop.run()
    assert (counts.read, counts.tombstones, counts.applied) == (4, 3, 1)
    assert sorted(shop.documents()) == ['["P-0"]', '["P-2"]', '["P-3"]']


def test_a_tombstone_takes_what_stands_before_it_in_its_batch(shop: Shop) -> None:
    shop.send([*shop.messages([listing(1), listing(1, updated_at=LATER), listing(2)]), shop.signed(b'["P-1"]', None)])
    counts = shop.run()
    assert (counts.admitted, counts.tombstones) == (3, 1)
    assert sorted(shop.documents()) == ['["P-2"]']


def test_genuine_messages_that_are_no_listings_are_held_one_by_one(shop: Shop) -> None:
    (good,) = shop.messages([listing(1)])
    row = orjson.loads(good.value or b"{}")
    bodies = [
        (b"{not json", "malformed"),
        (b"", "malformed"),
        (b"[1]", "malformed"),
        (orjson.dumps(row | {"extra": 1}), "malformed"),
        (orjson.dumps(row | {"quantity": "many"}), "type"),
        (orjson.dumps(row | {"quantity": 1.0}), "type"),
        (orjson.dumps(row | {"quantity": True}), "type"),
        (orjson.dumps(row | {"title": 5}), "type"),
        (orjson.dumps(row | {"price_min": "7.921"}), "type"),
        (orjson.dumps(row | {"updated_at": "yesterday"}), "type"),
        (orjson.dumps(row | {"updated_at": "1969-12-31T23:59:59.000000Z"}), "type"),
        (orjson.dumps(row | {"id": None}), "required"),
        (orjson.dumps({k: v for k, v in row.items() if k != "updated_at"}), "required"),
    ]
    shop.send([good, *(shop.signed(b"k", body) for body, _ in bodies), *shop.messages([listing(2)])])
    counts = shop.run()
    assert [reason for _, reason in reasons(shop)] == [reason for _, reason in bodies]
    assert (counts.admitted, shop.count()) == (2, 2)
    assert {row.field for row in shop.held() if row.reason == "required"} == {"id", "updated_at"}


def test_a_value_with_lines_is_one_document(shop: Shop) -> None:
    (good,) = shop.messages([listing(1)])
    lines = orjson.dumps(orjson.loads(good.value or b"{}"), option=orjson.OPT_INDENT_2)
    shop.send([shop.signed(good.key or b"", lines)])
    assert shop.run().applied == 1
    assert list(shop.documents()) == ['["P-1"]']


def test_large_messages_pass_or_are_held_without_their_body(shop: Shop) -> None:
    large = shop.messages([listing(1, title="tea " * 2_500_000), listing(2)])
    forged = Message(shop.topic, b"k", b"x" * 10_000_000)
    shop.send([large[0], forged, large[1]])
    counts = shop.run()
    assert (counts.admitted, counts.quarantined) == (2, {"forged": 1})
    (held,) = shop.held()
    assert (held.length, held.sealed, held.day) == (10_000_000, None, None)
    assert shop.count() == 2


def test_the_time_of_a_message_is_not_what_decides(shop: Shop) -> None:
    shop.now += timedelta(days=3000)
    shop.send(shop.messages([listing(1)]))
    assert shop.run().admitted == 1
