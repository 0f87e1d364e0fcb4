"""A dataset's governed topic as a scan reads it (`governance.flows.stored.StoredCells`): partition by partition.

What stands in the log is read, as long as it does: a record that has been superseded too. A raw topic is a source, and
no store of ours.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka import Message as Received
from confluent_kafka.admin import AdminClient

from governance.enforcement.plan import EnforcementPlan
from governance.errors import SettingsError, StoreUnavailableError
from governance.flows.stored import Copy, Piece
from governance.flows.stored_records import rows_of, stray_identity

STORE = "kafka"
_KEY, _VALUE = "message key", "message value"
"""Said in a column's place."""

_ROWS = 2_000
_SECONDS = 15.0
_MORE_SECONDS = 0.05
_GIVE_UP = 4
"""Polls in a row that bring nothing although there is something, before the brokers are taken to be away."""
_GONE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})


class TopicCells:
    """The topics of one Kafka. `brokers` says where a dataset's are."""

    def __init__(self, brokers: Callable[[EnforcementPlan], str], options: Mapping[str, str] | None = None) -> None:
        self._brokers, self._options = brokers, dict(options or {})

    def copies(self, plan: EnforcementPlan) -> tuple[Copy, ...]:
        """The partitions of the dataset's governed topic, if that is there."""
        if plan.topic is None:
            return ()
        name = plan.topic.name
        with _translated(name):
            admin = AdminClient(self._settings(plan))
            try:
                about = admin.describe_topics(TopicCollection([name]), request_timeout=_SECONDS)[name].result(_SECONDS)
            except KafkaException as error:
                if error.args[0].code() in _GONE:
                    return ()
                raise
            with closing(self._consumer(plan)) as consumer:
                found = []
                for partition in sorted(one.id for one in about.partitions):
                    low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=_SECONDS)
                    found.append(Copy(STORE, f"{name}/{partition}", str(about.topic_id), high - low))
        return tuple(found)

    def pieces(self, plan: EnforcementPlan, copy: Copy, leave: frozenset[str], position: int = 0) -> Iterator[Piece]:
        """All records from that offset to what is the end now."""
        topic, _, number = copy.name.rpartition("/")
        with closing(self._consumer(plan)) as consumer:
            with _translated(topic):
                first, end = consumer.get_watermark_offsets(TopicPartition(topic, int(number)), timeout=_SECONDS)
                start = max(position, first)
                if start < end:
                    consumer.assign([TopicPartition(topic, int(number), start)])
            while start < end:
                received, start = _some(consumer, topic, start, end)
                rows = [_record(one, plan) for one in received]
                yield Piece(rows_of(rows, plan, leave), start)

    def _consumer(self, plan: EnforcementPlan) -> Consumer:
        return Consumer(
            self._settings(plan)
            | {
                "group.id": "kasbah-scan",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 32 * 1024,
                "allow.auto.create.topics": False,
            }
        )

    def _settings(self, plan: EnforcementPlan) -> dict[str, Any]:
        brokers = self._brokers(plan)
        if not brokers:
            raise SettingsError("no brokers are set: KASBAH_KAFKA__BROKERS, or [kafka] brokers in kasbah.toml")
        return self._options | {"bootstrap.servers": brokers, "log_level": 0, "error_cb": _nothing}


def _some(consumer: Consumer, topic: str, start: int, end: int) -> tuple[list[Received], int]:
    """Some records, and the offset after them; the end where there are none left."""
    for _ in range(_GIVE_UP):
        with _translated(topic):
            # The first is waited for; with it there are mostly others, which aren't waited for long.
            polled = consumer.consume(1, _SECONDS / _GIVE_UP)
            polled += consumer.consume(_ROWS, _MORE_SECONDS) if polled and polled[0].error() is None else []
        records = []
        for one in polled:
            error = one.error()
            if error is None:
                records.append(one)
            elif error.code() == KafkaError._PARTITION_EOF:
                start = end
            else:
                raise StoreUnavailableError(f"Kafka can't be read at {topic} ({error.name()})")
        if records and start < end:
            start = _offset(records[-1]) + 1
        if records or start >= end:
            return [one for one in records if _offset(one) < end], start
    raise StoreUnavailableError(f"Kafka doesn't answer for the records of {topic}")


def _offset(received: Received) -> int:
    found = received.offset()
    return -1 if found is None else int(found)


def _record(received: Received, plan: EnforcementPlan) -> dict[str, Any]:
    """The columns of a message; whatever is no such message is a cell that nobody declared."""
    value, key = received.value(), received.key()
    record: dict[str, Any] = {}
    if value is not None:
        try:
            found = orjson.loads(value)
        except orjson.JSONDecodeError:
            found = None
        record = dict(found) if isinstance(found, dict) else {_VALUE: value}
    if key is None:
        return record
    name = key.decode("utf-8", "backslashreplace")
    if value is None and plan.subjects:
        return {plan.identity[0]: name} if not name.startswith("[") else {_KEY: name}
    return {**record, **stray_identity(_KEY, name, record, plan)}


@contextmanager
def _translated(topic: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise StoreUnavailableError(f"Kafka can't be read at {topic} ({error.args[0].name()})") from None


def _nothing(*_: object) -> None:
    """What librdkafka would tell is told by what it answers."""
