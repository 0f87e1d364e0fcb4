"""Publishing to a real Kafka: acknowledged or an error, in order a key, and topics as their contracts say."""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from services import running

from governance.adapters.kafka.publisher import KafkaPublisher
from governance.contracts.types import Line, Topic
from governance.errors import SettingsError, StoreUnavailableError
from governance.flows.topics import LARGEST_MESSAGE
from governance.model.message import Message
from local.kafka import Kafka


@pytest.fixture
def publisher(kafka: Kafka) -> Iterator[KafkaPublisher]:
    made = KafkaPublisher(kafka.address)
    yield made
    made.close()


def topic(**words: object) -> Topic:
    """A topic of its own."""
    return Topic(f"t{secrets.token_hex(5)}", Line("users.odcs.yaml", 42), **words)  # type: ignore[arg-type]


def stored(kafka: Kafka, name: str) -> list[Message]:
    """Every record of a topic, partition by partition, in their order."""
    reader = Consumer({"bootstrap.servers": kafka.address, "group.id": "tests", "enable.auto.commit": False})
    found = []
    with contextlib.closing(reader):
        for partition in reader.list_topics(name).topics[name].partitions:
            low, high = reader.get_watermark_offsets(TopicPartition(name, partition))
            reader.assign([TopicPartition(name, partition, low)])
            while low < high:
                for one in reader.consume(1000, 5):
                    assert one.error() is None
                    headers = tuple(one.headers() or ())
                    found.append(Message(name, one.key(), one.value(), headers, partition, one.offset()))
                    low = one.offset() + 1
    return found


def settings(kafka: Kafka, name: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, name)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    found = admin.describe_configs([resource])[resource].result()
    return {key: one.value for key, one in found.items()}


def test_what_is_published_is_there_in_order_a_key(kafka: Kafka, publisher: KafkaPublisher) -> None:
    made = topic()
    publisher.prepare(made, 3)
    messages = [Message(made.topic, b"k%d" % (n % 7), b"%d" % n, (("h", b"\xff"), ("n", b""))) for n in range(5000)]
    publisher.publish(messages)
    found = stored(kafka, made.topic)
    assert sorted(int(one.value or b"") for one in found) == list(range(5000))
    for key in {one.key for one in messages}:
        mine = [one for one in found if one.key == key]
        assert [one.value for one in mine] == [one.value for one in messages if one.key == key]
        assert len({one.partition for one in mine}) == 1
    assert {one.headers for one in found} == {(("h", b"\xff"), ("n", b""))}


def test_a_tombstone_is_no_empty_value(kafka: Kafka, publisher: KafkaPublisher) -> None:
    made = topic(compacted=True)
    publisher.prepare(made, 1)
    publisher.publish([Message(made.topic, b"k", b""), Message(made.topic, b"k", None)])
    assert [one.value for one in stored(kafka, made.topic)] == [b"", None]


@pytest.mark.parametrize(
    ("words", "policy", "age"),
    [
        ({"retention": "P30D"}, "delete", 30 * 86_400_000),
        ({"compacted": True}, "compact", -1),
        ({"compacted": True, "retention": "P1Y"}, "compact,delete", 365 * 86_400_000),
    ],
)
def test_a_topic_is_made_as_its_contract_says(
    kafka: Kafka, publisher: KafkaPublisher, words: dict[str, object], policy: str, age: int
) -> None:
    made = topic(**words)
    publisher.prepare(made, 2)
    found = settings(kafka, made.topic)
    assert (set(found["cleanup.policy"].split(",")), int(found["retention.ms"])) == (set(policy.split(",")), age)


def test_preparing_again_changes_nothing(kafka: Kafka, publisher: KafkaPublisher) -> None:
    made = topic(retention="P3D")
    publisher.prepare(made, 2)
    publisher.publish([Message(made.topic, b"k", b"v")])
    before = settings(kafka, made.topic)
    publisher.prepare(made, 2)
    assert settings(kafka, made.topic) == before
    assert len(stored(kafka, made.topic)) == 1


def test_a_retention_that_the_contract_changed_is_set(kafka: Kafka, publisher: KafkaPublisher) -> None:
    made = topic()
    admin = AdminClient({"bootstrap.servers": kafka.address})
    by_hand = NewTopic(made.topic, 2, config={"retention.ms": "1000", "segment.ms": "12345"})
    admin.create_topics([by_hand])[made.topic].result()
    shorter = Topic(made.name, made.where, retention="P1D")
    publisher.prepare(shorter, 2)
    found = settings(kafka, made.topic)
    assert (found["retention.ms"], found["segment.ms"]) == ("86400000", "12345"), "what isn't ours stays"


def test_another_number_of_partitions_is_refused_with_its_line(publisher: KafkaPublisher) -> None:
    made = topic()
    publisher.prepare(made, 2)
    with pytest.raises(SettingsError, match=r"users\.odcs\.yaml:42.*has 2 partitions"):
        publisher.prepare(made, 3)


def test_a_name_that_no_broker_takes_is_the_users_to_mend(publisher: KafkaPublisher) -> None:
    with pytest.raises(SettingsError, match="TOPIC_EXCEPTION"):
        publisher.prepare(Topic("not a topic", Line("x", 1)), 1)


def test_the_largest_message_goes_through(kafka: Kafka, publisher: KafkaPublisher) -> None:
    made = topic()
    publisher.prepare(made, 1)
    publisher.publish([Message(made.topic, b"k", secrets.token_bytes(LARGEST_MESSAGE))])
    assert [len(one.value or b"") for one in stored(kafka, made.topic)] == [LARGEST_MESSAGE]


def test_a_topic_that_is_not_there_is_not_made(kafka: Kafka) -> None:
    publisher = KafkaPublisher(kafka.address, seconds=2)
    name = topic().topic
    with contextlib.closing(publisher), pytest.raises(StoreUnavailableError, match=name):
        publisher.publish([Message(name, b"k", b"v")])
    assert name not in AdminClient({"bootstrap.servers": kafka.address}).list_topics().topics


def test_brokers_that_are_away_are_said_and_forgotten() -> None:
    """Nothing of a failed call is sent by a later one."""
    publisher = KafkaPublisher("127.0.0.1:1", seconds=1)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        publisher.publish([Message("users", b"k", b"a secret value")] * 10)
    assert time.monotonic() - began < 10
    with pytest.raises(StoreUnavailableError):
        publisher.prepare(topic(), 1)
    publisher.close()


def test_no_message_is_said_in_an_error() -> None:
    publisher = KafkaPublisher("127.0.0.1:1", seconds=0.5)
    with pytest.raises(StoreUnavailableError) as error:
        publisher.publish([Message("users", b"a key", b"a secret value")])
    assert "secret" not in str(error.value) and "a key" not in str(error.value)


def test_brokers_without_an_address_are_a_setting() -> None:
    with pytest.raises(SettingsError, match="KASBAH_KAFKA__BROKERS"):
        KafkaPublisher("")


def test_a_broker_that_comes_back_is_written_to_again() -> None:
    """Stopped between two calls: the first fails, and what it held never arrives."""
    made = topic()
    with running(Kafka) as own:
        publisher = KafkaPublisher(own.address, seconds=2)
        publisher.prepare(made, 1)
        publisher.publish([Message(made.topic, b"k", b"0")])
        own.stop()
        with pytest.raises(StoreUnavailableError):
            publisher.publish([Message(made.topic, b"k", b"1")])
        own.start()
        _in_the_end(lambda: publisher.publish([Message(made.topic, b"k", b"2")]))
        assert [one.value for one in stored(own, made.topic)] == [b"0", b"2"]
        publisher.close()


def _in_the_end(act: Callable[[], None]) -> None:
    """Try again while the broker takes its time, a minute at most."""
    until = time.monotonic() + 60
    while True:
        try:
            return act()
        except StoreUnavailableError:
            if time.monotonic() > until:
                raise
