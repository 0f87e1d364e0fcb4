"""An installation with a stream of people, and what must stand in its stores: real Kafka, Cassandra, PostgreSQL, and
MongoDB or its stand-in.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pymongo
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from confluent_kafka import Producer

from governance.adapters.kafka.raw_values import read_values
from governance.bootstrap import Services
from governance.enforcement.apply import enforce
from governance.enforcement.reading import with_origin
from governance.flows.governed import encode
from governance.flows.progress import Counts, Flow
from governance.model.message import Message
from governance.protection.messages import sign
from governance.quarantine.store import HeldRow, Selection
from local.cassandra import Cassandra
from local.mongodb import MongoDB

NATIONS = ("FR", "DE", "US")
CANARY = "Canaryname"


def person(number: int, **changes: Any) -> dict[str, Any]:
    """A record as the API and others give it; `changes` by the first word of their path."""
    made: dict[str, Any] = {
        "gender": ("female", "male")[number % 2],
        "name": {"title": "Ms", "first": f"{CANARY}{number}", "last": "Doe"},
        "location": {
            "street": {"number": number, "name": "Mill Lane"},
            "city": "Lund",
            "state": "Skane",
            "postcode": 22100 + number,
            "country": "Sweden",
        },
        "email": f"canary{number}@{('example.org', 'example.com')[number % 3 == 0]}",
        "login": {"uuid": f"u-{number}", "username": f"canary{number}", "password": "canarysecret"},
        "dob": {"date": f"{1950 + number % 50}-03-04T05:06:07.000Z"},
        "registered": {"date": "2020-01-02T03:04:05.000Z"},
        "phone": "+46 70 555 0101",
        "cell": "+46 70 555 0102",
        "nat": NATIONS[number % 3],
        "updated": f"2026-01-01T00:00:{number % 60:02}.000Z",
    }
    return made | changes


@dataclass
class Users:
    """One installation. `there` is what must stand: the newest record of each person, by pseudonym."""

    folder: Path
    services: Services
    cassandra: Cassandra
    mongodb: MongoDB
    topics: dict[bool, str]
    dataset: str
    there: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contract, self.found = self.services.contracts[self.dataset]
        self.plan = self.services.plan(self.found)
        self.key_id, self.key = self.services.message_keys.current()
        self.producer = Producer({"bootstrap.servers": self.services.settings.kafka.brokers})
        login = PlainTextAuthProvider("cassandra", "cassandra")
        self.cluster = Cluster(["127.0.0.1"], port=cassandra_port(self.cassandra), auth_provider=login)
        self.cql = self.cluster.connect()
        self.mongo: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(self.mongodb.address)

    def governed(self, *records: dict[str, Any]) -> list[Message]:
        """The records as the collector produces them."""
        values = read_values([(place, orjson.dumps(one)) for place, one in enumerate(records)])
        batch = with_origin(values.records, "users_raw", "made", values.positions)
        with self.services.keyring.lease("made") as lease:
            done = enforce(batch, self.plan, lease.keys, self.services.scanner, self.services.clock)
        assert done.admitted.num_rows == len(records), (done.quarantined.to_pylist(), done.refused.to_pylist())
        return encode(done.admitted, self.plan, self.topics[False], self.key_id, self.key)

    def tombstone(self, key: bytes) -> Message:
        """What erasure writes."""
        plain = Message(self.topics[False], key, None)
        return sign(plain, self.plan.dataset, self.plan.version, self.key_id, self.key)

    def send(self, messages: Sequence[Message]) -> None:
        """Produce them, and keep in mind what must stand afterwards."""
        for one in messages:
            self.producer.produce(one.topic, one.value, one.key, headers=list(one.headers))
        assert self.producer.flush(60) == 0

    def expect(self, messages: Sequence[Message]) -> None:
        """These stand, unless what stands is newer."""
        for one in messages:
            name = (one.key or b"").decode()
            if one.value is None:
                self.there.pop(name, None)
                continue
            record = json.loads(one.value)
            if name not in self.there or self.there[name]["updated_at"] < record["updated_at"]:
                self.there[name] = record

    def counts(self) -> Counts:
        """What the control database has counted of Spark's."""
        standings = self.services.progress.standings(self.plan.dataset)
        return sum((s.counts for place, s in standings if place.flow is Flow.SPARK), Counts())

    def held(self) -> list[HeldRow]:
        """What is in quarantine."""
        return list(self.services.quarantine.rows(Selection(self.plan.dataset)))

    def rows(self) -> dict[str, dict[str, Any]]:
        """What stands in Cassandra, as messages say it."""
        found = {}
        for row in self.cql.execute(f'SELECT * FROM "{self.plan.system}"."{self.plan.table}"'):  # noqa: S608
            cells = {name: _as_told(cell) for name, cell in row._asdict().items() if name != "kasbah_version"}
            found[cells["person_pseudonym"]] = cells
        return found

    def groups(self, aggregate: str) -> dict[tuple[Any, ...], tuple[int, float]]:
        """How many people MongoDB counts in each group, and the sum of their ages where it is kept."""
        lines = self.mongo[self.plan.system][f"{self.plan.table}_groups"].find(
            {"aggregate": aggregate, "people": {"$gt": 0}}
        )
        return {tuple(line["key"]): (line["people"], line["total"]) for line in lines}

    def agree(self) -> None:
        """Cassandra has the rows, MongoDB the numbers, of those who must be there: counted anew, in plain Python."""
        assert self.rows() == {name: _cut(record) for name, record in self.there.items()}
        everybody = list(self.there.values())
        for one in self.plan.aggregates:
            people = Counter(tuple(record[name] for name in one.by) for record in everybody)
            ages: Counter[tuple[Any, ...]] = Counter()
            for record in everybody:
                ages[tuple(record[name] for name in one.by)] += record["age"] if one.mean else 0
            assert self.groups(one.name) == {key: (n, ages[key]) for key, n in people.items()}, one.name
        shown = self.mongo[self.plan.system][f"{self.plan.table}_aggregates"].find_one({"_id": "all"})
        assert shown is not None and shown["people"] == len(everybody)


def cassandra_port(cassandra: Cassandra) -> int:
    return int(cassandra.address.rpartition(":")[2])


def _as_told(cell: Any) -> Any:
    """A cell as a message has it; CQL's moments have milliseconds."""
    return f"{cell.replace(tzinfo=UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] if isinstance(cell, datetime) else cell


def _cut(record: dict[str, Any]) -> dict[str, Any]:
    return record | {name: record[name][:-4] for name in ("registered_at", "updated_at")}
