"""An installation with a stream of listings: what the tests of streams share. Real Kafka, Elasticsearch, PostgreSQL."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pyarrow as pa
from confluent_kafka import Producer

from governance.adapters.control.database import migrate
from governance.adapters.elasticsearch import ElasticsearchSink, Server, index_of
from governance.adapters.kafka.raw_values import read_values
from governance.adapters.kafka.subscriber import KafkaSubscriber
from governance.adapters.settings import ElasticsearchSettings, KafkaSettings, KmsSettings, Settings
from governance.adapters.signing import create_signing_key
from governance.bootstrap import Services
from governance.enforcement.plan import EnforcementPlan
from governance.flows.consuming import Consuming, Stored
from governance.flows.decoding import GovernedReader
from governance.flows.documents import DocumentSink
from governance.flows.governed import encode
from governance.flows.progress import Counts, Flow
from governance.flows.raw import RawReader
from governance.flows.stream import Patience, Stream
from governance.model.message import Message
from governance.protection.messages import sign
from governance.quarantine.store import HeldRow, Selection

DATASET = "store.products"
CONTRACTS = Path(__file__).parents[2] / "contracts"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def listing(number: int, **changes: Any) -> dict[str, Any]:
    """An admitted listing, as `plan.message_columns()` has it."""
    row: dict[str, Any] = {
        "id": f"P-{number}",
        "title": f"Mint tea number {number}",
        "category": "Kitchen",
        "price_min": Decimal("7.92"),
        "price_max": Decimal("16.23"),
        "price_band": "low",
        "promotion_price": None,
        "quantity": number % 500,
        "rating": Decimal("4.50"),
        "reviews": number % 90,
        "seller_id": f"S-{number % 40}",
        "seller_rating": Decimal("97.50"),
        "ship_from": "Portugal",
        "ship_days": 4,
        "updated_at": datetime(2026, 11, 21, 10, 0, number % 60, number % 1_000_000, tzinfo=UTC),
    }
    return row | changes


@dataclass
class Noted:
    """A watch that remembers."""

    waited: list[str] = field(default_factory=list)
    now: str | None = None
    stored: list[Stored] = field(default_factory=list)
    turns: int = 0

    def waits(self, source: str, what: str | None) -> None:
        del source
        self.now = what
        if what is not None:
            self.waited.append(what)

    def took(self, source: str, stored: Stored) -> None:
        del source
        self.stored.append(stored)

    def beats(self, source: str) -> None:
        del source
        self.turns += 1


@dataclass(frozen=True)
class Premises:
    """What the shops of a session have in common: a control database with its keys, which take a while to settle."""

    folder: Path
    database: str
    brokers: str
    search: str

    def settings(self, contracts: Path) -> Settings:
        """Those of an installation under these contracts."""
        return Settings(
            control=self.database,
            warehouse=self.database,
            lake=str(self.folder / "lake"),
            contracts=contracts,
            anchor=self.folder / "anchor.jsonl",
            signing_key=self.folder / "signing.key",
            kms=KmsSettings(folder=self.folder / "keys"),
            kafka=KafkaSettings(brokers=self.brokers),
            elasticsearch=ElasticsearchSettings(address=self.search),
            actor="tester",
            threads=1,
        )

    def found(self) -> None:
        """Make the database's tables, and the keys."""
        settings = self.settings(CONTRACTS)
        services = Services(settings)
        migrate(services.control)
        create_signing_key(settings.signing_key)
        services.epochs.init()
        services.ledger.publish_head()
        services.message_keys.current()
        services.close()


@dataclass
class Shop:
    """One installation; its topics and its index are its own. `amend` are texts of its contract to replace."""

    folder: Path
    premises: Premises
    now: datetime = NOW
    amend: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = secrets.token_hex(6)
        self.brokers, self.search = self.premises.brokers, self.premises.search
        self.topic, self.raw_topic = f"products_{name}", f"raw_{name}"
        self.settings = self.premises.settings(self._contracts(name))
        self.services = Services(self.settings, lambda: self.now)
        self.reopen()
        self.alias = f"index_{self.plan.table}"
        self.key_id, self.key = self.services.message_keys.current()
        self.producer = Producer({"bootstrap.servers": self.brokers, "linger.ms": 5, "message.max.bytes": 20_000_000})

    def reopen(self) -> None:
        """As another process, under the contract as it stands."""
        self.services.close()
        self.services = Services(self.settings, lambda: self.now)
        self.dataset = self.services.contracts.find(DATASET)[1]
        self.plan: EnforcementPlan = self.services.plan(self.dataset)

    def _contracts(self, name: str) -> Path:
        """The contract, with names that no other test has."""
        folder = self.folder / "contracts"
        folder.mkdir()
        text = (CONTRACTS / "store" / "products.odcs.yaml").read_text()
        for old, new in (
            ("    name: products\n", f"    name: products_{name}\n"),
            ("element: products.", f"element: products_{name}."),
            ("value: products_raw }", f"value: {self.raw_topic} }}"),
            ("property: topic, value: products }", f"property: topic, value: {self.topic} }}"),
        ):
            assert old in text
            text = text.replace(old, new)
        for old, new in self.amend.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "products.odcs.yaml").write_text(text)
        return folder

    def messages(self, rows: Sequence[dict[str, Any]]) -> list[Message]:
        """The listings as the collector sends them."""
        columns = self.plan.message_columns()
        batch = pa.RecordBatch.from_pylist(list(rows), schema=columns)
        return encode(batch, self.plan, self.topic, self.key_id, self.key)

    def signed(self, key: bytes, value: bytes | None, version: str | None = None) -> Message:
        """A message of any content, genuine."""
        plain = Message(self.topic, key, value)
        return sign(plain, self.plan.dataset, version or self.plan.version, self.key_id, self.key)

    def send(self, messages: Sequence[Message], partition: int | None = None) -> None:
        """Produce them, and wait until all are there."""
        failed: list[str] = []

        def told(error: Any, _: Any) -> None:
            if error is not None:
                failed.append(str(error))

        for one in messages:
            where = {} if partition is None else {"partition": partition}
            while True:
                try:
                    self.producer.produce(
                        one.topic, one.value, one.key, headers=list(one.headers), on_delivery=told, **where
                    )
                    break
                except BufferError:
                    self.producer.poll(0.1)
        assert self.producer.flush(60) == 0
        assert not failed, failed[0]

    def stream(self, *, raw: bool = False, watch: Noted | None = None, sink: DocumentSink | None = None) -> Stream:
        """A consumer of the governed topic, or of the raw one."""
        s = self.services
        source = next(t.name for t in self.dataset.topics if t.raw == raw)
        reader: GovernedReader | RawReader = GovernedReader(self.plan, s.message_keys, s.subjects.alive, s.clock)
        if raw:
            reader = RawReader(self.plan, source, read_values, s.scanner, s.clock)
        work = Consuming(
            plan=self.plan,
            source=source,
            topic=self.raw_topic if raw else self.topic,
            reader=reader,
            sink=sink or ElasticsearchSink(Server(self.settings.elasticsearch), index_of(self.plan)),
            progress=s.progress,
            keyring=s.keyring,
            clock=s.clock,
        )
        group = f"kasbah-stream-{self.topic}"
        return Stream(
            work,
            lambda: KafkaSubscriber(self.brokers, group),
            watch or Noted(),
            patience=lambda: Patience(longest=1.0),
        )

    def run(self, *, raw: bool = False, watch: Noted | None = None) -> Counts:
        """Read to the end of the topic."""
        return self.stream(raw=raw, watch=watch).run(Event(), once=True)

    def documents(self) -> dict[str, dict[str, Any]]:
        """Everything in the index, by identity, with versions."""
        httpx.post(f"{self.search}/{self.alias}/_refresh", timeout=60).raise_for_status()
        found: dict[str, dict[str, Any]] = {}
        after: list[Any] = []
        while True:
            body: dict[str, Any] = {"size": 5000, "version": True, "sort": ["id"], "query": {"match_all": {}}}
            body |= {"search_after": after} if after else {}
            hits = httpx.post(f"{self.search}/{self.alias}/_search", json=body, timeout=60).json()["hits"]["hits"]
            if not hits:
                return found
            found |= {hit["_id"]: hit["_source"] | {"_version": hit["_version"]} for hit in hits}
            after = hits[-1]["sort"]

    def count(self) -> int:
        """How many documents there are."""
        httpx.post(f"{self.search}/{self.alias}/_refresh", timeout=60).raise_for_status()
        return int(httpx.get(f"{self.search}/{self.alias}/_count", timeout=60).json()["count"])

    def held(self) -> list[HeldRow]:
        """What is in quarantine."""
        rows = self.services.quarantine.rows(Selection(self.dataset.id))
        return [row for row in rows if row.place.part.split("/")[0] in (self.topic, self.raw_topic)]

    def counted(self) -> Counts:
        """What the control database has counted, over all partitions."""
        standings = self.services.progress.standings(self.dataset.id)
        mine = [
            s for p, s in standings if p.flow is Flow.STREAM and p.part.split("/")[0] in (self.topic, self.raw_topic)
        ]
        return sum((standing.counts for standing in mine), Counts())

    def close(self) -> None:
        """Remove the index."""
        listed = httpx.get(f"{self.search}/_cat/indices/{self.alias}*?format=json&h=index", timeout=60)
        for one in listed.json():
            httpx.delete(f"{self.search}/{one['index']}", timeout=60)
        httpx.delete(f"{self.search}/_index_template/{self.alias}", timeout=60)
        self.services.close()


@contextmanager
def running(stream: Stream) -> Iterator[Event]:
    """The stream in a thread of its own; it has ended, and raised what it raised, when the context ends."""
    stop, failed = Event(), []

    def go() -> None:
        try:
            stream.run(stop)
        except BaseException as error:  # noqa: BLE001  handed over
            failed.append(error)

    thread = Thread(target=go)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(90)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def eventually(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What it says once it is true."""
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, "it didn't come to pass in time"
        time.sleep(0.1)
    return found


__all__ = ["NOW", "Noted", "Shop", "eventually", "listing", "replace", "running"]
