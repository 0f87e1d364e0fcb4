"""The users stream on Spark: who is admitted stands once in Cassandra and in MongoDB's numbers, and nobody else."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any
from unittest import mock

import orjson
import psycopg
import pytest
from services import make_topic
from users_desk import CANARY, Users, person

from governance.adapters.control.database import migrate
from governance.adapters.settings import load_settings
from governance.adapters.signing import create_signing_key
from governance.bootstrap import Services
from governance.flows.progress import Counts
from governance.model.message import Message
from governance.protection.messages import sign
from local.cassandra import Cassandra
from local.kafka import Kafka
from local.mongodb import MongoDB
from local.postgres import Postgres
from local.spark import APPS, environment_for

# Sockets over which PySpark hands Arrow to Python, and which it leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(APPS / "users_stream"))


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
