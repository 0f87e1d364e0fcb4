"""What there is in topics (`flows.standing.Topics`), asked without being a member of any group."""

import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from governance.adapters.kafka.subscriber import consumer_of
from governance.errors import SettingsError, StoreUnavailableError

_ASKING = 5.0
"""Seconds that a broker may take for an answer."""
_OPTIONS: dict[str, Any] = {
    "group.id": "kasbah-monitor",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "allow.auto.create.topics": False,
    "log_level": 0,
    # One record is read at a time, to see when it was made.
    "fetch.max.bytes": 1 << 20,
    "max.partition.fetch.bytes": 1 << 12,
    "queued.min.messages": 1,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.wait.max.ms": 50,
}


class KafkaMonitor:
    """One client, safe from several threads. Opens nothing before it is used."""

    def __init__(self, brokers: str, options: Mapping[str, str] | None = None) -> None:
        if not brokers:
            raise SettingsError("no brokers are set: KASBAH_KAFKA__BROKERS, or [kafka] brokers in kasbah.toml")
        self._client: dict[str, Any] = dict(options or {}) | _OPTIONS | {"bootstrap.servers": brokers}
        self._consumer: Consumer | None = None
        self._one_at_a_time = threading.Lock()

    def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """See `Topics.ends`."""
        with self._one_at_a_time:
            try:
                consumer = self._open()
                found = consumer.list_topics(topic, timeout=_ASKING).topics.get(topic)
                if found is None or found.error is not None:
                    raise StoreUnavailableError(f"there is no topic {topic} yet: whoever fills it makes it")
                return {number: self._ends(TopicPartition(topic, number)) for number in sorted(found.partitions)}
            except KafkaException as error:
                raise _away(error) from None

    def produced_at(self, topic: str, partition: int, offset: int) -> int | None:
        """See `Topics.produced_at`."""
        with self._one_at_a_time:
            try:
                consumer = self._open()
                consumer.assign([TopicPartition(topic, partition, offset)])
                try:
                    for _ in range(20):
                        message = consumer.poll(0.1)
                        if message is not None and message.error() is None:
                            kind, moment = message.timestamp()
                            return int(moment) if kind else None
                    return None
                finally:
                    consumer.unassign()
            except KafkaException as error:
                raise _away(error) from None

    def close(self) -> None:
        """Close the client."""
        with self._one_at_a_time:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = consumer_of(self._client | {"logger": _Silent(), "error_cb": _nothing})
        return self._consumer

    def _ends(self, partition: TopicPartition) -> tuple[int, int]:
        low, high = self._open().get_watermark_offsets(partition, timeout=_ASKING)
        return int(low), int(high)


def _away(error: KafkaException) -> StoreUnavailableError:
    return StoreUnavailableError(f"Kafka doesn't answer ({error.args[0].name()})")


def _nothing(_: object) -> None:
    """Errors come out of the calls."""


class _Silent:
    """librdkafka's own log lines name addresses."""

    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""
