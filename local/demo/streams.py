"""Two streams: listings into Elasticsearch, people into Cassandra and MongoDB, flowing while the sources change."""

import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pymongo
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from confluent_kafka import Producer

from local import download
from local.cassandra import PASSWORD, USER, Cassandra
from local.demo.stage import (
    FOLDER,
    DemoError,
    background,
    kasbah,
    kasbah_beside,
    say,
    serving,
    standings,
    write_settings,
)
from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.mongodb import MongoDB
from local.service import Service
from local.spark_jars import spark_jars

_LOOKS, _APART = 3, 7
"""How often the story looks at the streams while they flow, and the seconds between."""
_FIRST_SECONDS = 120
_DATASETS = ("store.products", "users.people")
Services = Mapping[str, Service]


@contextmanager
def starting() -> Iterator[Services]:
    """The services of the streams, which start while the rest of the story is told; they end with it."""
    services: dict[str, Service] = {
        one.name: one
        for one in (
            Kafka(FOLDER / "kafka"),
            Elasticsearch(FOLDER / "elasticsearch"),
            Cassandra(FOLDER / "cassandra"),
            MongoDB(FOLDER / "mongodb"),
        )
    }
    for one in services.values():
        download.fetch(download.pinned(one.name), one.title)
    spark_jars()
    with ThreadPoolExecutor(1) as beside:
        started = [beside.submit(one.start) for one in services.values()]
        try:
            yield _Awaited(services, started)
        finally:
            for waiting in started:
                waiting.cancel()
            beside.shutdown()
            for one in services.values():
                one.stop()


class _Awaited(dict[str, Service]):
    """The services; `ready` returns once they have all started, or raises what kept one from it."""

    def __init__(self, services: Services, started: list) -> None:  # type: ignore[type-arg]
        super().__init__(services)
        self._started = started

    def ready(self) -> None:
        for one in self._started:
            one.result()


def tell(settings: dict[str, str], services: "_Awaited") -> None:
    """Tell the second part of the story."""
    say("10. Two streams: real Kafka, Elasticsearch and Cassandra on this machine; and for MongoDB")
    print(f"what there is: {services['mongodb'].product}", flush=True)
    services.ready()
    for service in services.values():
        settings |= service.settings()  # type: ignore[attr-defined]
    with serving("--start", "now", "--tick-seconds", "1", "--products", "2000", "--people", "2000") as api:
        write_settings(settings, {"products_api": f"{api}/products", "users_api": f"{api}/api"})
        _flow()
    _forge(services["kafka"])
    say("13. What the stores hold of it")
    _show_listing(services["elasticsearch"])
    _show_person(services["cassandra"])
    _show_aggregates(services["mongodb"])


def _flow() -> None:
    say("11. Collectors poll two APIs that change each second, and govern what they give before it is sent;")
    print("consumers check each message's MAC, and that its person is there, before anything is written", flush=True)
    with ExitStack() as flowing:
        for arguments in (
            ("collect", "store.products", "--every", "1"),
            ("collect", "users.people", "--every", "1"),
            ("stream", "store.products", "--source", "products"),
        ):
            flowing.enter_context(kasbah_beside(*arguments, log="-".join(arguments[:2])))
        checkpoint = str(FOLDER / "checkpoint")
        spark = [sys.executable, "-m", "local.spark", "users_stream", "--checkpoint", checkpoint]
        flowing.enter_context(background(*spark, log="users_stream"))
        _await_both()
        for look in range(_LOOKS):
            if look:
                time.sleep(_APART)
            kasbah("stream", "status")


def _await_both() -> None:
    """Until both consumers have stored something, as `kasbah stream status` sees it."""
    until = time.monotonic() + _FIRST_SECONDS
    while True:
        reading = {one["place"]["dataset"] for one in standings() if one["counts"]["admitted"]}
        if len(reading) == len(_DATASETS):
            return
        if time.monotonic() > until:
            raise DemoError(f"of the streams only {', '.join(sorted(reading)) or 'none'} flowed in {_FIRST_SECONDS} s")
        time.sleep(0.5)


def _forge(kafka: Service) -> None:
    say("12. Somebody writes into the governed topic what no collector has sent: it is held, and goes no further")
    producer = Producer({"bootstrap.servers": kafka.address})
    producer.produce("products", b'{"id":"P-1","title":"not ours"}', b'["P-1"]')
    if producer.flush(30):
        raise DemoError("Kafka took no message")
    kasbah("stream", "store.products", "--source", "products", "--once")
    kasbah("quarantine", "list")


def _show_listing(elasticsearch: Service) -> None:
    found = httpx.get(f"{elasticsearch.address}/index_products/_search?size=1", timeout=30).json()
    counted = httpx.get(f"{elasticsearch.address}/index_products/_count", timeout=30).json()["count"]
    print(f"Elasticsearch, index_products: {counted} documents; one of them:")
    _show(found["hits"]["hits"][0]["_source"])


def _show_person(cassandra: Service) -> None:
    cluster = Cluster(["127.0.0.1"], port=cassandra.port, auth_provider=PlainTextAuthProvider(USER, PASSWORD))
    try:
        session = cluster.connect("users")
        counted = session.execute("SELECT count(*) FROM users").one()
        print(f"Cassandra, users.users: {counted[0]} rows; one of them:")
        _show(session.execute("SELECT * FROM users LIMIT 1").one()._asdict())
    finally:
        cluster.shutdown()


def _show_aggregates(mongodb: Service) -> None:
    with pymongo.MongoClient(mongodb.address) as client:
        print("MongoDB, users.users_aggregates; no group of fewer than five people is shown:")
        for document in client["users"]["users_aggregates"].find().sort("_id"):
            groups = "; ".join(_group(one) for one in document["groups"][:6])
            print(f"  {document['_id']:20} {groups}{'; …' if len(document['groups']) > 6 else ''}")


def _group(line: Mapping[str, object]) -> str:
    """A group and its numbers: `FR female 61`."""
    names = [str(cell) for name, cell in line.items() if name not in ("people", "to") and not name.startswith("mean_")]
    means = [f"mean {cell}" for name, cell in line.items() if name.startswith("mean_")]
    return " ".join([*names, *means, f"{line['people']} people"])


def _show(record: Mapping[str, object]) -> None:
    for name, value in record.items():
        if value is not None:
            print(f"  {name:20} {str(value)[:70]}")


__all__ = ["Services", "starting", "tell"]
