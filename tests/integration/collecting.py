"""An installation that collects: what the tests of collectors share. Real samples over HTTP, Kafka and PostgreSQL."""

import contextlib
import json
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from governance.adapters.control.database import migrate
from governance.adapters.settings import KafkaSettings, KmsSettings, Settings
from governance.adapters.signing import create_signing_key
from governance.adapters.sources.retrying import Patience
from governance.bootstrap import Services
from governance.flows.collect import Collect, Collected
from governance.flows.collect_state import CollectState
from governance.flows.collecting import Taken
from governance.flows.progress import Counts, Flow, Place, Standing
from governance.model.message import Message
from governance.protection.messages import Verified, verify
from governance.quarantine.store import HeldRow, Selection
from samples.faults import Faults
from samples.feed import Feed
from samples.products import ProductSource
from samples.products.api import ProductApi
from samples.serving import ApiServer
from samples.ticks import Ticks
from samples.users import UserSource
from samples.users.api import UserApi

CONTRACTS = Path(__file__).parents[2] / "contracts"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
FILES = {"store.products": "store/products.odcs.yaml", "users.people": "users/people.odcs.yaml"}


@dataclass
class Noted:
    """A watch that remembers."""

    taken: list[Taken] = field(default_factory=list)
    waited: list[str] = field(default_factory=list)
    passes: int = 0

    def waits(self, source: str, what: str | None) -> None:
        del source
        if what is not None:
            self.waited.append(what)

    def took(self, source: str, taken: Taken) -> None:
        del source
        self.taken.append(taken)

    def passed(self, source: str) -> None:
        del source
        self.passes += 1


@dataclass
class Outpost:
    """One installation with one of the streams' contracts, under a topic name of its own."""

    folder: Path
    database: str
    brokers: str
    dataset_name: str
    page_size: int = 50
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.name = self.dataset_name.rpartition(".")[2] if "products" in self.dataset_name else "users"
        self.topic = f"{self.name}_{secrets.token_hex(6)}"
        self.watch = Noted()
        self.location = ""

    def settings(self) -> Settings:
        return Settings(
            control=self.database,
            contracts=self.folder / "contracts",
            anchor=self.folder / "anchor.jsonl",
            signing_key=self.folder / "signing.key",
            kms=KmsSettings(folder=self.folder / "keys"),
            kafka=KafkaSettings(brokers=self.brokers),
            sources={f"{self.name}_api": self.location},
            actor="tester",
            threads=1,
        )

    def environment(self) -> dict[str, str]:
        """The settings of a process of its own."""
        return {
            "KASBAH_CONTROL": self.database,
            "KASBAH_CONTRACTS": str(self.folder / "contracts"),
            "KASBAH_ANCHOR": str(self.folder / "anchor.jsonl"),
            "KASBAH_SIGNING_KEY": str(self.folder / "signing.key"),
            "KASBAH_KMS__FOLDER": str(self.folder / "keys"),
            "KASBAH_KAFKA__BROKERS": self.brokers,
            "KASBAH_SOURCES": json.dumps({f"{self.name}_api": self.location}),
            "KASBAH_ACTOR": "tester",
        }

    def begin(self) -> None:
        """Write the contract, make the database and the first epoch."""
        self._write_contract()
        with self.services() as services:
            migrate(services.control)
            create_signing_key(services.settings.signing_key)
            services.epochs.init()
            services.ledger.publish_head()

    def _write_contract(self) -> None:
        text = (CONTRACTS / FILES[self.dataset_name]).read_text()
        for old, new in (
            (f"property: topic, value: {self.name} }}", f"property: topic, value: {self.topic} }}"),
            ("property: pageSize, value: 500 }", f"property: pageSize, value: {self.page_size} }}"),
        ):
            assert old in text
            text = text.replace(old, new)
        (self.folder / "contracts").mkdir()
        (self.folder / "contracts" / "it.odcs.yaml").write_text(text)

    @contextmanager
    def services(self) -> Iterator[Services]:
        with contextlib.closing(Services(self.settings(), lambda: self.now)) as made:
            yield made

    @contextmanager
    def collector(self, stop: Event | None = None, patience: Patience | None = None) -> Iterator[Collect]:
        """A collector, as one process has it."""
        self.watch = Noted()
        with self.services() as services:
            dataset = services.contracts.find(self.dataset_name)[1]
            sources = [s for s in dataset.sources if s.format == "api"]
            quick = patience or Patience(first=0.01, longest=0.05)
            with services.collect(dataset, sources, self.watch, stop or Event(), 0.05, patience=quick) as made:
                yield made

    def collect(self, most_pages: int | None = None) -> Collected:
        """One poll to the end, in a process of its own as far as its memory goes."""
        with self.collector() as made:
            return made.run(Event(), once=True, most_pages=most_pages)

    @property
    def place(self) -> Place:
        return Place(Flow.COLLECT, f"{self.dataset_name}/{self._schema}", f"{self.name}_api", f"{self.name}_api")

    @property
    def _schema(self) -> str:
        return {"store.products": "product", "users.people": "person"}[self.dataset_name]

    def standing(self) -> Standing:
        with self.services() as services:
            return services.progress.standing(self.place)

    def state(self) -> CollectState:
        return CollectState.of(self.standing().state)

    def held(self) -> list[HeldRow]:
        with self.services() as services:
            return list(services.quarantine.rows(Selection(dataset=self.place.dataset)))

    def sent(self) -> list[Message]:
        """Every record of the topic, which must be genuine."""
        found = stored(self.brokers, self.topic)
        with self.services() as services:
            version = services.plan(services.contracts.find(self.dataset_name)[1]).version
            assert verify(found, services.message_keys) == [Verified(self.place.dataset, version)] * len(found)
        return found


def values(messages: list[Message]) -> list[dict[str, Any]]:
    return [orjson.loads(one.value or b"null") for one in messages]


def stored(brokers: str, topic: str) -> list[Message]:
    """Every record of a topic, partition by partition."""
    reader = Consumer({"bootstrap.servers": brokers, "group.id": "tests", "enable.auto.commit": False})
    found = []
    with contextlib.closing(reader):
        for partition in reader.list_topics(topic).topics[topic].partitions:
            low, high = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
            reader.assign([TopicPartition(topic, partition, low)])
            while low < high:
                for one in reader.consume(1000, 5):
                    assert one.error() is None
                    headers = tuple(one.headers() or ())
                    found.append(Message(topic, one.key(), one.value(), headers, partition, one.offset()))
                    low = one.offset() + 1
    return found


def counted(counts: Counts) -> dict[str, int]:
    """Counts by outcome and reason, those that aren't 0."""
    found: Counter[str] = Counter(read=counts.read, admitted=counts.admitted)
    found.update({f"quarantined.{reason}": count for reason, count in counts.quarantined.items()})
    found.update({f"refused.{reason}": count for reason, count in counts.refused.items()})
    return dict(+found)


@dataclass
class Served:
    """A sample's API as it is served, and what it serves."""

    source: ProductSource | UserSource
    server: ApiServer
    ticks: Ticks

    @property
    def rows(self) -> list[Any]:
        """Every row that there is by now."""
        return list(self.source.rows(0, self.source.feed.rows(self.ticks.now())))


@contextmanager
def serving(
    outpost: Outpost, keys: int = 120, faults: Faults | None = None, share: float | None = None
) -> Iterator[Served]:
    """The outpost's API, growing by five rows a tick of a minute."""
    feed, ticks = Feed(seed=5, keys=keys, changed=4, fresh=1, start=START, every=timedelta(minutes=1)), Ticks()
    source: ProductSource | UserSource
    if outpost.name == "products":
        source = ProductSource(feed, share)
        api: Any = ProductApi(source, ticks)
    else:
        source = UserSource(feed, share, outpost.now.date())
        api = UserApi(source, ticks)
    with ApiServer([api], rate=0, faults=faults, ticks=ticks, hang_seconds=1) as server:
        outpost.location = f"{server.url}/{api.path}"
        yield Served(source, server, ticks)
