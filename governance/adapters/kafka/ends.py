"""Where the partitions of a topic begin and end, asked without being a member of any group."""

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from governance.errors import SettingsError, StoreUnavailableError

_ASKING = 10.0
"""Seconds that a broker may take for an answer."""


def topic_ends(brokers: str, options: Mapping[str, str], topic: str) -> dict[int, tuple[int, int]]:
    """By partition: the first offset that is there, and the one that the next record gets.

    Raises StoreUnavailableError where the brokers are away, or the topic isn't there yet.
    """
    if not brokers:
        raise SettingsError("the address of the brokers is not set: KASBAH_KAFKA__BROKERS or [kafka] in kasbah.toml")
    own = {"bootstrap.servers": brokers, "group.id": "kasbah-ends", "log_level": 0, "allow.auto.create.topics": False}
    consumer = Consumer(dict(options) | own, logger=_Silent())
    try:
        found = consumer.list_topics(timeout=_ASKING).topics.get(topic)
        if found is None or not found.partitions:
            raise StoreUnavailableError(f"there is no topic {topic} yet: whoever fills it makes it")
        return {partition: _ends(consumer, TopicPartition(topic, partition)) for partition in sorted(found.partitions)}
    except KafkaException as error:
        raise StoreUnavailableError(f"Kafka doesn't answer ({error.args[0].name()})") from None
    finally:
        consumer.close()


def _ends(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    low, high = consumer.get_watermark_offsets(partition, timeout=_ASKING)
    return int(low), int(high)


class _Silent:
    """librdkafka's own log lines name addresses; what matters comes as errors."""

    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""
