"""The users stream on Spark: who is admitted stands once in Cassandra and in MongoDB's numbers, and nobody else."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any
from unittest import mock

import orjson
import psycopg
import pymongo
import pytest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from confluent_kafka import Producer
from services import make_topic

from governance.adapters.control.database import migrate
from governance.adapters.kafka.raw_values import read_values
from governance.adapters.settings import load_settings
from governance.adapters.signing import create_signing_key
from governance.bootstrap import Services
from governance.enforcement.apply import enforce
from governance.enforcement.reading import with_origin
from governance.flows.governed import encode
from governance.flows.progress import Counts, Flow
from governance.model.message import Message
from governance.protection.messages import sign
from governance.quarantine.store import HeldRow, Selection
from local.cassandra import Cassandra
from local.kafka import Kafka
from local.mongodb import MongoDB
from local.postgres import Postgres
from local.spark import APPS, environment_for

# Sockets over which PySpark hands Arrow to Python, and which it leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ROOT = Path(__file__).parents[2]
NATIONS = ("FR", "DE", "US")
CANARY = "Canaryname"
sys.path.insert(0, str(APPS / "users_stream"))


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


@pytest.fixture(scope="module")
def users(
    postgres: Postgres,
    kafka: Kafka,
    cassandra: Cassandra,
    mongodb: MongoDB,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Users]:
    """One for all tests of this module, with a topic of each kind, of two partitions."""
    name = secrets.token_hex(4)
    folder = tmp_path_factory.mktemp("users")
    topics = {raw: make_topic(kafka, f"users{'_raw' if raw else ''}_{name}", partitions=2) for raw in (False, True)}
    text = (ROOT / "contracts" / "users" / "people.odcs.yaml").read_text()
    for old, new in (
        ("id: users.people\n", f"id: u{name}.people\n"),
        ("property: topic, value: users }", f"property: topic, value: {topics[False]} }}"),
        ("property: topic, value: users_raw }", f"property: topic, value: {topics[True]} }}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "contracts").mkdir()
    (folder / "contracts" / "people.odcs.yaml").write_text(text)
    database = postgres.create(f"users_{name}")
    variables = {
        "KASBAH_CONTROL": database,
        "KASBAH_WAREHOUSE": database,
        "KASBAH_CONTRACTS": str(folder / "contracts"),
        "KASBAH_ANCHOR": str(folder / "anchor.jsonl"),
        "KASBAH_SIGNING_KEY": str(folder / "signing.key"),
        "KASBAH_KMS__FOLDER": str(folder / "keys"),
        "KASBAH_KAFKA__BROKERS": kafka.address,
        "KASBAH_ACTOR": "tester",
        "KASBAH_SETTINGS": str(folder / "none.toml"),
        **cassandra.settings(),
        **mongodb.settings(),
    }
    with mock.patch.dict(os.environ, variables):
        services = Services(load_settings())
        migrate(services.control)
        create_signing_key(services.settings.signing_key)
        services.epochs.init()
        services.ledger.publish_head()
        made = Users(folder, services, cassandra, mongodb, topics, f"u{name}.people/person")
        yield made
        made.cluster.shutdown()
        made.mongo.drop_database(made.plan.system)
        made.mongo.close()
        services.close()


@dataclass
class Stream:
    """Spark, reading to the end of a topic each time."""

    users: Users
    spark: Any
    scratch: Path

    @property
    def log(self) -> Path:
        """What Spark and its tasks say."""
        return self.scratch / "log" / "all"

    @property
    def checkpoint(self) -> Path:
        return self.scratch / "checkpoint"

    def read(self, topic: str = "governed") -> Counts:
        """What this reading adds to the counts."""
        import main

        before = self.users.counts()
        options = Namespace(
            topic=topic,
            dataset=self.users.dataset,
            once=True,
            checkpoint=str(self.checkpoint / topic),
            records=1000,
        )
        main.run(self.spark, self.users.services, options, Event())
        after = self.users.counts()
        return Counts(*(getattr(after, n) - getattr(before, n) for n in ("read", "admitted", "applied", "unchanged")))


@pytest.fixture(scope="module")
def stream(users: Users) -> Iterator[Stream]:
    """One session of Spark. What it keeps while it runs is in the folder `scratch/tmp`."""
    scratch = users.folder / "spark"
    with mock.patch.dict(os.environ, environment_for("users_stream", scratch)):
        import main
        from pyspark import SparkContext

        made = Stream(users, None, scratch)
        with _saying_it_in(made.log):
            made.spark = spark = main.session()
        spark.sparkContext._jvm.System.err.println("number of tests")
        yield made
        spark.stop()
        gateway, SparkContext._gateway, SparkContext._jvm = SparkContext._gateway, None, None
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(30)


@contextmanager
def _saying_it_in(file: Path) -> Iterator[None]:
    """A process that begins meanwhile, and those that it begins, write to a file what they say."""
    file.parent.mkdir()
    kept = [os.dup(1), os.dup(2)]
    with file.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            for number, old in enumerate(kept, 1):
                os.dup2(old, number)
                os.close(old)


def test_people_stand_in_cassandra_and_in_the_numbers(users: Users, stream: Stream) -> None:
    sent = users.governed(*[person(n) for n in range(30)])
    users.send(sent)
    users.expect(sent)
    assert stream.read() == Counts(read=30, admitted=30, applied=30)
    users.agree()


def test_the_newest_record_of_a_person_wins_whatever_comes_late(users: Users, stream: Stream) -> None:
    newer = users.governed(*[person(n, nat="GB", updated="2026-03-01T00:00:00.000Z") for n in range(6)])
    late = users.governed(*[person(n, nat="AU", updated="2026-02-01T00:00:00.000Z") for n in range(6)])
    users.send(newer)
    users.expect(newer)
    assert stream.read().applied == 6
    users.agree()
    users.send(late)
    assert stream.read() == Counts(read=6, admitted=6)
    assert users.counts().superseded == 6
    users.agree()


def test_a_batch_that_spark_does_again_counts_nothing_twice(users: Users, stream: Stream) -> None:
    """As after a kill between the end of a task's work and Spark's note of it."""
    kept = users.folder / "kept"
    shutil.copytree(stream.checkpoint / "governed", kept)
    sent = users.governed(*[person(n) for n in range(40, 46)])
    users.send(sent)
    users.expect(sent)
    assert stream.read().read == 6
    counted = users.counts()
    shutil.rmtree(stream.checkpoint / "governed")
    shutil.copytree(kept, stream.checkpoint / "governed")
    assert stream.read().read == 0
    assert users.counts() == counted
    users.agree()


def test_the_whole_topic_again_changes_nothing_in_the_stores(users: Users, stream: Stream) -> None:
    """As after the control database was restored: the checkpoint is ahead of it, and is given up."""
    before = users.rows(), [users.groups(one.name) for one in users.plan.aggregates]
    with psycopg.connect(users.services.settings.control.get_secret_value()) as connection:
        connection.execute("DELETE FROM kasbah_control.stream_position WHERE flow = 'spark'")
    again = stream.read()
    assert again.read == again.admitted == 48 and again.applied == 0
    assert (users.rows(), [users.groups(one.name) for one in users.plan.aggregates]) == before
    users.agree()


def test_a_tombstone_takes_a_person_out_of_the_store_and_the_numbers(users: Users, stream: Stream) -> None:
    gone = [users.tombstone(name.encode()) for name in list(users.there)[:4]]
    users.send(gone)
    users.expect(gone)
    stream.read()
    assert users.counts().tombstones == 4
    users.agree()


def test_what_nobody_vouches_for_is_held_once_and_its_body_never(users: Users, stream: Stream) -> None:
    (genuine,) = users.governed(person(50))
    altered = Message(genuine.topic, genuine.key, (genuine.value or b"").replace(b"US", b"FR"), genuine.headers)
    bare = Message(genuine.topic, genuine.key, genuine.value)
    nobody = sign(
        Message(genuine.topic, b"0" * 32, (genuine.value or b"").replace(genuine.key or b"", b"0" * 32)),
        users.plan.dataset,
        users.plan.version,
        users.key_id,
        users.key,
    )
    users.send([altered, bare, nobody])
    stream.read()
    stream.read()
    counted = users.counts()
    assert counted.quarantined == {"forged": 2} and counted.refused == {"suppressed": 1}
    assert [(row.reason, row.sealed) for row in users.held()] == [("forged", None)] * 2
    users.agree()


def test_a_raw_topic_is_enforced_before_anything_else(users: Users, stream: Stream) -> None:
    """A minor leaves a count; and of nobody does Spark keep anything that was not protected."""
    minors = [person(n, dob={"date": "2015-01-01T00:00:00.000Z"}) for n in range(60, 64)]
    adults = [person(n) for n in range(70, 80)]
    values = [orjson.dumps(one) for one in (*minors, *adults)] + [b'{"name": {"first": "' + CANARY.encode()]
    users.send([Message(users.topics[True], None, value) for value in values])
    people = users.services.subject_counts()
    found = stream.read("raw")
    assert (found.read, found.applied) == (15, 10)
    counted = users.counts()
    assert counted.refused == {"suppressed": 1, "underage": 4}
    assert counted.quarantined == {"forged": 2, "malformed": 1}
    made = users.services.subject_counts()
    assert sum(n for one in made.values() for n in one.values()) == 10 + sum(
        n for one in people.values() for n in one.values()
    )
    rows = users.rows()
    new = {name: row for name, row in rows.items() if name not in users.there}
    assert sorted(row["age"] for row in new.values()) == sorted(_age(one) for one in adults)
    users.there |= {name: _whole(row) for name, row in new.items()}
    users.agree()
    for text in (CANARY, "canary7", "canarysecret", *new):
        assert _holding(text, users.folder) == []
    assert _holding(users.topics[True], stream.checkpoint / "raw")  # what is there would have been found
    assert _holding("number", stream.log.parent)


def _age(record: dict[str, Any]) -> int:
    born = datetime.fromisoformat(record["dob"]["date"])
    today = datetime.now(UTC)
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    """A row of Cassandra as a message would say it."""
    return row | {name: f"{row[name]}000Z" for name in ("registered_at", "updated_at")}


def _holding(text: str, folder: Path) -> list[Path]:
    """The files that hold it, as text, hex or UTF-16."""
    forms = [text.encode(), text.encode("utf-16-le"), text.encode().hex().encode()]
    return [file for file in folder.rglob("*") if file.is_file() and any(form in file.read_bytes() for form in forms)]


def test_it_stops_when_told_and_the_next_goes_on_from_there(users: Users, stream: Stream) -> None:
    sent = users.governed(*[person(n, nat="NL") for n in range(90, 100)])
    log = users.folder / "program.log"
    scratch = users.folder / "program"
    command = [sys.executable, str(APPS / "users_stream" / "main.py"), "--dataset", users.dataset]
    command += ["--checkpoint", str(scratch / "checkpoint"), "--records", "4"]
    before = users.counts().read
    with log.open("wb") as out:
        program = subprocess.Popen(command, env=environment_for("users_stream", scratch), stdout=out, stderr=out)
    try:
        users.send(sent)
        users.expect(sent)
        _until(lambda: users.counts().read > before, program)
        program.send_signal(signal.SIGTERM)
        assert program.wait(90) == 0, log.read_text()[-3000:]
    finally:
        program.kill()
        program.wait()
    said = log.read_text()
    assert "Traceback" not in said and "Exception" not in said and CANARY not in said
    assert users.counts().read - before in range(1, 11)
    stream.read()  # from an older checkpoint
    assert users.counts().read - before == 10
    users.agree()


def _until(true: Callable[[], bool], program: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert program.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
