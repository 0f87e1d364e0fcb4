"""Collectors, consumers and Spark's driver are killed with SIGKILL again and again, Kafka and Elasticsearch go away in
between, and the sources never pause. In the end each record is where its source says that it must be, once.

KASBAH_KILLS says how many kills (10 unless said; `make soak` asks for 100), KASBAH_KILL_SEED repeats their moments.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from feed_truth import Shape, held, outcomes, unread
from killing import Havoc, draws, kills, load
from opening import held_records, services_of
from people_stores import assert_shown, counted_people, stored_people
from people_truth import UNREAD, figures, hashable, plain
from product_truth import comparable, document, indexed
from services import make_topic
from stacks import Make, Stack
from streams import (
    DRAINING,
    NO_RECORDS,
    Stranger,
    feed,
    kasbah,
    on_services,
    read_to_its_end,
    served,
    spark,
    without_index,
    without_people,
    without_topics,
)
from watching import Watch
from workers import at_work, until

from local.cassandra import Cassandra
from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.mongodb import MongoDB
from samples.feed_truth import final_of
from samples.products import ProductSource
from samples.products.api import ProductApi
from samples.ticks import Ticks
from samples.traits import Row
from samples.users import UserSource
from samples.users.api import UserApi

pytestmark = pytest.mark.timeout(7200)
PEOPLE, PRODUCTS = "users.people/person", "store.products/product"


@pytest.fixture
def shop(make_stack: Make, kafka: Kafka, elasticsearch: Elasticsearch) -> Stack:
    """An installation on services that know nothing of its dataset yet."""
    without_topics(kafka, "products", "products_raw")
    without_index(elasticsearch, "index_products")
    return on_services(make_stack(), kafka, elasticsearch)


def test_each_listing_is_indexed_once_however_often_collector_and_consumer_are_killed(
    shop: Stack, kafka: Kafka, elasticsearch: Elasticsearch
) -> None:
    source, ticks = ProductSource(feed(31, keys=2000, changed=60, fresh=15)), Ticks()
    collector = kasbah(shop, "collector", "collect", "store.products", "--every", "0.2")
    consumer = kasbah(shop, "consumer", "stream", "run", "store.products", "--source", "products")
    with served(shop, "products_api", ProductApi(source, ticks), ticks), Watch(shop.control, PRODUCTS) as watch:
        with at_work(collector, consumer):
            with load(ticks.advance, every=0.25):
                havoc = Havoc(draws("products"), watch, {"collect": collector, "stream": consumer})
                havoc.reign(kills(4), [kafka, elasticsearch])
            there = source.feed.rows(ticks.now())
            until("all is collected", lambda: watch.counts("collect")["read"] >= there, havoc.workers, DRAINING)
            read_to_its_end(watch, "stream", kafka.address, "products", havoc.workers)
            collector.stop()
            consumer.stop()
        rows = list(source.rows(0, there))
        _assert_counted(watch.counts("collect"), outcomes(rows), len(rows))
        streamed = watch.counts("stream")
        assert streamed["read"] == streamed["admitted"] >= len(final_of(rows))
    _assert_indexed(elasticsearch, rows)
    _assert_held(shop, held(rows))


def test_each_raw_record_is_enforced_once_however_often_its_consumer_is_killed(
    shop: Stack, kafka: Kafka, elasticsearch: Elasticsearch
) -> None:
    """The raw topic is somebody else's, who goes on filling it meanwhile."""
    make_topic(kafka, "products_raw", partitions=3)
    source = ProductSource(feed(32, keys=2000, changed=60, fresh=15))
    stranger = Stranger(kafka.address, "products_raw", (row.record for row in source.rows(0, 10**9)))
    consumer = kasbah(shop, "consumer", "stream", "run", "store.products", "--source", "products_raw")
    with Watch(shop.control, PRODUCTS) as watch:
        with at_work(consumer):
            with load(stranger.step, every=0.25):
                havoc = Havoc(draws("raw products"), watch, {"stream": consumer})
                havoc.reign(kills(2), [kafka])
            stranger.finish()
            read_to_its_end(watch, "stream", kafka.address, "products_raw", havoc.workers)
            consumer.stop()
        rows = list(source.rows(0, stranger.records))
        truth = outcomes(rows) + Counter({"quarantined.malformed": stranger.steps * len(NO_RECORDS)})
        _assert_counted(watch.counts("stream"), truth, truth.total())
    _assert_indexed(elasticsearch, rows)
    malformed = Counter(unread(value) if value is not None else frozenset() for value in NO_RECORDS)
    none = Counter({("malformed", shape): count * stranger.steps for shape, count in malformed.items()})
    _assert_held(shop, held(rows) + none)


def test_each_person_is_stored_and_counted_once_however_often_collector_and_spark_are_killed(
    make_stack: Make, kafka: Kafka, cassandra: Cassandra, mongodb: MongoDB
) -> None:
    without_topics(kafka, "users", "users_raw")
    without_people(cassandra, mongodb)
    stack = on_services(make_stack(), kafka, cassandra, mongodb)
    began = datetime.now(UTC).date()
    source, ticks = UserSource(feed(33, keys=600, changed=30, fresh=3), today=began), Ticks()
    collector = kasbah(stack, "collector", "collect", "users.people", "--every", "0.2")
    driver = spark(stack, "driver", "--topic", "governed")
    with served(stack, "users_api", UserApi(source, ticks), ticks), Watch(stack.control, PEOPLE) as watch:
        with at_work(collector, driver):
            with load(ticks.advance, every=0.25):
                havoc = Havoc(draws("users"), watch, {"collect": collector, "spark": driver})
                havoc.reign(kills(4), [kafka])
            there = source.feed.rows(ticks.now())
            until("all is collected", lambda: watch.counts("collect")["read"] >= there, havoc.workers, DRAINING)
            read_to_its_end(watch, "spark", kafka.address, "users", havoc.workers)
            collector.stop()
            driver.stop()
        rows = list(source.rows(0, there))
        _assert_counted(watch.counts("collect"), outcomes(rows), len(rows))
        streamed = watch.counts("spark")
        assert streamed["read"] == streamed["admitted"] >= len(final_of(rows))
    aged = datetime.now(UTC).date() == began
    people = [plain(row, began) for row in final_of(rows).values()]
    with services_of(stack) as services:
        stored = stored_people(services, cassandra)
        found = held_records(services, PEOPLE)
    assert Counter(hashable(one, aged=aged) for one in stored) == Counter(hashable(one, aged=aged) for one in people)
    wanted = held(rows, UNREAD)
    assert (found - wanted, wanted - found) == (Counter(), Counter())
    if aged:
        assert counted_people(mongodb) == figures(people)
    assert_shown(mongodb, figures(stored))


def _assert_counted(counted: Counter[str], truth: Counter[str], read: int) -> None:
    """Every outcome of the truth is counted as often as it is true, and nothing else is."""
    assert counted["read"] == read
    of_outcomes = {name for name in counted if name == "admitted" or name.startswith(("quarantined.", "refused."))}
    assert {name: counted[name] for name in of_outcomes} == dict(truth)


def _assert_indexed(elasticsearch: Elasticsearch, rows: Sequence[Row[Any]]) -> None:
    """Of each product with an admitted row there is one document: that of the newest, field by field."""
    found, wanted = indexed(elasticsearch.address, "index_products"), final_of(rows)
    assert found.keys() == wanted.keys()
    for key, stored in found.items():
        (one,) = stored
        assert one.pop("_id") == f'["{key}"]'
        assert one.pop("_version") == wanted[key].version
        assert comparable(one) == document(wanted[key])


def _assert_held(stack: Stack, wanted: Counter[tuple[str, Shape]]) -> None:
    """Each record that must be in quarantine is there once for each time that it was given, and nothing else is."""
    with services_of(stack) as services:
        found = held_records(services, PRODUCTS)
    assert (found - wanted, wanted - found) == (Counter(), Counter())
