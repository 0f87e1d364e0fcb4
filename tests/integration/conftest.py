"""An installation for what enforcement promises, on the session's PostgreSQL; and a shop whose listings stream."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from desk import NOW, Desk, installation
from keys_setup import Keys, SetClock
from services import make_topic
from streaming import Premises, Shop

from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.postgres import Postgres


@pytest.fixture(scope="module")
def installed(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests of a module."""
    with installation(postgres, tmp_path_factory.mktemp("kms")) as made:
        yield made


@pytest.fixture
def desk(installed: Desk) -> Desk:
    """Today is 21 November 2026, unless a test says otherwise. People of earlier tests are there already."""
    installed.now = NOW
    return installed


@pytest.fixture
def keys(control: sa.Engine, tmp_path: Path) -> Keys:
    """A control database with its first epoch."""
    keys = Keys(control, tmp_path / "keys", SetClock())
    keys.epochs.init()
    return keys


@pytest.fixture(scope="session")
def premises(
    kafka: Kafka, elasticsearch: Elasticsearch, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Premises:
    """What all shops share."""
    folder = tmp_path_factory.mktemp("premises")
    made = Premises(folder, postgres.create(f"shops_{secrets.token_hex(4)}"), kafka.address, elasticsearch.address)
    made.found()
    return made


@pytest.fixture
def shop(kafka: Kafka, premises: Premises, tmp_path: Path) -> Iterator[Shop]:
    """A shop with topics of one partition that take large messages, and an index."""
    made = Shop(tmp_path, premises)
    for name in (made.topic, made.raw_topic):
        make_topic(kafka, name, options={"max.message.bytes": "20000000"})
    yield made
    made.close()
