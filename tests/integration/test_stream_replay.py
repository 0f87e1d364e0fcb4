"""Held rows of topics, sent again: exactly once into the index, and only what somebody vouches for."""

import httpx
import pytest
from streaming import Shop, listing
from test_stream_raw import fill, raw

from governance.errors import StoreUnavailableError
from governance.flows.stream_replay import Replayed, StreamReplay
from governance.model.message import Message
from governance.quarantine.store import Selection

LONG = "x" * 40_000


def replayed(shop: Shop, reason: str | None = None) -> Replayed:
    """`kasbah quarantine replay`, of this shop's topics."""
    total = Replayed()
    for is_raw in (False, True):
        work = shop.stream(raw=is_raw).work
        governed = shop.stream().work.reader
        replay = StreamReplay(work, governed, shop.services.quarantine, shop.services.keyring.for_reading)
        total += replay.run(Selection(reason=reason, source=work.source))
    return total


@pytest.fixture(autouse=True)
def _nothing_of_others(shop: Shop) -> None:
    """The tests share a control database."""
    shop.services.quarantine.purge(Selection(shop.dataset.id))


def held_by_sink(shop: Shop) -> None:
    """Three listings that Elasticsearch won't have as it is now, among others that it takes."""
    rows = [listing(n) for n in range(10)]
    for n in (3, 5, 8):
        rows[n] = listing(n, category=LONG)
    shop.send(shop.messages(rows))
    assert shop.run().quarantined == {"sink": 3}


def test_what_the_sink_would_not_have_goes_in_once_it_would(shop: Shop) -> None:
    held_by_sink(shop)
    body = {"properties": {"category": {"type": "keyword", "ignore_above": 100}}}
    httpx.put(f"{shop.search}/{shop.alias}-000001/_mapping", json=body).raise_for_status()
    work = shop.stream().work
    work.sink.prepare = lambda: None  # type: ignore[method-assign]  # it would take the change back
    replay = StreamReplay(work, work.reader, shop.services.quarantine, shop.services.keyring.for_reading)  # type: ignore[arg-type]
    done = replay.run(Selection(source="products"))
    assert (done.rows, done.admitted, done.quarantined) == (3, 3, {})
    assert shop.held() == []
    counts = shop.counted()
    assert (counts.read, counts.admitted, counts.quarantined) == (10, 10, {})
    assert shop.count() == 10
    assert replay.run(Selection(source="products")).rows == 0


def test_what_fails_again_stays_once(shop: Shop) -> None:
    held_by_sink(shop)
    before = shop.held()
    done = replayed(shop)
    assert (done.admitted, done.quarantined) == (0, {"sink": 3})
    assert [row.place for row in shop.held()] == [row.place for row in before]
    assert [row.expires_at for row in shop.held()] == [row.expires_at for row in before]
    assert shop.counted().quarantined == {"sink": 3}


def test_a_forgery_is_never_sent_again(shop: Shop) -> None:
    (genuine,) = shop.messages([listing(1)])
    shop.send([Message(shop.topic, genuine.key, genuine.value)])
    assert shop.run().quarantined == {"forged": 1}
    done = replayed(shop)
    assert (done.rows, done.admitted, done.passed_over) == (1, 0, 1)
    assert len(shop.held()) == 1 and shop.count() == 0


def test_a_version_that_is_still_unknown_stays(shop: Shop) -> None:
    (one,) = shop.messages([listing(1)])
    shop.send([shop.signed(one.key or b"", one.value, "1.7.0")])
    shop.run()
    assert replayed(shop).passed_over == 1
    assert len(shop.held()) == 1


def test_a_version_that_is_known_by_now_goes_in(shop: Shop) -> None:
    (one,) = shop.messages([listing(1)])
    shop.send([shop.signed(one.key or b"", one.value, "1.7.0")])
    shop.run()
    file = shop.settings.contracts / "products.odcs.yaml"
    file.write_text(file.read_text().replace("version: 1.0.0", "version: 1.8.0"))
    shop.reopen()
    assert replayed(shop).admitted == 1
    assert shop.held() == [] and shop.count() == 1
    assert shop.counted().quarantined == {}


def test_raw_records_go_through_enforcement_again(shop: Shop) -> None:
    fill(shop, raw(1), raw(2, quantity="-4"), raw(3, category="Nowhere"), b"not json")
    assert shop.run(raw=True).quarantined == {"rule": 2, "malformed": 1}
    file = shop.settings.contracts / "products.odcs.yaml"
    file.write_text(file.read_text().replace("Office, Toys]", "Office, Toys, Nowhere]").replace("1.0.0", "1.1.0"))
    shop.reopen()
    done = replayed(shop)
    assert (done.rows, done.admitted, done.quarantined, done.passed_over) == (3, 1, {"rule": 1}, 1)
    assert sorted(row.reason for row in shop.held()) == ["malformed", "rule"]
    assert sorted(shop.documents()) == ['["P-1"]', '["P-3"]']
    counts = shop.counted()
    assert (counts.read, counts.admitted, counts.quarantined) == (4, 2, {"rule": 1, "malformed": 1})


def test_a_replay_that_breaks_off_is_made_good_by_the_next(shop: Shop) -> None:
    fill(shop, raw(1, category="Nowhere"))
    shop.run(raw=True)
    file = shop.settings.contracts / "products.odcs.yaml"
    file.write_text(file.read_text().replace("Office, Toys]", "Office, Toys, Nowhere]").replace("1.0.0", "1.1.0"))
    shop.reopen()
    settle = shop.services.progress.settle

    def away(*_: object) -> None:
        raise StoreUnavailableError("the control database can't be reached")

    shop.services.progress.settle = away  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailableError):
        replayed(shop)
    shop.services.progress.settle = settle  # type: ignore[method-assign]
    assert len(shop.held()) == 1
    assert replayed(shop).admitted == 1
    assert (shop.count(), shop.counted().admitted, shop.counted().unchanged) == (1, 1, 1)
