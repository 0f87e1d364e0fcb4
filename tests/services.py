"""The streams' real services, one of each for the whole session, started by the first test that asks.

Nothing here skips: a service that can't start is a failure. Tests share them, so each makes names of its own.
"""

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.service import Service

if TYPE_CHECKING:
    from local.cassandra import Cassandra
    from local.mongodb import MongoDB
    from local.s3 import S3

_S = TypeVar("_S", bound=Service)


@contextmanager
def running(make: Callable[[Path], _S]) -> Iterator[_S]:
    """A service in a folder of its own, removed with all that it kept. For tests that stop, kill or fill theirs."""
    folder = Path(tempfile.mkdtemp(prefix="kb"))
    # For a service that runs as a user without rights where the tests run as root.
    folder.chmod(0o755)
    service = make(folder / "service")
    try:
        yield service.start(fleeting=True)
    finally:
        service.remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A broker; `address` is for bootstrap.servers. Topics must be made before they are used."""
    with running(Kafka) as service:
        yield service


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[Elasticsearch]:
    """A node; `address` is its URL."""
    with running(lambda folder: Elasticsearch(folder, quick=True)) as service:
        yield service


@pytest.fixture(scope="session")
def cassandra() -> "Iterator[Cassandra]":
    """A node that asks for a password."""
    from local.cassandra import Cassandra

    with running(Cassandra) as service:
        yield service


@pytest.fixture(scope="session")
def mongodb() -> "Iterator[MongoDB]":
    """A server of MongoDB's protocol."""
    from local.mongodb import MongoDB

    with running(MongoDB) as service:
        yield service


@pytest.fixture(scope="session")
def s3() -> "Iterator[S3]":
    """An S3 server."""
    from local.s3 import S3

    with running(S3) as service:
        yield service


@pytest.fixture
def fresh_name() -> str:
    """A name that no other test has, for a topic, an index, a keyspace, a database."""
    return f"t_{secrets.token_hex(6)}"


def make_topic(
    kafka: Kafka, name: str | None = None, partitions: int = 1, options: dict[str, str] | None = None
) -> str:
    """A fresh topic, there when this returns; its name."""
    name = name or f"t_{secrets.token_hex(6)}"
    admin = AdminClient({"bootstrap.servers": kafka.address})
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=options or {})
    admin.create_topics([topic])[name].result(30)
    return name


@pytest.fixture
def topic(kafka: Kafka) -> Iterator[str]:
    """A fresh topic of one partition, deleted afterwards."""
    name = make_topic(kafka)
    yield name
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.delete_topics([name])[name].result(30)


@pytest.fixture
def index(elasticsearch: Elasticsearch, fresh_name: str) -> Iterator[str]:
    """The name of an index that isn't there yet. It, and what begins with its name, is deleted afterwards."""
    yield fresh_name
    listed = httpx.get(f"{elasticsearch.address}/_cat/indices/{fresh_name}*?format=json&h=index", timeout=30)
    for found in listed.json():
        httpx.delete(f"{elasticsearch.address}/{found['index']}", timeout=30).raise_for_status()
