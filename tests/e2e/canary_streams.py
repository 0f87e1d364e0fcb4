"""Both streams over planted sources, to the end, with a crash and with forgeries; then every byte is searched.

Topics that are raw are sources: a stranger filled them, and they are left out. A forger writes into the governed topics
too, so their segments are searched before he does.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from canaries import CONTROL, Planter, controls, files_below, personal
from canary_flow import SETTINGS, Flow
from confluent_kafka import Producer
from killing import SLOWEST
from planting_streams import PlantedPeople, PlantedProducts, forged_values, raw_values
from pymongo import MongoClient
from services import make_topic
from stacks import installations
from streams import feed, on_services, read_to_its_end, served, session_of, spark, without_index, without_people
from watching import Watch
from workers import Worker, at_work

from local.cassandra import Cassandra
from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.mongodb import MongoDB
from local.postgres import Postgres
from samples.products.api import ProductApi
from samples.ticks import Ticks
from samples.users.api import UserApi

KAFKA = {
    "compression.type": "uncompressed",
    "message.max.bytes": "8000000",
    "log.index.size.max.bytes": "65536",
}
"""Whatever a producer compresses, segments are plain; they take what is larger than any record may be."""
INDEX = "index_products-000001"
PEOPLE, PRODUCTS = "users.people/person", "store.products/product"


@dataclass
class Places:
    """The stores of the story."""

    kafka: Kafka
    elasticsearch: Elasticsearch
    cassandra: Cassandra
    mongodb: MongoDB


@dataclass
class Story(Flow):
    """What went through both streams, and what was found."""

    counted: dict[str, dict[str, int]] = field(default_factory=dict)
    read_back: int = 0

    def search(self, *folders: Path, but: Callable[[Path], bool] = lambda _: False) -> None:
        """Every file below the folders, now: for what is there now, and may be gone later."""
        files = [path for path in files_below(*folders) if not but(path)]
        self.searched += sum(path.stat().st_size for path in files)
        self.hits += personal().files(files)
        self.found += controls().files(files)

    def search_text(self, name: str, text: bytes) -> None:
        """What was read back from a store."""
        self.read_back += len(text)
        self.hits += personal().within(text, name)
        self.found += controls().within(text, name)

    def spark(self, topic: str, *more: str) -> Worker:
        """The users stream over one of its topics."""
        words = ("--topic", topic, "--checkpoint", str(self.stack.folder / f"checkpoint-{topic}"), *more)
        return spark(self.stack, f"spark {topic}", *words, logs=self.stack.folder / "logs")


@contextmanager
def stream_story(
    sources: Postgres, elasticsearch: Elasticsearch, cassandra: Cassandra, mongodb: MongoDB
) -> Iterator[Story]:
    """The whole story. PostgreSQL and Kafka are its own; of the other services what it finds of its names is removed
    first."""
    folder = Path(tempfile.mkdtemp(prefix="kbs"))
    folder.chmod(0o755)
    with ExitStack() as held:
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        kafka = Kafka(folder / "kafka", options=KAFKA).start()
        held.callback(kafka.stop)
        server = Postgres.start(folder / "pg", SETTINGS)
        held.callback(_stop, server)
        make = held.enter_context(installations(server, sources))
        story = Story(make(actor=f"{CONTROL}-actor"), server, Planter())
        places = Places(kafka, elasticsearch, cassandra, mongodb)
        (story.stack.folder / "logs").mkdir(exist_ok=True)
        _prepare(story, places)
        _collect(story)
        story.search(kafka.data, but=_raw)
        _strangers(story, kafka)
        _consume(story, kafka)
        _look(story)
        _plant_controls(story)
        _search_stores(story, places)
        kafka.stop()
        _stop(server)
        story.search(kafka.folder, but=_topic)
        story.search(story.stack.folder, server.folder)
        yield story


def _stop(server: Postgres) -> None:
    running = Postgres.running(server.folder)
    if running:
        running.stop()


def _raw(path: Path) -> bool:
    return path.parent.name.startswith(("users_raw-", "products_raw-"))


def _topic(path: Path) -> bool:
    return _raw(path) or path.parent.name.startswith(("users-", "products-"))


def _prepare(story: Story, places: Places) -> None:
    """Nothing of an earlier story is there. What Elasticsearch takes stays in its log of operations, as it came."""
    address = places.elasticsearch.address
    without_index(places.elasticsearch, "index_products")
    settings = {"index": {"number_of_replicas": 0, "translog.flush_threshold_age": "1h"}}
    httpx.put(f"{address}/{INDEX}", json={"settings": settings}, timeout=60).raise_for_status()
    without_people(places.cassandra, places.mongodb)
    on_services(story.stack, places.kafka, places.elasticsearch, places.cassandra, places.mongodb)


def _collect(story: Story) -> None:
    people = PlantedPeople(feed(41, keys=500, changed=40, fresh=10), story.planter, "people")
    listings = PlantedProducts(feed(42, keys=300, changed=30, fresh=10), story.planter)
    with served(story.stack, "users_api", UserApi(people, Ticks(tick=1)), Ticks()):  # type: ignore[arg-type]
        story.run("collect users", "collect", "users.people", "--once")
    with served(story.stack, "products_api", ProductApi(listings, Ticks(tick=1)), Ticks()):
        story.run("collect products", "collect", "store.products", "--once")


def _strangers(story: Story, kafka: Kafka) -> None:
    """Others fill the raw topics, and one the governed ones."""
    for topic in ("users_raw", "products_raw"):
        make_topic(kafka, topic, partitions=3)
    options = {"bootstrap.servers": kafka.address, "message.max.bytes": 8_000_000, "log_level": 0}
    producer = Producer(options)
    people = PlantedPeople(feed(43, keys=400, changed=1, fresh=1), story.planter, "raw people")
    listings = PlantedProducts(feed(44, keys=200, changed=1, fresh=1), story.planter)
    for topic, source in (("users_raw", people), ("products_raw", listings)):
        for key, value in raw_values((row.record for row in source.rows(0, source.feed.keys)), story.planter):
            producer.produce(topic, value, key)
    for topic in ("users", "products"):
        for key, value in forged_values(story.planter):
            producer.produce(topic, value, key)
            producer.produce(topic, value, key, headers=_made_up(topic))
    assert producer.flush(60) == 0


def _made_up(topic: str) -> dict[str, bytes]:
    contract = {"users": PEOPLE, "products": PRODUCTS}[topic]
    return {
        "kasbah-contract": contract.encode(),
        "kasbah-version": b"1.0.0",
        "kasbah-key": b"m-00000000",
        "kasbah-mac": bytes(32),
    }


def _consume(story: Story, kafka: Kafka) -> None:
    """Consumers and Spark, to the topics' ends. Spark is killed once, so that what it keeps while it runs is left."""
    story.run("stream products", "stream", "run", "store.products", "--once")
    on_raw, on_governed = story.spark("raw"), story.spark("governed", "--once")
    with Watch(story.stack.control, PEOPLE) as watch, at_work(on_raw, on_governed):
        story.ended[on_governed.name] = on_governed.wait(SLOWEST)
        read_to_its_end(watch, "spark", kafka.address, "users_raw", [on_raw])
        on_raw.kill()


def _look(story: Story) -> None:
    """What people ask afterwards; and what the two streams counted."""
    for name, words in {
        "held people": ("quarantine", "list", "users.people", "--rows", "--limit", "100000", "--json"),
        "held products": ("quarantine", "list", "store.products", "--rows", "--limit", "100000", "--json"),
        "status": ("stream", "status"),
        "records": ("audit", "show", "--last", "1000"),
    }.items():
        story.run_here(name, *words)
    for dataset in (PEOPLE, PRODUCTS):
        with Watch(story.stack.control, dataset) as watch:
            for flow in ("collect", "stream", "spark"):
                story.counted[f"{flow} {dataset}"] = dict(watch.counts(flow))


def _plant_controls(story: Story) -> None:
    """Where no clear field of the flow comes to, the test itself writes the control."""
    folder = story.stack.folder
    for place in ("checkpoint-raw", "checkpoint-governed", "spark/spark/users_stream/tmp", "home", "tmp", "keys"):
        (folder / place / "beside.txt").write_text(CONTROL)
    with psycopg.connect(story.stack.control) as connection:
        connection.execute("SELECT %s::text", (CONTROL,))


def _search_stores(story: Story, places: Places) -> None:
    """First what is written at once and in order; then what it is rewritten to; what has no files is read back."""
    engine, cassandra = places.elasticsearch, places.cassandra
    story.search(engine.data, cassandra.data / "commitlog")
    for order in ("_refresh", "_flush?force=true&wait_if_ongoing=true", "_forcemerge?max_num_segments=1&flush=true"):
        httpx.post(f"{engine.address}/{INDEX}/{order}", timeout=120).raise_for_status()
    with session_of(cassandra) as session:
        tables = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'users'")
        for table in [row.table_name for row in tables]:
            session.execute(f"ALTER TABLE users.{table} WITH compression = {{'enabled': false}}")
    cassandra.tool("flush", "users")
    story.search(engine.data, cassandra.data, engine.folder / "logs")
    story.search(*(service.log for service in (engine, cassandra, places.mongodb)))
    if places.mongodb.real:
        story.search(places.mongodb.data)
    with MongoClient(places.mongodb.address) as client:
        for database in client.list_database_names():
            for collection in client[database].list_collection_names():
                held = list(client[database][collection].find())
                story.search_text(f"mongodb {database}.{collection}", json.dumps(held, default=str).encode())
