"""What a stream does when Elasticsearch won't have a record, a mapping, or anything at all."""

from threading import Event

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from streaming import Noted, Shop, eventually, listing, running

from governance.adapters.metrics import StreamWatch, serving
from governance.errors import UserError
from local.elasticsearch import Elasticsearch

LONG = "x" * 40_000
"""More than a keyword of Elasticsearch holds."""


def block(shop: Shop, on: bool | None) -> None:
    """What Elasticsearch does itself when its disk is above the flood-stage watermark; None lifts it."""
    url = f"{shop.search}/{shop.alias}-000001/_settings"
    httpx.put(url, json={"index.blocks.read_only_allow_delete": on}, timeout=60).raise_for_status()


def test_the_index_is_what_the_contract_says(shop: Shop) -> None:
    shop.run()
    shop.run()  # a second time changes nothing
    found = httpx.get(f"{shop.search}/{shop.alias}/_mapping").json()
    mapping = found[f"{shop.alias}-000001"]["mappings"]
    assert mapping["dynamic"] == "strict"
    assert mapping["_meta"]["dataset"] == shop.plan.dataset
    assert mapping["_meta"]["contract_version"] == shop.plan.version
    kinds = {name: one["type"] for name, one in mapping["properties"].items()}
    assert kinds["id"] == kinds["category"] == kinds["price_band"] == kinds["seller_id"] == "keyword"
    assert kinds["title"] == "text" and mapping["properties"]["title"]["fields"]["keyword"]["type"] == "keyword"
    assert kinds["price_min"] == kinds["rating"] == "double"
    assert kinds["quantity"] == "long" and kinds["updated_at"] == "date"
    assert set(kinds) == set(shop.plan.message_columns().names)


def test_prices_and_moments_can_be_ranged_over_and_stand_exactly(shop: Shop) -> None:
    shop.send(shop.messages([listing(n) for n in range(5)]))
    shop.run()
    query = {"bool": {"filter": [{"range": {"price_min": {"gt": 7.91, "lt": 7.93}}}, {"match": {"title": "mint"}}]}}
    shop.count()
    hits = httpx.post(f"{shop.search}/{shop.alias}/_search", json={"query": query}).json()["hits"]["hits"]
    assert len(hits) == 5
    assert {hit["_source"]["price_min"] for hit in hits} == {"7.92"}
    assert hits[0]["_source"]["updated_at"].endswith("Z") and len(hits[0]["_source"]["updated_at"]) == 27


def test_an_index_with_another_mapping_is_refused_with_a_sentence(shop: Shop) -> None:
    body = {"mappings": {"properties": {"quantity": {"type": "text"}}}}
    httpx.put(f"{shop.search}/{shop.alias}-000001", json=body).raise_for_status()
    shop.send(shop.messages([listing(1)]))
    with pytest.raises(UserError, match=r"mapping of .* can't become"):
        shop.run()
    assert shop.counted().read == 0


def test_another_datasets_index_is_left_alone(shop: Shop) -> None:
    template = {"index_patterns": ["nothing-*"], "_meta": {"dataset": "other.things/thing"}}
    httpx.put(f"{shop.search}/_index_template/{shop.alias}", json=template).raise_for_status()
    with pytest.raises(UserError, match=r"other\.things/thing"):
        shop.run()


@pytest.mark.parametrize("poison", ["a value that its field can't hold", "an identity that is too long"])
def test_of_ten_thousand_only_the_poisoned_record_is_held(shop: Shop, poison: str) -> None:
    rows = [listing(n) for n in range(10_000)]
    rows[6_543] = listing(6_543, **({"category": LONG} if "value" in poison else {"id": "P-" + "7" * 600}))
    shop.send(shop.messages(rows))
    counts = shop.run()
    assert counts.quarantined == {"sink": 1}
    assert (counts.read, counts.admitted) == (10_000, 9_999)
    (held,) = shop.held()
    assert (held.place.position, held.day is not None) == (6_543, True)
    assert shop.count() == 9_999


def test_an_index_that_refuses_everything_is_waited_for(shop: Shop) -> None:
    shop.send(shop.messages([listing(n, category=LONG) for n in range(300)]))
    watch = Noted()
    with running(shop.stream(watch=watch)):
        assert "refuses every record" in eventually(lambda: watch.now)
        assert shop.counted().read == len(shop.held()) < 100
        mended = {"properties": {"category": {"type": "keyword", "ignore_above": 100}}}
        httpx.put(f"{shop.search}/{shop.alias}-000001/_mapping", json=mended).raise_for_status()
        eventually(lambda: shop.counted().read == 300)
    assert shop.count() == shop.counted().admitted == 300 - len(shop.held())


def test_a_full_disk_is_waited_for_and_nothing_is_lost(shop: Shop) -> None:
    shop.run()
    block(shop, on=True)
    shop.send(shop.messages([listing(n) for n in range(3_000)]))
    watch = StreamWatch(shop.plan.dataset, lambda: shop.services.standings(shop.dataset))
    stream = shop.stream()
    stream.watch = watch
    with serving(watch, "127.0.0.1", 0) as port, running(stream):
        waiting = eventually(lambda: _unwell(port))
        assert waiting["status"] == "waiting"
        assert "watermark" in waiting["waits_for"]["products"]
        assert shop.counted().read == 0
        assert scraped(port, "kasbah_stream_lag_records", part=f"{shop.topic}/0") == 3_000
        assert scraped(port, "kasbah_stream_waiting", source="products") == 1
        block(shop, on=None)
        eventually(lambda: shop.counted().read == 3_000)
        assert eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200)
        assert scraped(port, "kasbah_stream_records_total", part=f"{shop.topic}/0", outcome="applied") == 3_000
        assert scraped(port, "kasbah_stream_lag_records", part=f"{shop.topic}/0") == 0
    assert shop.count() == shop.counted().admitted == 3_000


def scraped(port: int, name: str, **labels: str) -> float:
    """One value of /metrics."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    (value,) = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
    return value


def _unwell(port: int) -> dict[str, str] | None:
    answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30)
    return orjson.loads(answer.content) if answer.status_code == 503 else None


def test_told_to_stop_while_it_waits_it_stops_and_begins_there_again(shop: Shop) -> None:
    shop.run()
    block(shop, on=True)
    shop.send(shop.messages([listing(n) for n in range(50)]))
    watch = Noted()
    with running(shop.stream(watch=watch)):
        eventually(lambda: watch.now)
    assert shop.counted().read == 0
    block(shop, on=None)
    assert shop.run().applied == 50


def test_a_restart_of_elasticsearch_in_between_changes_nothing(shop: Shop, elasticsearch: Elasticsearch) -> None:
    watch = Noted()
    with running(shop.stream(watch=watch)):
        shop.send(shop.messages([listing(n) for n in range(2_000)]))
        eventually(lambda: shop.counted().read >= 1_000)
        elasticsearch.kill()
        shop.send(shop.messages([listing(n) for n in range(2_000, 4_000)]))
        eventually(lambda: watch.now)
        assert "doesn't answer" in watch.waited[-1] or "takes nothing" in watch.waited[-1]
        elasticsearch.start()
        eventually(lambda: shop.counted().read == 4_000, 120)
    assert shop.count() == shop.counted().admitted == 4_000
    assert shop.held() == []


def test_an_index_that_is_deleted_meanwhile_is_made_again_with_its_mapping(shop: Shop) -> None:
    stream = shop.stream()
    stream.run(Event(), once=True)
    httpx.delete(f"{shop.search}/{shop.alias}-000001").raise_for_status()
    shop.send(shop.messages([listing(1)]))
    stream.run(Event(), once=True)
    found = httpx.get(f"{shop.search}/{shop.alias}/_mapping").json()
    assert found[f"{shop.alias}-000001"]["mappings"]["dynamic"] == "strict"
