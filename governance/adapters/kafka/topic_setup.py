"""Making a topic as its contract says, and holding one that is there against it."""

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from governance.contracts.periods import seconds
from governance.contracts.types import Topic
from governance.errors import KasbahError, SettingsError, StoreUnavailableError
from governance.flows.topics import LARGEST_MESSAGE

_ASKING = 20.0
"""Seconds that a broker may take for an answer."""
_LEFT_FOR_HEADERS = 1 << 16
_NO_WAY = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_CONFIG,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNSUPPORTED_VERSION,
    }
)


def set_up(admin: AdminClient, topic: Topic, partitions: int) -> None:
    """Make the topic, or bring its settings to what the contract says; what is right already isn't touched.

    Raises SettingsError where it has another number of partitions, or where the brokers won't have it;
    StoreUnavailableError where they are away.
    """
    wanted = settings_of(topic)
    try:
        there = _partitions(admin, topic.topic)
        if there is None:
            _make(admin, topic.topic, partitions, wanted)
            there = _listed(admin, topic.topic)
        if there != partitions:
            raise SettingsError(
                f"{topic.where}: topic {topic.topic} has {there} partitions, and the contract says {partitions}: the "
                "order of a key's records would break. Correct `partitions`, or begin a topic of another name"
            )
        _correct(admin, topic.topic, wanted)
    except KafkaException as error:
        raise refusal(error.args[0], f"topic {topic.topic}") from None


def settings_of(topic: Topic) -> dict[str, str]:
    """The settings of a topic that its contract decides on."""
    kept = "compact" if topic.compacted else "delete"
    if topic.retention is None:
        age = "-1"
    else:
        age = str(seconds(topic.retention) * 1000)
        kept = "compact,delete" if topic.compacted else kept
    return {
        "cleanup.policy": kept,
        "retention.ms": age,
        "max.message.bytes": str(LARGEST_MESSAGE + _LEFT_FOR_HEADERS),
    }


def refusal(error: KafkaError, what: str) -> KasbahError:
    """A client's error as one of ours; it names the code and nothing else."""
    if error.code() in _NO_WAY:
        return SettingsError(f"{what}: the brokers refuse it ({error.name()})")
    return StoreUnavailableError(f"{what}: Kafka doesn't answer rightly ({error.name()})")


def _partitions(admin: AdminClient, name: str) -> int | None:
    """How many it has; None if it isn't there. All are listed, since to ask for one may make it."""
    found = admin.list_topics(timeout=_ASKING).topics.get(name)
    if found is None or (found.error is not None and found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART):
        return None
    if found.error is not None:
        raise KafkaException(found.error)
    return len(found.partitions)


def _listed(admin: AdminClient, name: str) -> int:
    """How many a new topic has, once the brokers have told one another of it."""
    for _ in range(100):
        there = _partitions(admin, name)
        if there is not None:
            return there
        time.sleep(0.1)
    raise StoreUnavailableError(f"topic {name} was made and isn't listed yet")


def _make(admin: AdminClient, name: str, partitions: int, settings: Mapping[str, str]) -> None:
    """Make it, with as many copies as the brokers make by themselves. Somebody else may have been faster."""
    new = NewTopic(name, num_partitions=partitions, replication_factor=-1, config=dict(settings))
    try:
        admin.create_topics([new], operation_timeout=_ASKING, request_timeout=_ASKING)[name].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _correct(admin: AdminClient, name: str, wanted: Mapping[str, str]) -> None:
    resource = ConfigResource(ResourceType.TOPIC, name)
    found: dict[str, Any] = admin.describe_configs([resource], request_timeout=_ASKING)[resource].result()
    differing = {key: value for key, value in wanted.items() if not _same(found[key].value, value)}
    if differing:
        changes = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in differing.items()]
        change = ConfigResource(ResourceType.TOPIC, name, incremental_configs=changes)
        admin.incremental_alter_configs([change], request_timeout=_ASKING)[change].result()


def _same(found: str, wanted: str) -> bool:
    """Policies are a set."""
    return set(found.split(",")) == set(wanted.split(","))
