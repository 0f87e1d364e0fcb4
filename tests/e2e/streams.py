"""Installations whose streams run on real services: where they stand, what feeds them, and that they come to an end."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import RoundRobinPolicy
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from killing import SLOWEST
from pymongo import MongoClient
from stacks import KASBAH, ROOT, Stack
from watching import Watch, ends
from workers import Worker, until

from local import download
from local.cassandra import PASSWORD, USER, Cassandra
from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.mongodb import MongoDB
from local.service import Service
from samples.feed import Feed
from samples.serving import Api, ApiServer
from samples.ticks import Ticks

DRAINING = 600.0
"""Seconds that everything may take to its end, once the sources stand still."""


def feed(seed: int, keys: int, changed: int, fresh: int) -> Feed:
    """One that began a month ago and is far from having caught up with the clock. Nobody in it turns 18 these days."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
    return Feed(seed=seed, keys=keys, changed=changed, fresh=fresh, start=start)


@contextmanager
def served(stack: Stack, name: str, api: Api, ticks: Ticks) -> Iterator[ApiServer]:
    """The API, known to the stack's settings as the source `name` while it is served."""
    with (
        mock.patch.object(ThreadingHTTPServer, "handle_error"),  # it would print a stack trace where a client hangs up
        ApiServer([api], rate=0, ticks=ticks) as server,
    ):
        stack.at(name, f"{server.url}/{api.path}")
        yield server


def on_services(stack: Stack, *services: Service) -> Stack:
    """Tell the stack where the services are."""
    for service in services:
        stack.variables |= service.settings()  # type: ignore[attr-defined]  each has them
    return stack


def kasbah(stack: Stack, name: str, *arguments: str) -> Worker:
    """`kasbah …` as a worker."""
    return Worker(name, [str(KASBAH), *arguments], stack.environment, stack.folder)


def spark(stack: Stack, name: str, *arguments: str, logs: Path | None = None) -> Worker:
    """The users stream as a worker; all that Spark keeps is below the stack's folder."""
    command = [sys.executable, "-m", "local.spark", "users_stream", *arguments]
    # Spark's jars are those that everybody here has, else each stack would fetch its own.
    places = {"KASBAH_STATE": str(stack.folder / "spark"), "XDG_CACHE_HOME": str(download.cache().parent)}
    environment = stack.environment | places
    return Worker(name, command, environment, ROOT, logs=logs or stack.folder)


@contextmanager
def session_of(cassandra: Cassandra) -> Iterator[Session]:
    """A connection to Cassandra."""
    profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=60)}
    place = {"port": cassandra.port, "protocol_version": 5, "execution_profiles": profiles}
    cluster = Cluster(["127.0.0.1"], auth_provider=PlainTextAuthProvider(USER, PASSWORD), **place)
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()


def without_people(cassandra: Cassandra, mongodb: MongoDB) -> None:
    """Nobody before has left a keyspace or a database of users."""
    with session_of(cassandra) as session:
        session.execute("DROP KEYSPACE IF EXISTS users", timeout=60)
    with MongoClient(mongodb.address) as client:
        client.drop_database("users")


def without_topics(kafka: Kafka, *names: str) -> None:
    """Nobody before has left anything under these names."""
    admin = AdminClient({"bootstrap.servers": kafka.address})
    there = [name for name in names if name in admin.list_topics(timeout=30).topics]
    for done in admin.delete_topics(there).values() if there else ():
        done.result(30)
    until("the topics are gone", lambda: not {*names} & {*admin.list_topics(timeout=30).topics}, (), SLOWEST)


def without_index(elasticsearch: Elasticsearch, alias: str) -> None:
    """Nobody before has left an index or a template under this name."""
    listed = httpx.get(f"{elasticsearch.address}/_cat/indices/{alias}*?format=json&h=index", timeout=30)
    for found in listed.json():
        httpx.delete(f"{elasticsearch.address}/{found['index']}", timeout=30).raise_for_status()
    httpx.delete(f"{elasticsearch.address}/_index_template/{alias}", timeout=30)


def read_to_its_end(watch: Watch, flow: str, brokers: str, topic: str, workers: Sequence[Worker]) -> None:
    """Return once the flow has read all that the topic holds. Nobody may be producing to it any more."""
    wanted = ends(brokers, topic)
    until(f"{flow} has read {topic}", lambda: _reached(watch.positions(flow), wanted), workers, DRAINING)


def _reached(positions: dict[str, int], wanted: dict[str, int]) -> bool:
    return all(positions.get(part, 0) >= end for part, end in wanted.items())


NO_RECORDS = (b'{"id": "P-1", "title": ', b'["P-2"]', None)
"""What a stranger also sends: cut off, no object, a tombstone."""


class Stranger:
    """Fills a topic as others do: records as they are, and each time NO_RECORDS too. `records` and `steps` count."""

    def __init__(self, brokers: str, topic: str, rows: Iterator[dict[str, Any]], each: int = 50) -> None:
        self.records = self.steps = 0
        self._topic, self._rows, self._each = topic, rows, each
        self._undelivered: list[str] = []
        # Idempotent, so that what it counts is what the topic holds even where the broker is killed meanwhile.
        self._producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "log_level": 0})

    def step(self) -> None:
        """A few more."""
        for _ in range(self._each):
            record = next(self._rows)
            self._send(str(record.get("id")).encode(), json.dumps(record).encode())
            self.records += 1
        for value in NO_RECORDS:
            self._send(None, value)
        self.steps += 1
        self._producer.poll(0)

    def finish(self) -> None:
        """Return once the brokers have acknowledged everything. Raises AssertionError if they didn't take something."""
        left = self._producer.flush(SLOWEST)
        assert not left and not self._undelivered, (left, self._undelivered[:5])

    def _send(self, key: bytes | None, value: bytes | None) -> None:
        self._producer.produce(self._topic, value, key, on_delivery=self._delivered)

    def _delivered(self, error: object, _: object) -> None:
        if error is not None:
            self._undelivered.append(str(error))
